"""What goes into the queue and comes out of it: claims, deliveries, attempts, figures. Plain data."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to deliver one contact to one CRM, until the lease ends or somebody takes it over."""

    contact_id: UUID
    claim_no: int


class Delivery(NamedTuple):
    """What a claim's holder needs to know: the contact's present data and what the CRM is known to hold.

    `record` is the row of crm_contacts, `address` its address in normal form. `same_as` is another contact with the
    same one, who is sent instead. `maybe_keys` are addresses under which the CRM may hold it beside `remote_key`.
    `lists` are those that the contact was put on, or had left before; None if a version delivered it that noted none.
    `remote_mark` is the external id of another system that was kept at the CRM. `address_held_by` is the state of
    another contact whom, as far as we know, the CRM still holds under this one's address. `gives_way`: they wait for
    each other, and this one has to make room. `occasion`: see `crm_pipelines.crms.payloads.Sendable`.
    """

    claim: Claim
    record: dict[str, Any]
    remote_key: str | None
    remote_id: str | None
    maybe_keys: frozenset[str]
    sent_attributes: frozenset[str]
    payload_hash: bytes | None
    address: str | None = None
    same_as: UUID | None = None
    address_held_by: str | None = None
    lists: frozenset[str] | None = frozenset()
    remote_mark: str | None = None
    gives_way: bool = False
    occasion: str = ""


class Intended(Protocol):
    """What a request is about to tell the CRM of a contact: the address, and the names of attributes with a value."""

    @property
    def claim(self) -> Claim: ...

    @property
    def key(self) -> str: ...

    @property
    def names(self) -> frozenset[str] | tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """The same of a request about a single contact."""

    claim: Claim
    key: str
    names: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One delivery and what it came to: a row of the ledger crm_attempts, where the columns are described."""

    claim: Claim
    revision: int
    outcome: str
    duration: timedelta
    kind: str | None = None
    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    requests: int = 0
    answered: bool = False
    retry_after: timedelta | None = None
    remote_key: str | None = None
    remote_id: str | None = None
    remote_mark: str | None = None
    lists: frozenset[str] = frozenset()
    payload_hash: bytes | None = None
    sent_attributes: frozenset[str] = frozenset()
    mapping_version: str | None = None
    warnings: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    attributes_version: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How failed attempts are repeated: `delays[i]` precedes retry i+1; after the last one the contact is failed."""

    delays: tuple[timedelta, ...]

    @property
    def max_retries(self) -> int:
        return len(self.delays)


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """How many contacts ended in `state` by `outcome` of `kind`; `superseded` when the claim was no longer current."""

    outcome: str
    state: str
    kind: str | None
    contacts: int
    requests: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescued:
    """Claims that were taken back, how many of them were charged a crash, and how many were given up for it.

    `unknown` are parked: they may have arrived at a destination where nothing must be sent twice.
    """

    returned: int
    charged: int
    given_up: int
    unknown: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """Contacts that could be claimed now, and since when the longest waiting one has been due.

    `put_off` were due and wait, uncharged, for a later time; their age counts as well. `delivering` are claimed.
    """

    due: int
    oldest_due: datetime | None
    oldest_due_seconds: float
    put_off: int = 0
    delivering: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Contacts that were done with in the last ten minutes, and the seconds since the first of them."""

    contacts: int
    seconds: float
