"""What the suite asks of a kind: a sandbox to look into and to spoil, and clients that are opened on it."""

import enum
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from crm_pipelines.crms.base import Crm

KEY = "a-secret-that-nobody-may-see"
"""Credentials of the account. They look like no CRM's, so that nothing hides them for their form."""

TEXT, NUMBER, FLAG, DAY, CHOICES = "note", "score", "vip", "since", "colors"
"""Custom fields that every account of the suite has: of a text, a number, yes and no, a date, several choices."""
OPTIONS = ("Red", "Blue", "Green")
"""Of CHOICES."""
LACKING = "shoe_size"
"""A custom field that the account lacks."""
FIRST_NAME, LAST_NAME, PHONE = "first_name", "last_name", "phone_number"

WAIT = timedelta(seconds=37)
"""How long the CRM asks to wait with TOO_MANY and UNAVAILABLE."""


class Capability(enum.Enum):
    """What a CRM may lack. Whatever stands not here it must be able to do.

    MANY, REPEATABLE, FIELDS, READING and IMPORTS are what the client says by its interface; a case compares.
    """

    MANY = "one request may hold several contacts"
    REPEATABLE = "a request of which it is not known whether it was applied may be made again"
    RENAMES = "a contact that gets another address stays one contact"
    UNIQUE_PHONES = "a phone number belongs to one contact"
    MARKS = "a contact may bear the id that another system gave it"
    LISTS = "contacts are put on a list"
    LEAVERS = "the CRM tells who has left a list"
    OPT_OUTS = "the CRM knows who has opted out"
    CHOICES = "a field may hold several choices"
    ZEROS = "a number may be 0"
    MARKUP = "a text may hold what looks like HTML"
    FIELDS = "the account has the fields that somebody made in it"
    READING = "a contact can be read back"
    FORM = "a right answer has a form by which JSON of somebody else is told apart"
    PROBES = "whether the credentials are accepted can be asked without telling of a contact"
    ACCOUNTS = "the CRM names the account that the credentials open"
    RATES = "answers tell the rate limit"
    IMPORTS = "many contacts are imported at once"


class Fault(enum.Enum):
    """What the CRM, or the way to it, does instead of a right answer.

    Only those called AFTER apply the request; they befall a request that writes a contact, others any request.
    """

    WRONG_KEY = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_MANY = "429"
    ERROR = "500"
    UNAVAILABLE = "503 with Retry-After"
    ERROR_PAGE = "502 with HTML"
    PAGE = "200 with HTML"
    EMPTY = "200 with nothing"
    RUBBISH = "200 with broken JSON"
    FOREIGN = "200 with JSON of somebody else"
    REDIRECT = "302"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    ERROR_PAGE_AFTER = "502 with HTML, applied"
    SILENCE_BEFORE = "no answer, not applied"
    SILENCE_AFTER = "no answer, applied"


class Oddity(enum.Enum):
    """How a CRM may answer a request with several contacts, which has its full effect."""

    SHUFFLED = "results in another order"
    RESPELT = "addresses and ids in other letters"
    FEWER = "no result for the first contact"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Settings of a client. `base_url` None: the sandbox's."""

    key: str = KEY
    on_list: bool = False
    base_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A contact as the sandbox holds it.

    `fields` has those with a value under the names above: numbers as numbers, flags as booleans, days as YYYY-MM-DD,
    choices as a list, a phone number as its digits. `mark` is the id that some system gave it.
    """

    address: str
    remote_id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    on_list: bool = False
    opted_out: bool = False
    mark: str | None = None


class Subject(Protocol):
    """One account of a kind at its sandbox.

    `names` says what the CRM calls the custom fields above, `lacking` among them. `oddities`: those that it can play.
    `odd_address` has the rarest letters that it takes in an address.
    What raises NotImplementedError here is asked only of those that claim the capability for it.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    names: ClassVar[Mapping[str, str]]
    oddities: ClassVar[frozenset[Oddity]] = frozenset()
    odd_address: ClassVar[str] = "o'neill&co=1@example.com"

    @classmethod
    @abstractmethod
    def start(cls) -> AbstractContextManager["Subject"]:
        """An account of its own, at a sandbox that is started for it."""

    @abstractmethod
    def reset(self) -> None:
        """An account without contacts that has all fields but LACKING; no faults, no limits, an empty journal."""

    @abstractmethod
    def open(self, variant: Variant) -> Crm:
        """A client with these settings; the caller closes it. Raises SettingsError."""

    @abstractmethod
    def held(self) -> list[Remote]:
        """All contacts, oldest first."""

    @abstractmethod
    def journal(self) -> list[str]:
        """Each request that came, as text: the whole of it but the headers."""

    @abstractmethod
    def wait_for_request(self, number: int) -> None:
        """Until that many requests are in the journal."""

    @abstractmethod
    def seed(self, contact: Remote) -> None:
        """Somebody stores the contact, or changes the one with this address; `remote_id` does not matter."""

    def opt_out(self, address: str) -> None:
        """The person wants no more mail."""
        raise NotImplementedError

    def leave_list(self, address: str) -> None:
        """The person leaves the list."""
        raise NotImplementedError

    def take_off_list(self, address: str) -> None:
        """Somebody takes the person off the list, of which the CRM may show less than of one who left."""
        self.leave_list(address)

    @abstractmethod
    def delete(self, address: str) -> None:
        """Somebody deletes the contact."""

    def drop_field(self, name: str) -> None:
        """Somebody deletes the custom field with this name of ours."""
        raise NotImplementedError

    @abstractmethod
    def accept_only(self, key: str) -> None:
        """All other credentials are wrong from now on."""

    def name_account(self, name: str) -> None:
        """The CRM's own name for the account."""
        raise NotImplementedError

    def allow(self, requests: int) -> timedelta:
        """From now on answers tell this limit, which is not reached; the window in which it counts."""
        raise NotImplementedError

    @abstractmethod
    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        """The next requests end so, or all (None), until `end_faults`."""

    @abstractmethod
    def end_faults(self) -> None:
        """From now on all is well again."""

    @abstractmethod
    def refuse(self, address: str, said: str) -> None:
        """The CRM refuses this one contact for good, in these words; others of the same request it takes."""

    def refuse_whole(self, address: str) -> None:
        """The CRM refuses every request with this contact, for good and without a word of whom it means."""
        raise NotImplementedError

    def answer_oddly(self, oddity: Oddity) -> None:
        """From now on answers about several contacts are like this."""
        raise NotImplementedError
