"""Who is told when contacts do not get through."""

import json
from datetime import timedelta

import dagster as dg

from crm_pipelines.alerts.messages import Alert, changes, send
from crm_pipelines.contacts.status import crm_status
from crm_pipelines.orchestration.jobs import brevo_sync
from crm_pipelines.orchestration.resources import Account, Destination
from crm_pipelines.settings import AlertSettings, BrevoSettings


def build_brevo_error_backlog_sensor(
    brevo: BrevoSettings, alerts: AlertSettings, destination: Destination
) -> dg.SensorDefinition:
    @dg.sensor(
        name="brevo_error_backlog_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people, once each, when failed contacts pile up, when due contacts wait too long, and when "
        "the gate is closed; and once more when it is over.",
    )
    def brevo_error_backlog_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if brevo.api_key is None:
            return dg.SensorResult(skip_reason="BREVO_API_KEY is not set.")
        with destination.open() as account:
            found, figures = look(account, alerts)
        before = _read_cursor(context.cursor)
        for alert in changes(before, found):
            context.log.log(20 if alert.resolved else 40, f"ALERT {alert.key}: {alert.text}")
            send(alert)
        # The text of the beginning stays, so that a figure that moves is no news.
        cursor = {key: before.get(key, text) for key, text in found.items()}
        return dg.SensorResult(skip_reason="; ".join(found.values()) or figures, cursor=json.dumps(cursor))

    return brevo_error_backlog_sensor


def look(account: Account, alerts: AlertSettings) -> tuple[dict[str, str], str]:
    """The states worth telling (key -> text), and the figures in one line."""
    crm = account.queue.crm
    gate = account.gate.read()
    backlog = account.queue.backlog()
    failed = sum(group.contacts for group in crm_status(account.engine, crm).errors if group.status == "Error")
    waiting = timedelta(seconds=backlog.oldest_due_seconds)
    found = {}
    if failed >= alerts.error_backlog:
        found[f"{crm}.error_backlog"] = (
            f"{failed} contacts have failed for good (threshold {alerts.error_backlog}). "
            f"See `crm-pipelines status {crm}`; put them back with `crm-pipelines retry {crm} --all`."
        )
    if waiting >= timedelta(minutes=alerts.oldest_due_minutes):
        found[f"{crm}.oldest_due"] = (
            f"{backlog.due} contacts are due, the oldest for {waiting.total_seconds() / 60:.0f} minutes "
            f"(threshold {alerts.oldest_due_minutes})."
        )
    if gate.paused and gate.pause_kind != "rate_limit":
        found[f"{crm}.gate.{gate.pause_kind}"] = f"Nothing is sent ({gate.pause_kind}): {gate.pause_reason}"
    elif gate.probing:
        # Open to a single contact between two pauses: the outage is over when that one has arrived.
        found[f"{crm}.gate.outage"] = f"Nothing is sent (outage): {gate.pause_reason}"
    return found, f"{failed} failed, {backlog.due} due, gate {'paused' if gate.paused else 'open'}."


def _read_cursor(cursor: str | None) -> dict[str, str]:
    try:
        states = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return {str(key): str(text) for key, text in states.items()} if isinstance(states, dict) else {}


@dg.run_failure_sensor(
    name="run_failure_alert_sensor",
    monitored_jobs=[brevo_sync],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people when a run has failed and no retry of it will follow.",
)
def run_failure_alert_sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    run = context.dagster_run
    if run.tags.get("dagster/will_retry") == "true":
        return dg.SkipReason(f"Run {run.run_id} failed and will be retried.")
    send(Alert(key=f"{run.job_name}.run_failed", text=f"Run {run.run_id} failed: {context.failure_event.message}"))
    return None
