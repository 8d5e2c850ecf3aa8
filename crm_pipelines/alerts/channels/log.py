"""The log: always there."""

import logging
from dataclasses import dataclass

from crm_pipelines.alerts.messages import Alert, Links

_log = logging.getLogger("crm_pipelines.alerts")


@dataclass(frozen=True)
class Log:
    """An error when a state begins or lasts; a warning when it is over: that shows even where logging is not set up."""

    name = "log"
    links: Links

    def send(self, alert: Alert) -> None:
        level = logging.WARNING if alert.phase == "over" else logging.ERROR
        _log.log(level, "%s: %s\n%s", alert.key, alert.subject, alert.body(self.links))
