"""Sentry, through its SDK, as a place for alerts only.

A client of its own: no integrations, so nothing is patched, no breadcrumbs, no traces, no exceptions with local
variables. Its transport is ours, since the SDK's keeps to itself whether an event arrived.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crm_pipelines.alerts.channels.base import ChannelFailed
from crm_pipelines.alerts.channels.http import post
from crm_pipelines.alerts.messages import Alert, Links
from crm_pipelines.scrubbing import without_addresses

if TYPE_CHECKING:
    from sentry_sdk.types import Event

_KEPT = {"event_id", "timestamp", "platform", "level", "logger", "message", "fingerprint", "tags", "extra"}
_KEPT |= {"release", "environment", "sdk"}


@dataclass(frozen=True)
class Sentry:
    """Alerts of one state (key) are one issue there. The SDK is imported with the first alert."""

    name = "sentry"
    dsn: str = field(repr=False)
    links: Links
    hide: tuple[str, ...] = field(repr=False)

    def send(self, alert: Alert) -> None:
        from sentry_sdk import Client
        from sentry_sdk.envelope import Envelope
        from sentry_sdk.transport import Transport

        class Direct(Transport):
            failure: ChannelFailed | None = None

            def capture_envelope(self, envelope: Envelope) -> None:
                assert self.parsed_dsn is not None
                auth = self.parsed_dsn.to_auth("crm-pipelines")
                headers = {"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth.to_header()}
                try:
                    post(auth.get_api_url(), envelope.serialize(), headers)
                except ChannelFailed as error:
                    self.failure = error

        client = Client(
            dsn=self.dsn,
            transport=Direct,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
            spotlight=False,  # the environment could turn it on, and personal data with it
            include_local_variables=False,
            max_breadcrumbs=0,
            before_send=self._before_send,
        )
        taken = client.capture_event(
            {
                "message": alert.subject,
                "level": "info" if alert.phase == "over" else "error",
                "logger": "crm_pipelines.alerts",
                "fingerprint": ["crm-pipelines", alert.key],
                "tags": {"alert": alert.key, "phase": alert.phase},
                "extra": {"text": alert.body(self.links)},
            }
        )
        assert isinstance(client.transport, Direct)
        if client.transport.failure:
            raise client.transport.failure
        if taken is None:
            raise ChannelFailed("The SDK of Sentry dropped the alert.")

    def _before_send(self, event: "Event", _hint: Mapping[str, Any]) -> "Event":
        kept: dict[str, Any] = {name: value for name, value in event.items() if name in _KEPT}
        kept["message"] = without_addresses(kept["message"], self.hide)
        lines = kept["extra"]["text"].split("\n")
        kept["extra"] = {"text": "\n".join(without_addresses(line, self.hide) for line in lines)}
        return kept  # type: ignore[return-value]
