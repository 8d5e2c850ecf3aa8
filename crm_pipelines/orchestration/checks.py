"""The asset checks of each destination: what they say, and who evaluates them.

| checks | evaluated by |
| --- | --- |
| sums_add_up | every run |
| nothing_stuck, oldest_due, gate_is_open, error_backlog, attempts_succeed | every run, and its `…_checks_sensor` |
| attributes_exist | `…_check_account`, daily |
| fidelity | `…_fidelity`, hourly |

Each may be executed from its page as well. Thresholds are those of the alerts, so that a red check and an alert are
about the same state.
"""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from crm_pipelines.alerts.messages import in_words
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.assets import queue_materialization, standing_metadata
from crm_pipelines.orchestration.resources import Destination, ReadSettings, sentences
from crm_pipelines.orchestration.standing import FEWEST_ATTEMPTS, DestinationStanding, look_at
from crm_pipelines.settings import CrmSettings, load_settings
from crm_pipelines.statistics.standing import late
from crm_pipelines.vocabulary import counted

SUMS_ADD_UP = "sums_add_up"

# An outage is seen within a minute of its beginning, also while no run ends.
_INTERVAL_SECONDS = 30
_REPORT_SECONDS = 3600

# What each says, by name.
_STANDING = {
    "nothing_stuck": "No contact is held by a run that gives no sign of life. What such a run took returns to the "
    "queue with the next tick. What to do: docs/runbook.md, Red checks.",
    "oldest_due": "The contact that has been due for longest has waited for less than ALERT_OLDEST_DUE_MINUTES. Time "
    "in which sending was paused or stopped does not count.",
    "gate_is_open": "Sending is on: the CRM answers, accepts the key and does not reject too much. A pause for its "
    "rate limit is no failure.",
    "error_backlog": "Fewer contacts than ALERT_ERROR_BACKLOG have failed.",
    "attempts_succeed": "Of the last hour's attempts, fewer than ALERT_FAILURE_RATE_PERCENT have failed. It is judged "
    "from 20 attempts on.",
}
_OF_THE_QUEUE = frozenset({"nothing_stuck", "oldest_due", "gate_is_open"})


def standing_checks(crm: str) -> list[dg.AssetCheckKey]:
    """Those that every run evaluates, and every minute a sensor."""
    return [dg.AssetCheckKey(_asset_of(crm, name), name) for name in _STANDING]


def _asset_of(crm: str, check: str) -> dg.AssetKey:
    return dg.AssetKey([crm, "queue" if check in _OF_THE_QUEUE else "contacts"])


def sums_evaluation(crm: str, totals: Totals) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([crm, "contacts"]),
        check_name=SUMS_ADD_UP,
        passed=totals.unaccounted == 0,
        metadata={**totals.counts(), "unaccounted": totals.unaccounted},
        description="Every contact that a run took has exactly one result.",
    )


def standing_evaluations(standing: DestinationStanding) -> Iterator[dg.AssetCheckEvaluation]:
    """One verdict per check of `standing_checks`, with the figures that it rests on."""
    figures, backlog, limits = standing.figures, standing.backlog, standing.thresholds
    judged, waiting = standing.judge(), standing.waiting
    verdict = partial(_verdict, standing.crm)
    yield verdict(
        "nothing_stuck",
        # While nothing may be sent no run starts that would return them.
        passed=standing.stuck == 0 or standing.gate.paused,
        description=f"{counted(standing.stuck, 'contact')} held by a run without a sign of life for "
        f"{in_words(standing.stuck_after)}.",
        metadata={"stuck": standing.stuck, "stuck_after_minutes": standing.stuck_after.total_seconds() / 60},
    )
    yield verdict(
        "oldest_due",
        passed=judged.condition != "behind",
        # What waits because sending is stopped or paused is told as that.
        description=late(
            standing.title, due=backlog.due, put_off=backlog.put_off, waiting=waiting, longest=standing.longest
        )
        if judged.condition in {"working", "behind"} and (backlog.due or backlog.put_off)
        else judged.sentence,
        metadata={
            "due": backlog.due,
            "put_off": backlog.put_off,
            "oldest_due_minutes": round(waiting.total_seconds() / 60, 1),
            "threshold_minutes": limits.oldest_due_minutes,
        },
    )
    yield verdict(
        "gate_is_open",
        passed=judged.colour != "bad",
        description=judged.sentence,
        metadata={
            **standing_metadata(judged),
            "consecutive_failures": standing.gate.consecutive_failures,
            "probing": standing.gate.probing,
        },
    )
    yield verdict(
        "error_backlog",
        passed=figures.failed < limits.error_backlog,
        description=f"{counted(figures.failed, 'contact')} {'has' if figures.failed == 1 else 'have'} failed.",
        metadata={"failed": figures.failed, "threshold": limits.error_backlog},
    )
    yield verdict(
        "attempts_succeed",
        passed=figures.attempts < FEWEST_ATTEMPTS or figures.percent < limits.failure_rate_percent,
        description=f"{figures.failed_attempts} of {counted(figures.attempts, 'attempt')} failed, of the last hour as "
        "far as sending was on since.",
        metadata={
            "attempts": figures.attempts,
            "failed_attempts": figures.failed_attempts,
            "failed_percent": round(figures.percent, 1),
            "threshold_percent": limits.failure_rate_percent,
        },
    )


