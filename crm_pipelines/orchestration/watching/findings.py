"""What is worth telling people: how a CRM's deliveries stand, and runs that fail.

One cause, one alert: while the gate is closed, that is what people are told; contacts that wait for it, attempts that
failed against it and runs that ended for it begin no alert of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg

from crm_pipelines.alerts.messages import Reason
from crm_pipelines.alerts.states import AlertCondition
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.orchestration.standing import FEWEST_ATTEMPTS, DestinationStanding, look_at
from crm_pipelines.orchestration.sync.batches import launch_config
from crm_pipelines.orchestration.sync.run_now import sentence_of
from crm_pipelines.orchestration.sync.tags import GATE_TAG
from crm_pipelines.settings import AlertSettings
from crm_pipelines.statistics.failures import CommonReason, FailureFigures, FailureWatcher

# A state is over when its figure is this much below its threshold: one that moves about it is told once.
_OVER_BELOW = 0.8
# The breaker for rejects pauses 15 minutes; what comes in the next 15 decides whether the mapping was mended.
_REJECTS_LAST = timedelta(minutes=30)
# A longer pause for rate is for the allowance of a day: no other window lasts more than an hour. It ends with a try,
# with which it may begin anew; what comes within this time after it is the same one.
_WINDOWS_LAST = timedelta(hours=1, minutes=5)
_ALLOWANCE_LASTS = timedelta(minutes=15)
# People are told once, and reminded while it can still be put right without much ado.
_CHANGE_LASTS = timedelta(days=1)
_RUNS_LOOKED_AT = 25

# By the kind of the outcome that closed the gate.
_REFUSALS = {
    "credentials": (
        "refuses the key",
        "Set a valid key and restart the code server; the gate opens by itself.",
    ),
    "ip_not_authorised": (
        "refuses this machine's address",
        "Allow the address at the CRM (see the reason). The next tick opens the gate; `crm-pipelines check {crm}` now.",
    ),
    "credits": ("refuses requests for want of credits", "Buy credits or change the plan at the CRM."),
    "permission": ("refuses the key for want of a permission", "Give the key the right to write contacts."),
    "account": ("refuses requests of this account", "Have the account validated by the CRM."),
}
_REFUSED = ("refuses us", "Do what the reason says. The next tick opens the gate; `crm-pipelines check {crm}` now.")

# By the kind of the pause.
_OPENED_BY_PEOPLE = {
    "manual": ("the gate was closed by hand", "the-gate-was-closed-by-hand"),
    "restored": ("the database was restored or copied", "a-restored-database"),
    "attributes": ("the account lacks what the mapping needs", "the-account-lacks-attributes"),
}


def database_finding(crm: str, problem: str) -> AlertCondition:
    """The contacts database cannot be asked, so nothing else is known."""
    return AlertCondition(
        key=f"{crm}.database",
        headline=f"The contacts database cannot be used, so nothing is delivered to {crm}.",
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
    standing = look_at(account)
    gate, backlog, figures, alerts = standing.gate, standing.backlog, standing.figures, standing.thresholds
    closed = gate_finding(crm, gate, now)
    found = [closed, account_finding(crm, gate, now), _error_backlog(watcher, figures, alerts)]
    if closed is None:
        found += [_failure_rate(watcher, figures, alerts), _oldest_due(watcher, standing, now)]
    return Look(
        findings=[finding for finding in found if finding],
        unjudged=frozenset({f"{crm}.failure_rate", f"{crm}.oldest_due"} if closed else ()),
        figures=f"{figures.failed} failed; {figures.failed_attempts} of {figures.attempts} attempts failed lately; "
        f"{backlog.due} due{backlog.and_put_off}, the oldest for {backlog.oldest_due_seconds / 60:.0f} min; "
        f"gate {f'paused ({gate.pause_kind})' if gate.paused else 'open'}.",
    )


def gate_finding(crm: str, gate: Gate, now: datetime) -> AlertCondition | None:
    """None for an open gate, and while a rate limit of less than a day is waited out."""
    reasons = (Reason(text=gate.pause_reason or "unknown"),)
    found = partial(AlertCondition, page=f"/assets/{crm}/contacts", reasons=lambda: reasons)
    lasting = partial(found, since=gate.changed_at)
    if gate.closed_for_credentials or gate.tries_credentials:
        what, action = _REFUSALS.get(gate.refused_kind or "", _REFUSED)
        return lasting(
            key=f"{crm}.gate.credentials",
            headline=f"{crm} {what}: nothing is sent, contacts wait uncharged.",
            action=action.format(crm=crm),
            runbook="the-crm-refuses-us",
        )
    if gate.waits_for_a_person:
        what, runbook = _OPENED_BY_PEOPLE[gate.pause_kind or ""]
        return lasting(
            key=f"{crm}.gate.{gate.pause_kind}",
            headline=f"{crm}: {what}: nothing is sent, contacts wait uncharged.",
            action=f"Create it (`crm-pipelines provision {crm}`), or send without it (`crm-pipelines gate open {crm}`)."
            if gate.waits_for_attributes
            else f"Open it once that is meant: `crm-pipelines gate open {crm}`.",
            runbook=runbook,
        )
    if gate.closed_for_settings:
        return lasting(
            key=f"{crm}.gate.settings",
            headline=f"{crm} does not take what the settings put into every request: nothing is sent, contacts wait "
            "uncharged.",
            action="Mend the setting (see the reason) and restart the code server; the gate opens by itself, with "
            f"`crm-pipelines check {crm}` now.",
            runbook="the-crm-does-not-take-a-setting",
        )
    # Open to a single contact between two pauses: the outage is over when that one has arrived.
    if gate.probing or (gate.paused and gate.pause_kind == "outage"):
        return found(
            key=f"{crm}.gate.outage",
            headline=f"{crm} does not answer as it should: sending pauses, one contact at a time tries it again.",
            action="Nothing, if the CRM's status page shows an incident: delivery goes on by itself. Otherwise see "
            f"`crm-pipelines check {crm}`, the network and the proxy.",
            runbook="the-crm-does-not-answer",
        )
    if gate.pause_kind == "rate_limit" and _is_of_a_day(gate, now):
        return lasting(
            key=f"{crm}.gate.allowance",
            headline=f"{crm}: the day's allowance of requests is used up: nothing is sent, contacts wait uncharged.",
            action="Nothing: delivery goes on by itself when the CRM's next day begins. If it happens again, let other "
            "tools that use the account ask less, or buy a higher limit.",
            runbook="the-allowance-of-a-day-is-used-up",
        )
    if gate.pause_kind == "rejects" and (gate.paused or now - gate.changed_at < _REJECTS_LAST):
        return lasting(
            key=f"{crm}.gate.rejects",
            headline=f"{crm} rejects so many contacts that sending pauses 15 minutes at a time.",
            action=f"Mend the mapping or the data (`crm-pipelines status {crm}` has samples), then "
            f"`crm-pipelines retry {crm} --all`.",
            runbook="the-crm-rejects-too-many-contacts",
        )
    return None


def _is_of_a_day(gate: Gate, now: datetime) -> bool:
    if gate.paused_until is None or gate.paused_until - gate.changed_at < _WINDOWS_LAST:
        return False
    return now < gate.paused_until + _ALLOWANCE_LASTS


def account_finding(crm: str, gate: Gate, now: datetime) -> AlertCondition | None:
    """For a day after another account took the place of the former one, if anything was known of that one."""
    if gate.account_since is None or not gate.contacts_forgotten or now - gate.account_since > _CHANGE_LASTS:
        return None
    return AlertCondition(
        key=f"{crm}.account",
        headline=f"{crm}: the key opens another account than it did; {gate.contacts_forgotten} contacts are New again.",
        action=f"If that is meant, select those that are to go there. If not, set the key of {gate.former_account}; "
        "either way nothing is sent before contacts are selected.",
        runbook="another-account",
        page=f"/assets/{crm}/contacts",
        since=gate.account_since,
        reasons=lambda: (Reason(text=f"The account is {gate.account}{gate.account_change}."),),
    )


def _error_backlog(watcher: FailureWatcher, figures: FailureFigures, alerts: AlertSettings) -> AlertCondition | None:
    crm = watcher.crm
    if figures.failed < alerts.error_backlog * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.error_backlog",
        headline=f"{figures.failed} contacts have failed for good at {crm} (alert at {alerts.error_backlog}).",
        action=f"See `crm-pipelines status {crm}`; when the cause is mended, `crm-pipelines retry {crm} --all` queues "
        "them again.",
        runbook="contacts-have-failed-for-good",
        page=f"/assets/{crm}/contacts",
        begins=figures.failed >= alerts.error_backlog,
        reasons=_lazily(lambda: watcher.reasons_of_contacts("failed")),
    )


def _failure_rate(watcher: FailureWatcher, figures: FailureFigures, alerts: AlertSettings) -> AlertCondition | None:
    crm, threshold = watcher.crm, alerts.failure_rate_percent
    if figures.attempts < FEWEST_ATTEMPTS or figures.percent < threshold * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.failure_rate",
        headline=f"{figures.percent:.0f} % of the last hour's {figures.attempts} attempts at {crm} failed "
        f"(alert at {threshold:g} %).",
        action=f"See `crm-pipelines status {crm}`, and `crm-pipelines check {crm}` for what is wrong with the account.",
        runbook="many-attempts-fail",
        page=f"/assets/{crm}/contacts",
        begins=figures.percent >= threshold,
        reasons=_lazily(watcher.reasons_of_last_hour),
    )


def _oldest_due(watcher: FailureWatcher, standing: DestinationStanding, now: datetime) -> AlertCondition | None:
    crm, threshold = watcher.crm, timedelta(minutes=standing.thresholds.oldest_due_minutes)
    waiting = standing.waiting
    if waiting < threshold * _OVER_BELOW:
        return None
    return AlertCondition(
        key=f"{crm}.oldest_due",
        headline=f"{standing.backlog} at {crm}, the oldest for "
        f"{waiting.total_seconds() / 60:.0f} minutes (alert at {standing.thresholds.oldest_due_minutes}).",
        action="See whether runs start and end (`crm-pipelines health`). If they do, the queue is longer than the "
        "account's rate limit can send, or contacts are put off again and again: `crm-pipelines why` tells for what.",
        runbook="due-contacts-wait-too-long",
        page=f"/locations/crm_pipelines/jobs/{crm}_sync",
        since=now - waiting,
        begins=waiting >= threshold,
        reasons=_lazily(lambda: watcher.reasons_of_contacts("queued")),
    )


def _lazily(ask: Callable[[], Sequence[CommonReason]]) -> Callable[[], Sequence[Reason]]:
    return lambda: tuple(Reason(text=reason.text, contacts=reason.contacts) for reason in ask())


def run_finding(instance: dg.DagsterInstance, job: str) -> AlertCondition | None:
    """The latest runs of the job have failed for good, with none that succeeded since.

    The last attempt counts, not the first: only a run whose worker crashed is tried again (dagster.yaml), within a
    minute, and when that succeeds, nobody need be woken; the crash shows in Dagster's pages. A failed op is retried by
    no run, so it is told at once, and what fails after it adds to the same state.
    """
    records = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]),
        limit=_RUNS_LOOKED_AT,
    )
    failed: list[dg.RunRecord] = []
    for record in records:
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.SUCCESS and not is_dry(run):
            break
        if run.status is dg.DagsterRunStatus.FAILURE and not will_be_retried(run) and GATE_TAG not in run.tags:
            failed.append(record)
    if not failed:
        return None
    latest, first = failed[0], failed[-1]
    many = f"{len(failed)} runs of {job} in a row have failed" if len(failed) > 1 else f"A run of {job} has failed"
    return AlertCondition(
        key=f"{job}.run_failed",
        headline=f"{many}, and none has succeeded since.",
        action="Open the latest run: its log says at which step and why. The next tick tries again by itself.",
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
    return "Its worker ended without a word: out of memory, killed, or the machine went down."
