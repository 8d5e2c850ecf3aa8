"""Many contacts in one request of which the CRM reports no successes, so that they are looked for afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Held, Payload
from crm_pipelines.crms.turns import Turn


@dataclass(frozen=True, kw_only=True)
class ImportTarget:
    """Where imports go, as the account was when it was looked at.

    `list_id`: the list that every contact of the import is put on, as in `Outcome.lists`; `own`: it is one of ours,
    since the user named none.
    `moment`: by the CRM's clock; imports that are begun from now on change nothing before it.
    """

    list_id: str
    moment: datetime
    own: bool = False


@dataclass(kw_only=True, slots=True)  # frozen, it would take twice the time to make
class ImportRow:
    """One contact of an import.

    `content` is its part of the body. `proof` hashes what the CRM should hold afterwards: the attributes in `names`.
    `identifiers` are all by which the CRM may find the contact, in the form of `Imports.blocked`; none must occur twice
    in one import. `lists` are those that it puts the contact on.
    """

    content: bytes
    proof: bytes
    names: tuple[str, ...]
    identifiers: frozenset[str]
    lists: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class ImportStatus:
    """How an import stands. `said` is the CRM's own word; `reports` are URLs of what it did not take, by kind."""

    completed: bool
    failed: bool
    said: str
    reports: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ContactPage:
    """Some of the contacts that were asked for, and how many there are of them in all (None: not told)."""

    contacts: list[Held]
    full: bool
    count: int | None


class Imports(Protocol):
    """The imports of one CRM account: many contacts in one request, of which the CRM reports no successes.

    Each function that makes requests returns the Outcome of the last one, and a result only if that is SYNCED.
    """

    threshold: int  # at or above this many due contacts, an import is worth its while
    most_bytes: int
    page_size: int

    def open(self, *, turn: Turn) -> tuple[Outcome, ImportTarget | None]:
        """Look at the account, and create the list if there is none."""

    def row(self, payload: Payload, target: ImportTarget, *, marked: bool = True) -> ImportRow | None:
        """The contact as part of an import; None if it has to go singly. Pure.

        Without `marked` its external id at the CRM stays as it is.
        """

    def submit(self, rows: Sequence[bytes], target: ImportTarget, *, turn: Turn) -> tuple[Outcome, str | None]:
        """Begin an import; the result is the name of the process.

        Kinds of a RETRY: `timeout` and `too_large`, which a smaller body may help, and others.
        """

    def look(self, *, turn: Turn) -> tuple[Outcome, Mapping[str, ImportStatus]]:
        """How the latest imports stand, by the names of their processes; one request of `Crm.aside`."""

    def refused(self, status: ImportStatus, *, local: bool) -> Mapping[str, str]:
        """Identifiers of the contacts in the CRM's reports, each with the kind of report. Without a key.

        `local`: reports may be on this machine or in its network, since the account is a sandbox.
        """

    def read(self, since: datetime | None, *, offset: int, size: int, turn: Turn) -> tuple[Outcome, ContactPage | None]:
        """Contacts that changed since then by the CRM's clock (None: all), oldest first: only a deletion moves any."""

    def blocked(self, held: Held) -> frozenset[str]:
        """Every identifier of a contact that an import might subscribe again; none of any other contact. Pure."""

    def mark(self, held: Held) -> str | None:
        """The external id of a contact if it is to be kept, should it be another system's. Pure."""

    def addresses(self, held: Held) -> frozenset[str]:
        """Its address in every form in which `Payload.key` may have it. Pure."""

    def is_on(self, held: Held, target: ImportTarget) -> bool:
        """Whether the contact is on the list that imports put contacts on. Pure."""

    def identifier(self, remote_id: str) -> str:
        """The CRM's own id in the form of `blocked`. Pure."""

    def proof(self, held: Held, names: Sequence[str]) -> bytes:
        """What `ImportRow.proof` is for a contact that arrived as it was sent. Pure."""
