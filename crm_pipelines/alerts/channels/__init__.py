"""The channels that the settings name."""

from crm_pipelines.alerts.channels.base import Channel
from crm_pipelines.alerts.channels.log import Log
from crm_pipelines.alerts.channels.mail import Mail
from crm_pipelines.alerts.channels.sentry import Sentry
from crm_pipelines.alerts.channels.slack import Slack
from crm_pipelines.alerts.channels.webhook import Webhook
from crm_pipelines.alerts.messages import Links
from crm_pipelines.settings import ChannelSettings


def channels_of(settings: ChannelSettings) -> list[Channel]:
    """Every channel that is configured; the log always is, and comes first."""
    links = Links(dagster=settings.dagster_ui_url, status_page=settings.status_page_url, docs=settings.docs_url)
    channels: list[Channel] = [Log(links)]
    if settings.alert_slack_webhook_url:
        channels.append(Slack(settings.alert_slack_webhook_url.get_secret_value(), links))
    if settings.alert_webhook_url:
        secret = settings.alert_webhook_secret.get_secret_value() if settings.alert_webhook_secret else None
        channels.append(Webhook(settings.alert_webhook_url.get_secret_value(), secret, links))
    if settings.alert_email_to:
        channels.append(
            Mail(
                settings.smtp_url.get_secret_value(),
                recipients=settings.alert_email_to,
                sender=settings.alert_email_from,
                links=links,
            )
        )
    if settings.sentry_dsn:
        channels.append(Sentry(settings.sentry_dsn.get_secret_value(), links, hide=settings.secrets))
    return channels
