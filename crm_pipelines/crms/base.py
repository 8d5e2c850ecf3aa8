"""The small interface behind which every CRM stands.

`delivery` calls it; a CRM module implements it. Nothing here knows a database or Dagster. What a CRM may lack is an
attribute that may be None: it is asked for before it is used.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from crm_pipelines.crms.allowances import Allowance
from crm_pipelines.crms.bulk import Imports
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Compared, Held, Line, Payload, Sendable, Unsendable
from crm_pipelines.crms.schema import Finding, Schema, ValuesInUse
from crm_pipelines.crms.turns import DeliveryTurn, Turn

IsContact = Callable[[UUID], bool]
"""Whether a contact here has this id."""


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
        """Go by these attributes of the account, as `Schema.attributes` gave them; None: they are not known.

        To be called before anything is prepared, not while others use this.
        """

    def prepare(self, record: Mapping[str, Any], *, sent_attributes: frozenset[str]) -> Payload | Unsendable:
        """Map, normalize and validate one row of crm_contacts (column name -> value). Pure."""

    def explain(self, record: Mapping[str, Any]) -> list[Line]:
        """What `prepare` does with each field, for people. Pure."""


class Reading(Protocol):
    """What an account holds of contacts, read back."""

    most_per_request: int  # contacts that `look_up` is best given at a time

    def look_up(self, contacts: Sequence[Sendable], *, turn: Turn) -> Sequence[tuple[Outcome, Held | None]]:
        """Each contact as the CRM holds it now, in order. SYNCED and None: it has no such contact.

        What `turn` raises passes through.
        """

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field, in the CRM's normal form. Pure."""


class Crm(Mapper, Protocol):
    """One account at one CRM. Safe to use from several threads."""

    credentials_fingerprint: str  # changes with the key and with where it is sent, and tells nothing about them
    settings_fingerprint: str  # changes with them, too, and with whatever else the settings put into every request
    longest_request: timedelta  # total deadline of a single HTTP request
    most_per_request: int  # contacts in one delivery
    repeatable: bool  # whether a request may be made again of which it is not known if it was applied

    @property
    def reading(self) -> Reading | None:
        """What the account holds of contacts."""

    @property
    def schema(self) -> Schema | None:
        """The attributes of the account; None: it takes whatever it is sent."""

    @property
    def aside(self) -> Allowance | None:
        """For `identify`, `check` and `Imports.look`: a request each that the CRM counts apart; None: it does not."""

    @property
    def imports(self) -> Imports | None:
        """Many contacts in one request; None where it is not `repeatable`, since what an import lost goes again."""

    def deliver(
        self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, is_contact: IsContact = lambda _: False
    ) -> Sequence[Outcome | None]:
        """Send up to `most_per_request` contacts, no two with one address; one outcome each, in order, never fewer.

        None: nothing that had an effect was sent of this contact, since `turn` left it out. A contact's outcome is what
        the CRM says of it, never the status of a request alone: who is not confirmed is not SYNCED. A request that was
        refused for one contact of several, without a word of which, is `Outcome.whole` for each.

        Nobody is put on a list that they have left, or were put on before. An external id of another system is kept,
        but never one for which `is_contact`. Every HTTP answer and every requests exception becomes an Outcome; that of
        a request which may have been applied and is not `repeatable` is UNKNOWN.
        """

    def identify(self, *, turn: Turn) -> tuple[Outcome, Identity | None]:
        """Ask which account the credentials open. SYNCED and None: the CRM does not tell. The budget for this is small.

        The outcome tells nothing about the rate of contacts.
        """

    def probe(self, *, turn: Turn) -> Outcome:
        """One cheap request that tells whether the credentials are accepted: SYNCED when they are."""

    def probe_settings(self, *, turn: Turn) -> Outcome:
        """One cheap request that tells whether what the settings name is there: SYNCED when it is."""

    def check(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[Finding]:
        """Preflight: everything that would keep contacts from arriving.

        `custom_fields` holds one example value of each custom field in use, so that those sent under their own name
        are looked at too; `values_in_use` tells those of which the account has to know every one. `judge` says whether
        the account is the right one; None: the CRM does not tell which it is. `blank` are attributes of the mapping
        that no contact has a value for: they need not be there.
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
