"""Whether a destination holds what it was told: an hourly check that reads a sample back."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from pydantic import Field

from crm_pipelines.delivery.fidelity import LOWEST_PERCENT, Fidelity
from crm_pipelines.orchestration.resources import Destination, ReadSettings, sentences
from crm_pipelines.orchestration.sync.tags import JOB_TAG, of_destination
from crm_pipelines.queue.sampling import Sampler
from crm_pipelines.settings import CrmSettings, load_settings

FIDELITY = "fidelity"
_UNTIL = "looked_until"
# Without an earlier look. What is older was edited at the CRM by hand often enough to tell little.
_FURTHEST_BACK = timedelta(days=1)


class FidelityConfig(dg.Config):
    """How many contacts are read back."""

    sample: int = Field(50, ge=1, le=1000, description="Contacts, drawn by chance; each costs one request or two.")


def fidelity_check(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.AssetChecksDefinition:
    """Evaluated by the job of the schedule below, and from its page."""
    name, title = destination.name, destination.title

    @dg.asset_check(
        asset=[name, "read_back"],
        name=FIDELITY,
        description=f"{title} holds what it was told. A sample of the contacts that were delivered since the last look "
        "is read back and compared field by field. A CRM may drop what it does not know and report success. The check "
        f"fails when a field is the same in fewer than 95 % of them. Evaluated hourly by {name}_fidelity. Contacts "
        "that were edited meanwhile are not compared. One that was corrected by hand at the CRM counts as different.",
    )
    def fidelity(context: dg.AssetCheckExecutionContext, config: FidelityConfig) -> dg.AssetCheckResult:
        since, now = last_look(context.instance, name), datetime.now(UTC)
        # By name and not by a resource: see `checks_of`.
        with sentences(), Destination(name, read).open() as account:
            reader = account.admitted().fidelity_reader()
            found = reader.read(since, config.sample) if reader else Fidelity(halted=f"{title} shows no contacts")
        verdict = _verdict(found, title)
        context.log.info(
            "%d contacts compared, %d edited meanwhile, %d not readable. %s",
            found.compared,
            found.edited,
            found.unread,
            verdict,
        )
        # What a paused gate kept from being read is looked at the next time.
        until = since if found.halted else now
        return dg.AssetCheckResult(
            passed=not found.low,
            description=verdict,
            metadata={
                "compared": found.compared,
                "edited_meanwhile": found.edited,
                "not_readable": found.unread,
                "lowest_match_percent": round(min((found.percent(field) for field in found.seen), default=100.0), 1),
                "fields": dg.MetadataValue.md(_table(found)),
                "since": since.isoformat(timespec="seconds"),
                _UNTIL: dg.MetadataValue.timestamp(until),
            },
        )

    return fidelity


def last_look(instance: dg.DagsterInstance, crm: str) -> datetime:
    """Until when contacts were looked at, at the furthest a day ago."""
    # Not the latest record: while a look goes on, that is its own, without a verdict.
    ended = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    history = instance.event_log_storage.get_asset_check_execution_history(_key(crm), limit=1, status=ended)
    furthest = datetime.now(UTC) - _FURTHEST_BACK
    event = history[0].event.dagster_event if history and history[0].event else None
    until = event.asset_check_evaluation_data.metadata.get(_UNTIL) if event else None
    if not isinstance(until, dg.TimestampMetadataValue):
        return furthest
    return max(furthest, datetime.fromtimestamp(until.value, UTC))


def _key(crm: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey([crm, "read_back"]), FIDELITY)


def _verdict(found: Fidelity, title: str) -> str:
    if found.low:
        worst = ", ".join(f"{name} {found.percent(name):.0f} %" for name in found.low[:5])
        return f"Below {LOWEST_PERCENT:g} %: {worst}."
    if found.halted:
        return f"Reading ended early: {found.halted}."
    return f"{found.compared} contacts are at {title} as they were sent." if found.compared else "Nothing to compare."


def _table(found: Fidelity) -> str:
    rows = [
        f"| {name} | {found.seen[name]} | {found.percent(name):.1f} % |"
        for name in sorted(found.seen, key=lambda name: (found.percent(name), name))
    ]
    return "| field | compared | the same |\n| --- | ---: | ---: |\n" + "\n".join(rows)


def fidelity_schedule(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.ScheduleDefinition:
    """When the check is evaluated, and the job that does so."""
    name = destination.name

    @dg.schedule(
        name=f"{name}_fidelity_schedule",
        cron_schedule="37 * * * *",
        target=dg.define_asset_job(
            f"{name}_fidelity",
            selection=dg.AssetSelection.checks(_key(name)),
            executor_def=dg.in_process_executor,
            tags={
                **of_destination(name),
                JOB_TAG: f"{name}_fidelity",
                "dagster/max_runtime": "900",
                "dagster/max_retries": "0",
            },
            description="Reads a sample of the contacts that were delivered since the last look back from "
            f"{destination.title}, and compares field by field. At the account's pace, behind deliveries that go on "
            "meanwhile.",
        ),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Hourly. Skips when nothing was delivered since the last look.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set.")
        with Destination(name, read).open() as account:
            if account.crm.reading is None:
                return dg.SkipReason(f"{destination.title} does not show what it holds.")
            if account.gate.read().paused:
                return dg.SkipReason("Sending is paused.")
            if not Sampler(account.engine, name).any_delivered(last_look(context.instance, name)):
                return dg.SkipReason("Nothing was delivered since the last look.")
        return dg.RunRequest()

    return schedule
