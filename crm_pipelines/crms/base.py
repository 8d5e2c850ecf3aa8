"""The small interface behind which every CRM stands.

`delivery` calls it; a CRM module implements it. Nothing here knows a database or Dagster.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from crm_pipelines.errors import CrmPipelinesError

BeforeRequest = Callable[[], None]
"""Called before each single HTTP request: waits for its turn, and raises when the request must not be made."""


class Result(enum.StrEnum):
    """What one delivery came to; what follows for the contact and for the gate is `delivery`'s business."""

    SYNCED = "synced"
    RETRY = "retry"  # outage: counted as an attempt, tried again later
    SNOOZED = "snoozed"  # the CRM asks to wait: not counted
    REJECTED = "rejected"  # permanent for this payload
    REFUSED = "refused"  # the credentials, the account or a setting, not the contact: closes the gate


SETTINGS = "settings"
"""Kind of a refusal of what our settings, or the way to the CRM, put into every request."""


@dataclass(frozen=True, kw_only=True)
class RateHeaders:
    """What the CRM's answer said about its rate limit; None where it said nothing.

    `limit` requests are allowed in each `window`, of which `remaining` are left until it ends in `reset_seconds`. An
    answer that tells of several windows is reported by the one that is nearest to being used up. Where only what
    remains matters, and nobody wants a day's limit spread over the day, the CRM's module leaves `limit` out.
    """

    limit: int | None = None
    window: timedelta | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one delivery.

    `kind` is a stable word for grouping (such as `outage`, `rate_limit`, `rejected`, `credentials`,
    `ip_not_authorised`, `consent`, `duplicate_phone`); `code` and `message` are the CRM's own words without secrets,
    `message` at most 500 characters. `retry_after` is how long the CRM asks us to wait. `sent_attributes` are the
    names that the CRM now holds a value of ours for; `left_out` those that it refused, so that the rest was sent;
    `warnings` are those of the delivery, beside the payload's own. `lists` and `remote_mark` are to be remembered as
    `Remembered`.

    Of a delivery, `answered` is whether the CRM was asked about this contact, so that the result is its answer, or that
    none came; `requests` are HTTP requests. Of contacts that shared requests, one carries their number and the others
    0, so that each request counts once: the first whose result is no RETRY, if there is one, else the first.
    """

    result: Result
    kind: str | None = None
    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    retry_after: timedelta | None = None
    remote_key: str | None = None
    remote_id: str | None = None
    remote_mark: str | None = None
    lists: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    sent_attributes: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    requests: int = 0
    answered: bool = False
    rate: RateHeaders = field(default_factory=RateHeaders)

    @property
    def shared(self) -> bool:
        """Whether another contact carries the number of its requests."""
        return self.answered and not self.requests


OWNER = "owner-"
"""How `Identity.account` begins where the CRM told no more than whose the account is."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An account as the CRM tells of it.

    `account` is what the CRM calls it, and stays the same for as long as it exists. `sandbox`: nothing there is real.
    """

    account: str
    sandbox: bool = False

    @property
    def named(self) -> bool:
        """Whether the CRM named the account; else its owner stands in for it, and an owner may have several."""
        return not self.account.startswith(OWNER)


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What earlier deliveries of a contact left to be remembered, beside its address and the CRM's own id.

    `maybe_keys` are addresses that a request without a known answer may have given it. `lists` are those that it was
    put on, or had left: they are never asked for again. None: it was delivered before that was noted. `remote_mark` is
    the external id of another system that was kept at the CRM. `certain` is whether the last request had an answer, so
    that the CRM is known to hold the contact under `remote_key`.
    """

    maybe_keys: frozenset[str] = frozenset()
    lists: frozenset[str] | None = frozenset()
    remote_mark: str | None = None
    certain: bool = True


NOTHING_REMEMBERED = Remembered()

IsContact = Callable[[UUID], bool]
"""Whether a contact here has this id."""


