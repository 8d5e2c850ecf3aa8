"""An alert, and its text in the words that someone woken at night can act on."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

Phase = Literal["begun", "reminder", "over"]

LONGEST_REASON = 300
_PREFIX = {"begun": "", "reminder": "Still: ", "over": "Over: "}


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why, in the CRM's words or ours; `contacts` is how many have it, where that can be counted."""

    text: str
    contacts: int | None = None

    def __str__(self) -> str:
        return self.text if self.contacts is None else f"{self.contacts} × {self.text}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What people are told.

    `key` names the state that it is about (such as `brevo.error_backlog`). `headline` is one sentence with the figures,
    `page` a path in Dagster's pages, `runbook` the section of docs/runbook.md. Times are aware.
    """

    key: str
    phase: Phase
    headline: str
    action: str
    runbook: str
    since: datetime
    at: datetime
    page: str = ""
    reasons: tuple[Reason, ...] = ()

    @property
    def id(self) -> str:
        """The same however often the alert is sent."""
        return f"{self.key}/{self.phase}/{self.at:%Y%m%dT%H%M%SZ}"

    @property
    def subject(self) -> str:
        return f"{_PREFIX[self.phase]}{self.headline}"

    def link(self, ui_url: str | None) -> str | None:
        """The page to act on; None without a `ui_url` (DAGSTER_UI_URL)."""
        return f"{ui_url}{self.page}" if ui_url else None

    def body(self, ui_url: str | None) -> str:
        """Everything but the subject, in lines."""
        lasted = in_words(self.at - self.since)
        if self.phase == "over":
            lines = [f"From {_utc(self.since)} to {_utc(self.at)} ({lasted})."]
        else:
            lines = [f"Since {_utc(self.since)} ({lasted})."]
            if self.reasons:
                title = "Commonest reasons:" if any(reason.contacts for reason in self.reasons) else "Reason:"
                lines += ["", title, *(f"- {reason}" for reason in self.reasons)]
            lines += ["", f"What to do: {self.action}", f"More: docs/runbook.md#{self.runbook}"]
        if link := self.link(ui_url):
            lines.append(f"Page: {link}")
        return "\n".join(lines)

    def document(self, ui_url: str | None) -> dict[str, Any]:
        """For programs; times in ISO 8601."""
        return {
            "id": self.id,
            **asdict(self),
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "link": self.link(ui_url),
        }


def in_words(duration: timedelta) -> str:
    """`2 h 13 min`; below a minute `less than a minute`."""
    minutes = int(duration.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    days, hours = divmod(minutes // 60, 24)
    parts = [(days, "d"), (hours, "h"), (minutes % 60, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
