"""Commands for those who watch over the deliveries: are alerts told, do deliveries go on?"""

from dataclasses import asdict

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import as_json, cells, print_json, print_table, say, table, verdict


@click.group()
def alerts() -> None:
    """What people are told when contacts do not get through."""


@alerts.command("test")
def send_test() -> None:
    """Send one test alert through every channel that is configured.

    \b
    Example:
      crm-pipelines alerts test
    """
    from datetime import UTC, datetime

    from crm_pipelines.alerts.channels import channels_of
    from crm_pipelines.alerts.channels.base import ChannelFailed
    from crm_pipelines.alerts.messages import Alert
    from crm_pipelines.settings import load_settings

    now = datetime.now(UTC)
    alert = Alert(
        key="alerts.test",
        phase="begun",
        headline="This is a test alert of crm-pipelines.",
        action="Nothing. Alerts arrive here.",
        runbook="test-alert",
        since=now,
        at=now,
    )
    shown, failed = table("", "Channel", "Finding"), False
    settings = load_settings().channels
    channels = channels_of(settings)
    for channel in channels:
        try:
            channel.send(alert)
        except ChannelFailed as error:
            failed = True
            shown.add_row(verdict(False), *cells(channel.name, error))
        else:
            shown.add_row(verdict(True), *cells(channel.name, "It took the test alert."))
    print_table(shown)
    if len(channels) == 1:
        say("Nobody is told but the log: set ALERT_SLACK_WEBHOOK_URL, ALERT_EMAIL_TO or another channel in .env.")
    variables = {
        "DAGSTER_UI_URL": settings.dagster_ui_url,
        "STATUS_PAGE_URL": settings.status_page_url,
        "DOCS_URL": settings.docs_url,
    }
    if unset := [variable for variable, address in variables.items() if address is None]:
        say(f"Alerts link to what they are about once these are set: {', '.join(unset)}.")
    if failed:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("crm", type=DESTINATION, required=False)
@as_json
def health(crm: str | None, as_json: bool) -> None:
    """Say whether deliveries go on. The exit code is 1 when something is wrong.

    It looks at Dagster's daemons, the schedule, the latest runs, and how deliveries stand. Without CRM: for every
    destination of the settings. Run it by cron or a monitor, since a program that has died sends no alert. It needs the
    databases only.

    \b
    Example:
      crm-pipelines health || mail -s "crm-pipelines" ops@example.com
    """
    from crm_pipelines.local.databases import point_dagster_at
    from crm_pipelines.orchestration.instance import dagster_instance
    from crm_pipelines.orchestration.watching.health import health as examine

    with contacts_engine() as (settings, engine):
        point_dagster_at(settings, engine.url)
        crms = list(settings.destinations) if crm is None else [settings.destination(crm).name]
        with dagster_instance() as instance:
            # The daemons are those of all destinations.
            checks = list(dict.fromkeys(one for crm in crms for one in examine(instance, engine, settings, crm)))
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"crm": ", ".join(crms), "healthy": healthy, "checks": [asdict(check) for check in checks]})
    else:
        shown = table("", "What", "Finding")
        for check in checks:
            said = f"{check.detail} {check.action}" if check.action else check.detail
            shown.add_row(verdict(check.ok), *cells(check.subject, said))
        print_table(shown)
    if not healthy:
        raise click.exceptions.Exit(1)
