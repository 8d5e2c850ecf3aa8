"""What is worth telling people: how a CRM's deliveries stand, and runs that fail.

One cause, one alert: while sending is stopped or paused, that is what people are told; contacts that wait for it,
attempts that failed for it and runs that ended for it begin no alert of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from crm_pipelines.alerts.messages import Reason
from crm_pipelines.alerts.states import AlertCondition
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.orchestration.standing import FEWEST_ATTEMPTS, DestinationStanding, look_at
from crm_pipelines.orchestration.sync.batches import launch_config
from crm_pipelines.orchestration.sync.run_now import sentence_of
from crm_pipelines.orchestration.sync.stops import was_stopped
from crm_pipelines.orchestration.sync.tags import GATE_TAG, runs_of
from crm_pipelines.statistics.delays import lateness
from crm_pipelines.statistics.failures import CommonReason, FailureWatcher
from crm_pipelines.statistics.standing import WHEN_LATE, Standing, late
from crm_pipelines.vocabulary import counted, in_brief

# A state is over when its figure is this much below its threshold: one that moves about it is told once.
_OVER_BELOW = 0.8
# People are told once, and reminded while it can still be put right without much ado.
_CHANGE_LASTS = timedelta(days=1)
_RUNS_LOOKED_AT = 25
# By whether the job is that of deliveries: the others run once an hour or a day.
_NEXT = {
    True: "The next tick tries again by itself.",
    False: "Correct that, and launch the job again; else this alert lasts until its next run.",
}

SECTIONS = {
    "credentials": "the-crm-refuses-us",
    "settings": "the-crm-does-not-take-a-setting",
    "manual": "sending-was-stopped-by-hand",
    "restored": "a-restored-database",
    "attributes": "the-crm-lacks-what-the-mapping-needs",
    "outage": "the-crm-does-not-answer",
    "allowance": "the-allowance-of-a-day-is-used-up",
    "rejects": "the-crm-rejects-too-many-contacts",
}
"""Of docs/runbook.md, by what stops or pauses sending."""

# Each pause of these is a new one for the gate, and the same for people.
_COMES_AGAIN = frozenset({"outage"})


def database_finding(crm: str, title: str, problem: str) -> AlertCondition:
    """The contacts database cannot be asked, so nothing else is known."""
    return AlertCondition(
        key=f"{crm}.database",
        headline=f"The contacts database cannot be used, so nothing is delivered to {title}.",
        action="See whether Postgres runs and CRM_DATABASE_URL is right; after an update, `crm-pipelines db upgrade`.",
        runbook="the-contacts-database-cannot-be-used",
        page="/deployment/daemons",
        reasons=lambda: (Reason(text=problem),),
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is worth telling about one CRM, what nobody can judge at present, and the figures in one line."""

    findings: list[AlertCondition]
    unjudged: frozenset[str]
    figures: str


def look(account: Account, *, now: datetime) -> Look:
    """Raises sqlalchemy.exc.DBAPIError."""
    crm = account.queue.crm
    watcher = FailureWatcher(account.engine, crm)
    seen = look_at(account)
    standing, figures = seen.judge(now), seen.figures
    stopped = standing_finding(standing, seen.gate)
    found = [stopped, account_finding(standing.title, seen.gate, now), _error_backlog(watcher, seen)]
    unjudged = {f"{crm}.failure_rate", f"{crm}.oldest_due"} if stopped else set()
    if stopped is None:
        found += [_failure_rate(watcher, seen), _oldest_due(watcher, seen, now)]
    threshold = seen.thresholds.delay_p95_minutes
    if threshold is not None:
        # Until sending has been on for so long, nothing can have waited for too long.
        if stopped is None and seen.gate.open_for >= timedelta(minutes=threshold):
            found.append(_delay(account, watcher, seen, threshold))
        else:
            unjudged.add(f"{crm}.delay")
    return Look(
        findings=[finding for finding in found if finding],
        unjudged=frozenset(unjudged),
        figures=f"{standing.sentence} {counted(figures.failed, 'contact')} failed; {figures.failed_attempts} of "
        f"{counted(figures.attempts, 'attempt')} failed lately.",
    )


def standing_finding(standing: Standing, gate: Gate) -> AlertCondition | None:
    """None unless something stops or pauses sending that people should know of."""
    if standing.cause not in SECTIONS:
        return None
    return AlertCondition(
        key=f"{standing.crm}.gate.{standing.cause}",
        headline=standing.sentence,
        action=standing.action or "",
        runbook=SECTIONS[standing.cause],
        page=f"/assets/{standing.crm}/contacts",
        since=None if standing.cause in _COMES_AGAIN else gate.changed_at,
        reasons=lambda: (Reason(text=standing.reason or "unknown"),),
    )


def account_finding(title: str, gate: Gate, now: datetime) -> AlertCondition | None:
    """For a day after another account took the place of the former one, if anything was known of that one."""
    if gate.account_since is None or not gate.contacts_forgotten or now - gate.account_since > _CHANGE_LASTS:
        return None
    return AlertCondition(
        key=f"{gate.crm}.account",
        headline=f"The key of {title} opens another account than it did; {counted(gate.contacts_forgotten, 'contact')} "
        f"{'is' if gate.contacts_forgotten == 1 else 'are'} not selected any more.",
        action=f"If that is meant, select those that are to go there. If not, set the key of {gate.former_account}. "
        "Either way, nothing is sent until contacts are selected.",
        runbook="another-account",
        page=f"/assets/{gate.crm}/contacts",
        since=gate.account_since,
        reasons=lambda: (Reason(text=f"The account is {gate.account}{gate.account_change}."),),
    )