@dataclass(frozen=True, kw_only=True)
class Unsendable:
    """A contact that can never be sent as it stands: `kind` is `no_address` or `invalid_address`."""

    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What is to be sent of one contact, in the CRM's normal form.

    `hash` (32 bytes) covers the desired state: the address, every attribute with a value, the lists, the mapping
    version. `clear` names the attributes that were sent before and are blank now. `warnings` say in words what was left
    out and why; they name fields, never values. `left_out` names the attributes that have a value here of which not all
    is sent: it is not certain, or the account does not take it as it is now.
    """

    key: str
    external_id: str
    attributes: Mapping[str, str | float | bool | list[str]]
    clear: frozenset[str]
    hash: bytes
    sent_before: frozenset[str] = frozenset()  # names the CRM holds a value of ours for
    warnings: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Line:
    """One field of a contact on its way to an attribute of the CRM (None: to none).

    `value` None: nothing is sent, for the reason in `remark` or because the field is blank.
    """

    source: str
    attribute: str | None
    value: Any
    remark: str | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One attribute as we would send it and as the CRM holds it; `same` None: not ours to compare."""

    attribute: str
    ours: Any
    theirs: Any
    same: bool | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a preflight: `ok` or not, what was looked at, and what to do about it."""

    ok: bool
    subject: str
    detail: str
    blocking: bool = True  # False: a warning that does not fail the preflight


@dataclass(frozen=True, kw_only=True)
class NewAttribute:
    """An attribute that the mapping needs and the account lacks; `type` in the CRM's own word.

    `exists`: only these options of it are missing. `remark`: what could not be planned, and why.
    """

    name: str
    type: str
    options: tuple[str, ...] = ()
    exists: bool = False
    remark: str = ""


class ProvisionError(CrmPipelinesError):
    """The CRM did not create an attribute or an option. `created` are those that it did, `refused` its refusals."""

    def __init__(self, message: str, *, created: Sequence[str] = (), refused: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.created = list(created)
        self.refused = list(refused)


@dataclass(frozen=True, kw_only=True)
class InUse:
    """The distinct values of a custom field, the most frequent first; `more`: how many others there are besides."""

    values: tuple[str, ...] = ()
    more: int = 0


ValuesInUse = Callable[[Sequence[str]], Mapping[str, InUse]]
"""Of these custom fields: the values of lists one by one, those of texts as "a;b" gives them."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A contact as the CRM holds it; `key` is empty for one without an address."""

    key: str
    remote_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Page:
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
    look_pause: timedelta  # between two calls of `look` for one account, whoever makes them

    def open(self, *, before_request: BeforeRequest) -> tuple[Outcome, ImportTarget | None]:
        """Look at the account, and create the list if there is none."""

    def row(self, payload: Payload, target: ImportTarget, *, marked: bool = True) -> ImportRow | None:
        """The contact as part of an import; None if it has to go singly. Pure.

        Without `marked` its external id at the CRM stays as it is.
        """

    def submit(
        self, rows: Sequence[bytes], target: ImportTarget, *, before_request: BeforeRequest
    ) -> tuple[Outcome, str | None]:
        """Begin an import; the result is the name of the process.

        Kinds of a RETRY: `timeout` and `too_large`, which a smaller body may help, and others.
        """

    def look(self, *, before_request: BeforeRequest) -> tuple[Outcome, Mapping[str, ImportStatus]]:
        """How the latest imports stand, by the names of their processes; see `look_pause`."""

    def refused(self, status: ImportStatus, *, local: bool) -> Mapping[str, str]:
        """Identifiers of the contacts in the CRM's reports, each with the kind of report. Without a key.

        `local`: reports may be on this machine or in its network, since the account is a sandbox.
        """

    def read(
        self, since: datetime | None, *, offset: int, size: int, before_request: BeforeRequest
    ) -> tuple[Outcome, Page | None]:
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


