"""Whether Brevo holds what it was told: an hourly check that reads a sample back."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from pydantic import Field

from crm_pipelines.contacts.sampling import Sampler
from crm_pipelines.delivery.fidelity import LOWEST_PERCENT, Fidelity, FidelityReader
from crm_pipelines.delivery.opening import Account
from crm_pipelines.orchestration.assets import brevo_read_back
from crm_pipelines.orchestration.resources import Destination, sentences
from crm_pipelines.settings import CrmSettings

FIDELITY = "fidelity"
_KEY = dg.AssetCheckKey(brevo_read_back.key, FIDELITY)
_UNTIL = "looked_until"
# Without an earlier look. What is older was edited at Brevo by hand often enough to tell little.
_FURTHEST_BACK = timedelta(days=1)


class FidelityConfig(dg.Config):
    """How many contacts are read back."""

    sample: int = Field(50, ge=1, le=1000, description="Contacts, drawn by chance; each costs one request or two.")


@dg.asset_check(
    asset=brevo_read_back.key,
    name=FIDELITY,
    description="Brevo holds what it was told. Of the contacts that were delivered since the last look, a sample is "
    "read back and compared field by field, in the form in which values are the same to Brevo. A field fails below "
    "95 %: Brevo drops what it does not know and reports success. Evaluated hourly by brevo_fidelity. Contacts that "
    "were edited meanwhile are left out; one that was corrected by hand at Brevo counts as different.",
)
def fidelity(
    context: dg.AssetCheckExecutionContext, config: FidelityConfig, destination: dg.ResourceParam[Destination]
) -> dg.AssetCheckResult:
    since, now = last_look(context.instance), datetime.now(UTC)
    with sentences(), destination.open() as account:
        found = _reader(account.admitted()).read(since, config.sample)
    context.log.info(
        "%d contacts compared, %d edited meanwhile, %d not readable. %s",
        found.compared,
        found.edited,
        found.unread,
        _verdict(found),
    )
    # What a paused gate kept from being read is looked at the next time.
    until = since if found.halted else now
    return dg.AssetCheckResult(
        passed=not found.low,
        description=_verdict(found),
        metadata={
            "compared": found.compared,
            "edited_meanwhile": found.edited,
            "not_readable": found.unread,
            "lowest_match_percent": round(min((found.percent(name) for name in found.seen), default=100.0), 1),
            "fields": dg.MetadataValue.md(_table(found)),
            "since": since.isoformat(timespec="seconds"),
            _UNTIL: dg.MetadataValue.timestamp(until),
        },
    )


def last_look(instance: dg.DagsterInstance) -> datetime:
    """Until when contacts were looked at, at the furthest a day ago."""
    # Not the latest record: while a look goes on, that is its own, without a verdict.
    ended = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    history = instance.event_log_storage.get_asset_check_execution_history(_KEY, limit=1, status=ended)
    furthest = datetime.now(UTC) - _FURTHEST_BACK
    event = history[0].event.dagster_event if history and history[0].event else None
    until = event.asset_check_evaluation_data.metadata.get(_UNTIL) if event else None
    if not isinstance(until, dg.TimestampMetadataValue):
        return furthest
    return max(furthest, datetime.fromtimestamp(until.value, UTC))


def _reader(account: Account) -> FidelityReader:
    return FidelityReader(
        queue=account.queue,
        sampler=Sampler(account.engine, account.queue.crm),
        gate=account.gate,
        crm=account.crm,
        limit=account.rate_limit(account.gate.read()),
    )


def _verdict(found: Fidelity) -> str:
    if found.low:
        worst = ", ".join(f"{name} {found.percent(name):.0f} %" for name in found.low[:5])
        return f"Below {LOWEST_PERCENT:g} %: {worst}."
    if found.halted:
        return f"The reading ended early: {found.halted}."
    return f"{found.compared} contacts are at Brevo as they were sent." if found.compared else "Nothing to compare."


def _table(found: Fidelity) -> str:
    rows = [
        f"| {name} | {found.seen[name]} | {found.percent(name):.1f} % |"
        for name in sorted(found.seen, key=lambda name: (found.percent(name), name))
    ]
    return "| field | compared | the same |\n| --- | ---: | ---: |\n" + "\n".join(rows)


brevo_fidelity = dg.define_asset_job(
    "brevo_fidelity",
    selection=dg.AssetSelection.checks(fidelity),
    executor_def=dg.in_process_executor,
    tags={"dagster/max_runtime": "900", "dagster/max_retries": "0"},
    description="Reads a sample of the contacts that were delivered since the last look back from Brevo, and compares "
    "field by field. At the account's pace, behind deliveries that go on meanwhile.",
)


def build_brevo_fidelity_schedule(settings: CrmSettings, destination: Destination) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="brevo_fidelity_schedule",
        cron_schedule="37 * * * *",
        target=brevo_fidelity,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Hourly. Skips when nothing was delivered since the last look.",
    )
    def brevo_fidelity_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if settings.missing is not None:
            return dg.SkipReason("BREVO_API_KEY is not set.")
        with destination.open() as account:
            if account.gate.read().paused:
                return dg.SkipReason("The gate is paused.")
            if not Sampler(account.engine, account.queue.crm).any_delivered(last_look(context.instance)):
                return dg.SkipReason("Nothing was delivered since the last look.")
        return dg.RunRequest()

    return brevo_fidelity_schedule
