"""Jobs of each destination that people launch from Dagster's pages. What changes something counts only at first.

Launch config is kept for ever and shown to everyone who can open the pages, so contacts are named by id.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import dagster as dg
from pydantic import Field, field_validator

from crm_pipelines.contacts.selection import Retried, Who, retry
from crm_pipelines.crms.schema import Finding
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.account.preflight import Preflight, check_account, provision_account
from crm_pipelines.delivery.pace.gatekeeping import close_if_refused, pacer_for
from crm_pipelines.orchestration.checks import result_of
from crm_pipelines.orchestration.launch_config import checked, not_blank, valid_ids
from crm_pipelines.orchestration.resources import Destination, ReadSettings, resource_of, sentences
from crm_pipelines.orchestration.sync.ended_runs import ended_runs
from crm_pipelines.orchestration.sync.tags import GATE_TAG, JOB_TAG, begin_anew, of_destination
from crm_pipelines.scrubbing import scrub
from crm_pipelines.settings import CrmSettings, load_settings
from crm_pipelines.statistics.status import crm_status
from crm_pipelines.vocabulary import counted

ATTRIBUTES_EXIST = "attributes_exist"

_DRY_RUN = Field(True, description="true: only count, change nothing. Launch it so first, then with false.")


class RetryConfig(dg.Config):
    """Which failed contacts go back to the queue. Left as it is: all of them, counted only.

    Those of the kind unknown may have arrived where nothing is sent twice: only their kind or their ids take them.
    """

    kind: str | None = Field(
        None, description="Only those whose last error is of this kind, such as outage or rejected. Unset: all kinds."
    )
    contact_ids: list[str] = Field([], description="Only these contacts, by id (column id of contacts). Empty: all.")
    dry_run: bool = _DRY_RUN

    _ids = field_validator("contact_ids")(valid_ids)
    _kind = field_validator("kind")(not_blank)


@dg.op(description="Puts failed contacts back in the queue, and does not wait for retries that are due later.")
def retry_failed(
    context: dg.OpExecutionContext, config: RetryConfig, destination: dg.ResourceParam[Destination]
) -> None:
    who = Who(ids=tuple(map(UUID, config.contact_ids)), everyone=not config.contact_ids)
    with sentences(), destination.open() as account:
        errors = _errors_by_kind(account)
        done = retry(account.engine, destination.name, who, kind=config.kind, dry_run=config.dry_run)
    would = "would be " if done.dry_run else ""
    context.log.info("%d %squeued again, %d waiting ones %smade due now.", done.requeued, would, done.hastened, would)
    if done.unknown:
        context.log.info("%d may have arrived and stay as they are: kind `unknown` sends them again.", done.unknown)
    if done.not_found:
        context.log.warning("Ids that belong to no contact: %d.", len(done.not_found))
    context.add_output_metadata(_retried(done) | {"errors_before": dg.MetadataValue.md(errors)})


def _retried(done: Retried) -> dict[str, Any]:
    return {
        "requeued": done.requeued,
        "hastened": done.hastened,
        "left_alone": done.other,
        "of_these_unknown": done.unknown,
        "unknown_ids": len(done.not_found),
        "dry_run": done.dry_run,
    }


def _errors_by_kind(account: Account) -> str:
    return "| status | kind | contacts |\n| --- | --- | --- |\n" + "\n".join(
        f"| {group.status} | {group.kind} | {group.contacts} |"
        for group in crm_status(account.engine, account.queue.crm).errors
    )


class ReleaseConfig(dg.Config):
    """Whose contacts are given back. Left as it is: shows which runs hold contacts."""

    run_id: str | None = Field(None, description="The dead run. It must have ended, or be unknown to Dagster.")
    dry_run: bool = _DRY_RUN

    _run_id = field_validator("run_id")(not_blank)


@dg.op(description="Writes a dead run's known outcomes back, and returns what it had not begun to the queue.")
def release_claims(
    context: dg.OpExecutionContext, config: ReleaseConfig, destination: dg.ResourceParam[Destination]
) -> None:
    with sentences(), destination.open() as account:
        holders = account.queue.claims_by_run()
        context.add_output_metadata({"holders": dg.MetadataValue.md(_holders(context.instance, holders))})
        held = holders.get(config.run_id or "", 0)
        if config.run_id is None or config.dry_run:
            context.log.info(
                "Held by %s: %s. Nothing was changed.",
                counted(len(holders), "run"),
                counted(sum(holders.values()), "contact"),
            )
            return
        record = context.instance.get_run_record_by_id(config.run_id)
        if record is not None and not record.dagster_run.is_finished:
            raise dg.Failure(
                "Dagster says that this run is still active. Terminate it first: that gives its contacts back.",
                allow_retries=False,
            )
        if not held:
            raise dg.Failure("This run holds no contacts: see the list of those that do.", allow_retries=False)
        orderly, _ = ended_runs(context.instance, [config.run_id])
        account.queue.apply(config.run_id, account.policy)
        rescued = account.queue.rescue(orderly_runs=orderly, crashed_runs=[] if orderly else [config.run_id])
    context.log.info(
        "%d of %s returned to the queue. What the run had begun to deliver returns by itself within two "
        "minutes, since a process of it may still be sending.",
        rescued.returned,
        counted(held, "contact"),
    )


def _holders(instance: dg.DagsterInstance, holders: dict[str, int]) -> str:
    rows = []
    for run_id, claims in holders.items():
        record = instance.get_run_record_by_id(run_id)
        rows.append(f"| {run_id} | {record.dagster_run.status.value if record else 'unknown'} | {claims} |")
    return "| run | status in Dagster | contacts |\n| --- | --- | --- |\n" + "\n".join(rows)


@dg.op(description="Asks for the account and its attributes; sending that had stopped for them goes on.")
def look_at_account(
    context: dg.OpExecutionContext, destination: dg.ResourceParam[Destination]
) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
    with sentences(), destination.open() as account:
        looked = check_account(account)
        gate = account.gate.read()
        if looked.problems and not gate.paused:
            # Should the key be refused, that is what people are told, and what every page says from now on.
            turn = pacer_for(account.gate, account.destination.rate_limit_per_second).wait
            gate = close_if_refused(account.gate, account.crm, turn=turn)
    yield attributes_evaluation(destination.name, looked)
    if looked.reopened:
        context.log.info("Sending had stopped, and goes on with the next run.")
    for finding in looked.findings:
        context.log.info("%s %s: %s", _mark(finding), finding.subject, scrub(finding.detail))
    if looked.problems:
        if gate.paused and gate.pause_kind in {"credentials", "settings", "outage", "attributes"}:
            # One cause, one alert: people are told of the gate.
            context.instance.add_run_tags(context.run_id, {GATE_TAG: gate.pause_kind})
        first = looked.problems[0]
        raise dg.Failure(
            f"{first.subject}: {scrub(first.detail)} ({counted(len(looked.problems), 'problem')} in all.)",
            allow_retries=False,
        )
    yield dg.Output(None, metadata={"findings": len(looked.findings)})


def attributes_evaluation(crm: str, looked: Preflight) -> dg.AssetCheckEvaluation:
    rows = "\n".join(f"| {_mark(one)} | {one.subject} | {scrub(one.detail)} |" for one in looked.findings)
    problems = ", ".join(one.subject for one in looked.problems)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([crm, "account"]),
        check_name=ATTRIBUTES_EXIST,
        passed=not looked.problems,
        description=f"Wrong: {problems}." if problems else "The account has what the mapping needs.",
        metadata={
            "problems": len(looked.problems),
            "findings": dg.MetadataValue.md(f"| | what | finding |\n| --- | --- | --- |\n{rows}"),
        },
    )


def _mark(finding: Finding) -> str:
    return "ok" if finding.ok else "FAILED" if finding.blocking else "warning"


class ProvisionConfig(dg.Config):
    """Whether missing attributes are created, or only named."""

    dry_run: bool = _DRY_RUN


@dg.op(description="Creates the attributes and options that the mapping and the contacts' custom fields need.")
def create_attributes(
    context: dg.OpExecutionContext, config: ProvisionConfig, destination: dg.ResourceParam[Destination]
) -> None:
    with sentences(), destination.open() as account:
        names = provision_account(account, dry_run=config.dry_run)
    done = "would be created or extended" if config.dry_run else "created or extended"
    context.log.info("%s %s: %s", counted(len(names), "attribute"), done, ", ".join(names) or "nothing is missing")
    context.add_output_metadata({"attributes": names, "dry_run": config.dry_run})


def operator_jobs(destination: CrmSettings, read: ReadSettings = load_settings) -> list[dg.JobDefinition]:
    """Those of a destination."""
    title = destination.title

    def job(
        name: str, op: dg.OpDefinition, description: str, config: type[dg.Config] | None = None
    ) -> dg.JobDefinition:
        name = f"{destination.name}_{name}"
        graph = dg.GraphDefinition(name, node_defs=[op], description=description)
        make = partial(
            graph.to_job,
            executor_def=dg.in_process_executor,
            resource_defs={"destination": resource_of(destination.name, begin_anew, read=read)},
            tags={
                **of_destination(destination.name),
                JOB_TAG: name,
                "dagster/max_runtime": "600",
                "dagster/max_retries": "0",
            },
        )
        return make() if config is None else checked(make, {op.name: config})

    return [
        job(
            "retry_failed",
            retry_failed,
            f"Puts contacts that have failed at {title} back in the queue, all or those of one kind of error. Counts "
            "first: while `dry_run` is true, which it is unless you change it, nothing changes.",
            RetryConfig,
        ),
        job(
            "release_claims",
            release_claims,
            "Gives back the contacts that a dead run had taken. Every tick does so by itself, 25 minutes after the run "
            "took them at the latest. This job is for those who cannot wait.",
            ReleaseConfig,
        ),
        job(
            "check_account",
            look_at_account,
            f"Looks for everything that would keep contacts from arriving at {title}: key, list, attributes and their "
            "types. When all is well, sending that had stopped for it goes on. Fails when something is wrong.",
        ),
        job(
            "provision",
            create_attributes,
            f"Creates the attributes that the mapping needs and the account at {title} does not have. Attributes of "
            "choices get the options that contacts have. Only what contacts have values for is created. Sending that "
            "waits for it goes on. Everything else stays as it is. It is safe to repeat. "
            "While `dry_run` is true, which it is unless you change it, the job only names them.",
        ),
    ]


def attributes_check(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.AssetChecksDefinition:
    """What `look_at_account` evaluates, to be executed from its page."""
    name = destination.name

    @dg.asset_check(
        asset=[name, "account"],
        name=ATTRIBUTES_EXIST,
        description=f"{destination.title} accepts the key, and the account has the list and the attributes that the "
        "mapping needs. A CRM may drop values of attributes that it does not have, and report success. Evaluated daily "
        f"by {name}_check_account.",
    )
    def attributes_exist() -> dg.AssetCheckResult:
        # By name and not by a resource: see `checks_of`.
        with sentences(), Destination(name, read).open() as account:
            looked = check_account(account)
        return result_of(attributes_evaluation(name, looked))

    return attributes_exist


def check_account_schedule(destination: CrmSettings) -> dg.ScheduleDefinition:
    """When the account is looked at."""
    skip = dg.SkipReason(f"{destination.missing} is not set.") if destination.missing else None
    return dg.ScheduleDefinition(
        name=f"{destination.name}_check_account_schedule",
        cron_schedule="10 6 * * *",
        job_name=f"{destination.name}_check_account",
        execution_fn=lambda _: skip or dg.RunRequest(),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Daily: attributes are renamed and lists deleted at {destination.label} by people who do not know "
        "of this.",
    )
