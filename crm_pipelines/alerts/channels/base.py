"""What a channel is."""

from typing import Protocol

from crm_pipelines.alerts.messages import Alert
from crm_pipelines.errors import CrmPipelinesError


class ChannelFailed(CrmPipelinesError):
    """The channel did not take the alert. Says why, without the channel's URL, which is a secret."""


class PartlyTaken(ChannelFailed):
    """The channel took the alert, but not for everybody: sending it again would repeat it to the others."""


class Channel(Protocol):
    """A way to people. Used by one thread at a time."""

    @property
    def name(self) -> str: ...

    def send(self, alert: Alert) -> None:
        """Returns when the alert was taken. Raises ChannelFailed, within some 20 s."""
