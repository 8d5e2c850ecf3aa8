"""Puts jobs, schedules, sensors, assets and checks together: those of each destination, and what they share.

Our own `crm_pipelines.definitions` and `CrmSyncComponent` of other projects are both built here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from crm_pipelines.orchestration.assets import CONTACTS, OWNERS, assets_of, contacts_asset
from crm_pipelines.orchestration.checks import checks_of, checks_sensor
from crm_pipelines.orchestration.resources import ReadSettings
from crm_pipelines.orchestration.sync.following import follow_up_sensor
from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.orchestration.sync.prompting import prompt_sensor
from crm_pipelines.orchestration.sync.schedules import sync_schedule
from crm_pipelines.orchestration.sync.upstream import upstream_sensor
from crm_pipelines.orchestration.upkeep.operator_jobs import attributes_check, check_account_schedule, operator_jobs
from crm_pipelines.orchestration.upkeep.pruning import prune_history_job, prune_history_schedule
from crm_pipelines.orchestration.watching.daily_report import daily_report_of, daily_report_schedule
from crm_pipelines.orchestration.watching.fidelity import fidelity_check, fidelity_schedule
from crm_pipelines.orchestration.watching.sensors import error_backlog_sensor, run_failure_alert_sensor
from crm_pipelines.settings import CrmSettings, Settings, load_settings

# Of a destination, what runs by itself. Who launches another job sees it fail.
_WATCHED = ("sync", "check_account", "fidelity")
_LAUNCHED = ("retry_failed", "release_claims", "provision")


@dataclass(frozen=True, kw_only=True)
class DestinationPlan:
    """A destination, and how Dagster shows and runs it.

    `read` gives the settings of a process that delivers there. `group`: of its assets; None: its name. `upstream` are
    assets of others after which it is delivered. `scheduled`: whether its schedule is on from the start. `alerts`:
    whether people are told when contacts do not get through.
    """

    destination: CrmSettings
    read: ReadSettings = load_settings
    group: str | None = None
    owners: Sequence[str] = OWNERS
    upstream: Sequence[dg.AssetKey] = ()
    scheduled: bool = True
    alerts: bool = True


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all destinations of a code location have in common.

    `prefix` stands before the names that no destination's name is in. `maintenance`: the jobs that prune and report.
    `only_ours`: whether all else in the code location is ours, too.
    """

    prefix: str | None = None
    maintenance: bool = True
    only_ours: bool = True

    @property
    def contacts(self) -> dg.AssetKey:
        """The asset of the people."""
        return CONTACTS.with_prefix(self.prefix) if self.prefix else CONTACTS

    def named(self) -> str:
        """What a shared name begins with."""
        return f"{self.prefix}_" if self.prefix else ""


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shows and runs in a code location of ours, for these settings."""
    plans = [DestinationPlan(destination=one) for one in settings.destinations.values()]
    # For what is launched from an asset's page; a process per step would cost more than the step.
    executor = dg.Definitions(executor=dg.in_process_executor)
    shared = Shared()
    return dg.Definitions.merge(
        executor,
        shared_definitions(plans, settings, shared),
        *(definitions_of(one, settings, shared) for one in plans),
    )


def shared_definitions(plans: Sequence[DestinationPlan], settings: Settings, shared: Shared) -> dg.Definitions:
    """What stands in a code location once, for these destinations."""
    prefix, names = shared.named(), [one.destination.name for one in plans]
    watched = [f"{one.destination.name}_{job}" for one in plans if one.alerts for job in _WATCHED]
    upstream = dict.fromkeys(key for one in plans for key in one.upstream)
    assets = [contacts_asset(shared.contacts, list(upstream))]
    jobs, schedules = [], []
    if shared.maintenance:
        pruned = [f"{name}_{job}" for name in names for job in (*_WATCHED, *_LAUNCHED)]
        jobs = [
            prune_history_job(
                [*pruned, f"{prefix}daily_report"],
                prefix,
                contacts=shared.contacts,
                all_of_location=shared.only_ours,
            )
        ]
        schedules = [daily_report_schedule(names, prefix), *map(prune_history_schedule, jobs)]
        watched += [f"{prefix}daily_report", f"{prefix}prune_history"] if watched else []
    alerting = [run_failure_alert_sensor(settings, watched, prefix=prefix)] if watched else []
    return dg.Definitions(assets=assets, jobs=jobs, schedules=schedules, sensors=alerting)


def definitions_of(plan: DestinationPlan, settings: Settings, shared: Shared) -> dg.Definitions:
    """What Dagster shows and runs for one destination: all names begin with its own."""
    destination, read = plan.destination, plan.read
    sensors = [follow_up_sensor(destination, read), checks_sensor(destination, read)]
    if plan.alerts:
        sensors.append(error_backlog_sensor(destination, settings, read))
    if destination.sync_prompt_seconds is not None:
        sensors.append(prompt_sensor(destination, destination.sync_prompt_seconds, read))
    if plan.upstream:
        sensors.append(upstream_sensor(destination, plan.upstream, read))
    group, owners = plan.group, plan.owners
    return dg.Definitions(
        assets=[
            *assets_of(destination, contacts=shared.contacts, group=group, owners=owners),
            daily_report_of(destination, group=group, owners=owners),
        ],
        asset_checks=[
            *checks_of(destination, read),
            attributes_check(destination, read),
            fidelity_check(destination, read),
        ],
        jobs=[sync_job(destination, read), *operator_jobs(destination, read)],
        schedules=[
            sync_schedule(destination, read, on=plan.scheduled),
            fidelity_schedule(destination, read),
            check_account_schedule(destination),
        ],
        sensors=sensors,
    )