class Mapper(Protocol):
    """What of a contact goes to a destination. Makes no request and needs no key."""

    name: str  # the destination's
    mapping_version: str
    judged_here: frozenset[str]  # attributes whose values are left out for what they are, whatever the account has

    @property
    def attributes_version(self) -> str | None:
        """Changes with whatever decides if the account takes a value; None: its attributes are not known."""

    @property
    def writable(self) -> frozenset[str]:
        """Names of the account's attributes that deliveries may write; empty while they are not known."""

    def know(self, attributes: Sequence[Mapping[str, Any]] | None) -> None:
        """Go by these attributes of the account, as `Crm.attributes` gave them; None: they are not known.

        To be called before anything is prepared, not while others use this.
        """

    def prepare(self, record: Mapping[str, Any], *, sent_attributes: frozenset[str]) -> Payload | Unsendable:
        """Map, normalize and validate one row of crm_contacts (column name -> value). Pure."""

    def explain(self, record: Mapping[str, Any]) -> list[Line]:
        """What `prepare` does with each field, for people. Pure."""


class Crm(Mapper, Protocol):
    """One account at one CRM. Safe to use from several threads."""

    credentials_fingerprint: str  # changes with the key and with where it is sent, and tells nothing about them
    settings_fingerprint: str  # changes with them, too, and with whatever else the settings put into every request
    longest_request: timedelta  # total deadline of a single HTTP request
    imports: Imports

    def deliver(
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        before_request: BeforeRequest,
        remembered: Remembered = NOTHING_REMEMBERED,
        is_contact: IsContact = lambda _: False,
    ) -> Outcome:
        """Send one contact.

        `remote_key` is the address under which the CRM holds it, None if never delivered; `remote_id` the CRM's own
        id, None if not known; `remembered` what earlier deliveries left to be remembered. Nobody is put on a list that
        they have left, or were put on before. An external id of another system is kept, but never one for which
        `is_contact`.

        Every HTTP answer and every requests exception becomes an Outcome. What `before_request` raises passes through
        when nothing was sent yet for this contact or when the first request certainly had no effect.
        """

    def look_up(
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        before_request: BeforeRequest,
        remembered: Remembered = NOTHING_REMEMBERED,
    ) -> tuple[Outcome, Held | None]:
        """The contact as the CRM holds it now. SYNCED and None: it has no such contact."""

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field, in the CRM's normal form. Pure."""

    def identify(self, *, before_request: BeforeRequest) -> tuple[Outcome, Identity | None]:
        """Ask which account the credentials open. SYNCED and None: the CRM does not tell. The budget for this is small.

        The outcome tells nothing about the rate of contacts.
        """

    def attributes(self, *, before_request: BeforeRequest) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """The account's attributes as JSON, in one request; None unless SYNCED."""

    def probe(self, *, before_request: BeforeRequest) -> Outcome:
        """One cheap request that tells whether the credentials are accepted: SYNCED when they are."""

    def probe_settings(self, *, before_request: BeforeRequest) -> Outcome:
        """One cheap request that tells whether what the settings name is there: SYNCED when it is."""

    def check(
        self,
        *,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[Finding]:
        """Preflight: everything that would keep contacts from arriving.

        `custom_fields` holds one example value of each custom field in use, so that those sent under their own name
        are looked at too; `values_in_use` tells those of which the account has to know every one. `judge` says whether
        the account is the right one; None: the CRM does not tell which it is.
        """

    def plan(
        self,
        *,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[NewAttribute]:
        """What `provision` would create."""

    def provision(
        self,
        *,
        dry_run: bool,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[str]:
        """Create what the mapping needs in the account; returns the names that it was (or would be) done for.

        Safe to repeat.
        """

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A CRM product as its module offers it, in the constant `KIND`.

    `mapper` and `client` take the settings of a destination, of the kind's own class, and the region of phone numbers
    without a country code.
    """

    mapper: Callable[[Any, str | None], Mapper]
    client: Callable[[Any, str | None], Crm]
