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
class Links:
    """Where people open what an alert leads to: Dagster's pages, the status page, the folder `docs`. None: no link."""

    dagster: str | None = None
    status_page: str | None = None
    docs: str | None = None


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

    @property
    def when(self) -> str:
        lasted = in_words(self.at - self.since)
        if self.phase == "over":
            return f"From {_utc(self.since)} to {_utc(self.at)} ({lasted})."
        return f"Since {_utc(self.since)} ({lasted})."

    @property
    def why(self) -> list[str]:
        """A title, and a line for each reason; nothing once it is over."""
        if self.phase == "over" or not self.reasons:
            return []
        title = "Commonest reasons:" if any(reason.contacts for reason in self.reasons) else "Reason:"
        return [title, *(f"- {reason}" for reason in self.reasons)]

    @property
    def what_to_do(self) -> str | None:
        """None once it is over."""
        return None if self.phase == "over" else f"What to do: {self.action}"

    def pages(self, links: Links) -> dict[str, str]:
        """The pages that it leads to, by what people call them: each a whole address."""
        runbook = None if self.phase == "over" else self._runbook(links)
        found = {
            "Runbook": runbook,
            "Status page": links.status_page and f"{links.status_page}/",
            "Dagster": self._page(links),
        }
        return {title: address for title, address in found.items() if address}

    def runbook_in_words(self, links: Links) -> str | None:
        """Where to read on, for who has no link there."""
        if self.phase == "over" or links.docs:
            return None
        return f'More: docs/runbook.md, the section "{self.runbook.replace("-", " ").capitalize()}".'

    def body(self, links: Links) -> str:
        """Everything but the subject, in lines."""
        parts: list[list[str | None]] = [
            [self.when],
            [*self.why],
            [self.what_to_do, self.runbook_in_words(links)],
            [f"{title}: {address}" for title, address in self.pages(links).items()],
        ]
        return "\n\n".join("\n".join(filter(None, lines)) for lines in parts if any(lines))

    def document(self, links: Links) -> dict[str, Any]:
        """For programs; times in ISO 8601."""
        return {
            "id": self.id,
            **asdict(self),
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "link": self._page(links),
            "status_page_link": links.status_page and f"{links.status_page}/",
            "runbook_link": self._runbook(links),
        }

    def _page(self, links: Links) -> str | None:
        return f"{links.dagster}{self.page}" if links.dagster else None

    def _runbook(self, links: Links) -> str | None:
        return f"{links.docs}/runbook.md#{self.runbook}" if links.docs else None


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