def _verdict(
    crm: str, name: str, *, passed: bool, description: str, metadata: Mapping[str, Any]
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=_asset_of(crm, name), check_name=name, passed=passed, description=description, metadata=metadata
    )


def result_of(evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    """The same, as a check that is executed by itself gives it."""
    return dg.AssetCheckResult(
        asset_key=evaluation.asset_key,
        check_name=evaluation.check_name,
        passed=evaluation.passed,
        metadata=evaluation.metadata,
        description=evaluation.description,
    )


def checks_of(destination: CrmSettings, read: ReadSettings = load_settings) -> list[dg.AssetChecksDefinition]:
    """Those of its queue and of what it holds, to be executed from their pages."""
    # No resource: Dagster runs the checks of all destinations in one job, where a resource key means one thing.
    name, opened = destination.name, Destination(destination.name, read).open

    @dg.multi_asset_check(
        name=f"{name}_how_deliveries_stand",
        specs=[
            dg.AssetCheckSpec(check, asset=_asset_of(name, check), description=description)
            for check, description in _STANDING.items()
        ],
        can_subset=True,
    )
    def how_deliveries_stand(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with sentences(), opened() as account:
            standing = look_at(account)
        for evaluation in standing_evaluations(standing):
            if evaluation.asset_check_key in context.selected_asset_check_keys:
                yield result_of(evaluation)

    @dg.asset_check(
        asset=[name, "contacts"],
        name=SUMS_ADD_UP,
        description="Every contact that the latest run took has exactly one result. Each run evaluates it; launched "
        "by hand, it looks at the latest run's figures again.",
    )
    def sums_add_up(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        event = context.instance.get_latest_materialization_event(dg.AssetKey([name, "contacts"]))
        if event is None or event.asset_materialization is None:
            return dg.AssetCheckResult(passed=True, description="No run has reported yet.")
        reported = event.asset_materialization.metadata
        figures: dict[str, Any] = {one: reported[one].value for one in Totals().counts() if one in reported}
        unaccounted = Totals(**figures).unaccounted
        return dg.AssetCheckResult(passed=unaccounted == 0, metadata={**figures, "unaccounted": unaccounted})

    return [how_deliveries_stand, sums_add_up]


def checks_sensor(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.SensorDefinition:
    """Keeps the checks true between runs, and when runs fail."""

    @dg.sensor(
        name=f"{destination.name}_checks_sensor",
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Evaluates the checks of how deliveries stand, and reports them and the queue when a verdict has "
        "changed; else once an hour, so that the asset is fresh for as long as somebody looks.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set.")
        with sentences(), Destination(destination.name, read).open() as account:
            standing = look_at(account)
        storage = context.instance.event_log_storage
        known = storage.get_latest_asset_check_execution_by_key(standing_checks(destination.name))
        verdicts = list(standing_evaluations(standing))
        changed = [one for one in verdicts if _is_news(known.get(one.asset_check_key), one)]
        events: list[Any] = []
        if changed or _report_is_due(context.instance, destination.name):
            # The asset and its checks tell of the same moment; and a verdict that is older than its asset's latest
            # report does not show.
            events = [queue_materialization(standing), *verdicts]
        changes = ", ".join(f"{one.check_name} {'passes' if one.passed else 'fails'}" for one in changed)
        return dg.SensorResult(skip_reason=changes or "No verdict has changed.", asset_events=events)

    return sensor


def _is_news(before: AssetCheckExecutionRecord | None, now: dg.AssetCheckEvaluation) -> bool:
    """Whether the verdict has changed or the sentence that people read there: of what is red, any; else what ails."""
    if before is None or (before.status is AssetCheckExecutionRecordStatus.SUCCEEDED) != now.passed:
        return True
    told = before.evaluation.metadata if before.evaluation else {}
    if not now.passed and told.get("sentence") != now.metadata.get("sentence"):
        return True
    return _ails(told) != _ails(now.metadata)


def _ails(metadata: Mapping[str, dg.MetadataValue[Any]]) -> object:
    """The condition, unless all is well; None where none is told."""
    colour, condition = metadata.get("colour"), metadata.get("condition")
    return None if colour is None or colour.value in {"good", "busy"} or condition is None else condition.value


def _report_is_due(instance: dg.DagsterInstance, crm: str) -> bool:
    latest = instance.get_latest_materialization_event(dg.AssetKey([crm, "queue"]))
    return latest is None or time.time() - latest.timestamp > _REPORT_SECONDS