def _error_backlog(watcher: FailureWatcher, seen: DestinationStanding) -> AlertCondition | None:
    crm, failed, threshold = watcher.crm, seen.figures.failed, seen.thresholds.error_backlog
    if failed < threshold * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.error_backlog",
        headline=f"{counted(failed, 'contact')} {'has' if failed == 1 else 'have'} failed at {seen.title} (alert at "
        f"{threshold}).",
        action=f"See `crm-pipelines status {crm}`. Once the cause is removed, `crm-pipelines retry {crm} --all` queues "
        "them again.",
        runbook="contacts-have-failed",
        page=f"/assets/{crm}/contacts",
        begins=failed >= threshold,
        reasons=_lazily(lambda: watcher.reasons_of_contacts("failed")),
    )


def _failure_rate(watcher: FailureWatcher, seen: DestinationStanding) -> AlertCondition | None:
    crm, figures, threshold = watcher.crm, seen.figures, seen.thresholds.failure_rate_percent
    if figures.attempts < FEWEST_ATTEMPTS or figures.percent < threshold * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.failure_rate",
        headline=f"{figures.percent:.0f} % of the last hour's {figures.attempts} attempts at {seen.title} failed "
        f"(alert at {threshold:g} %).",
        action=f"See `crm-pipelines status {crm}`, and `crm-pipelines check {crm}` for what is wrong with the account.",
        runbook="many-attempts-fail",
        page=f"/assets/{crm}/contacts",
        begins=figures.percent >= threshold,
        reasons=_lazily(watcher.reasons_of_last_hour),
    )


def _oldest_due(watcher: FailureWatcher, seen: DestinationStanding, now: datetime) -> AlertCondition | None:
    crm, waiting, backlog = watcher.crm, seen.waiting, seen.backlog
    if waiting < seen.longest * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.oldest_due",
        headline=late(seen.title, due=backlog.due, put_off=backlog.put_off, waiting=waiting, longest=seen.longest),
        action=WHEN_LATE,
        runbook="due-contacts-wait-too-long",
        page=f"/assets/{crm}/queue",
        since=now - waiting,
        begins=waiting >= seen.longest,
        reasons=_lazily(lambda: watcher.reasons_of_contacts("queued")),
    )


def _delay(
    account: Account, watcher: FailureWatcher, seen: DestinationStanding, threshold: float
) -> AlertCondition | None:
    crm = watcher.crm
    figures = lateness(account.engine, crm, late=timedelta(minutes=threshold * _OVER_BELOW))
    if figures.p95_seconds < threshold * 60 * _OVER_BELOW:
        return None
    waiting = f"; {_they_wait(figures.waiting)}" if figures.waiting else ""
    return AlertCondition(
        key=f"{crm}.delay",
        headline=f"Changes take {in_brief(figures.p95_seconds)} to {seen.title}: the 95th percentile of the last hour, "
        f"with {counted(figures.delivered, 'delivery', 'deliveries')}{waiting} (alert at {threshold:g} min).",
        action=WHEN_LATE,
        runbook="changes-arrive-late",
        page=f"/assets/{crm}/queue",
        begins=figures.p95_seconds >= threshold * 60,
        reasons=_lazily(lambda: watcher.reasons_of_contacts("queued")),
    )


def _they_wait(waiting: int) -> str:
    return f"{counted(waiting, 'contact')} still {'waits' if waiting == 1 else 'wait'}"


def _lazily(ask: Callable[[], Sequence[CommonReason]]) -> Callable[[], Sequence[Reason]]:
    return lambda: tuple(Reason(text=reason.text, contacts=reason.contacts) for reason in ask())


def run_finding(instance: dg.DagsterInstance, job: str) -> AlertCondition | None:
    """The latest runs of the job have failed for good, with none that succeeded since.

    The last attempt counts, not the first: only a run whose worker crashed is tried again (dagster.yaml), within a
    minute, and when that succeeds, nobody need be woken; the crash shows in Dagster's pages. A failed op is retried by
    no run, so it is told at once, and what fails after it adds to the same state. A run that was told to end, say since
    its machine is drained, tells neither.
    """
    records = instance.get_run_records(
        runs_of(job, [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]), limit=_RUNS_LOOKED_AT
    )
    failed: list[dg.RunRecord] = []
    for run, record in ((record.dagster_run, record) for record in records if not was_stopped(record.dagster_run)):
        if run.status is dg.DagsterRunStatus.SUCCESS and not is_dry(run):
            break
        if run.status is dg.DagsterRunStatus.FAILURE and not will_be_retried(run) and not run.tags.get(GATE_TAG):
            failed.append(record)
    if not failed:
        return None
    latest, first = failed[0], failed[-1]
    many = f"{len(failed)} runs of {job} in a row have failed" if len(failed) > 1 else f"A run of {job} has failed"
    return AlertCondition(
        key=f"{job}.run_failed",
        headline=f"{many}, and none has succeeded since.",
        action=f"Open the latest run: its log says at which step and why. {_NEXT[job.endswith('_sync')]}",
        runbook="a-run-has-failed",
        page=f"/runs/{latest.dagster_run.run_id}",
        since=datetime.fromtimestamp(first.end_time, UTC) if first.end_time else None,
        reasons=lambda: (Reason(text=_why(instance, latest.dagster_run.run_id)),),
    )


def is_dry(run: dg.DagsterRun) -> bool:
    """A dry run's success says nothing about deliveries."""
    return bool(launch_config(run).get("dry_run"))


def will_be_retried(run: dg.DagsterRun) -> bool:
    return run.tags.get("dagster/will_retry") == "true"


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in failures:
        if entry.dagster_event is not None:
            return sentence_of(entry.dagster_event.step_failure_data)
    return "Its worker ended without a message: it was out of memory or killed, or the machine went down."
