"""A contact on its way to a CRM, and as the CRM holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Sendable:
    """One contact ready to be sent.

    `remote_key` is the address under which the CRM holds it, None if never delivered; `remote_id` the CRM's own id,
    None if not known; `remembered` what earlier deliveries left to be remembered. `occasion` tells it from a
    delivery of the same content before: the same with each attempt until one is confirmed, another one after an edit.
    """

    payload: Payload
    remote_key: str | None
    remote_id: str | None
    remembered: Remembered = NOTHING_REMEMBERED
    occasion: str = ""

    @property
    def external_id(self) -> str:
        """Our id of the contact."""
        return self.payload.external_id


@dataclass(kw_only=True, slots=True)  # frozen, it would take twice the time to make
class Held:
    """A contact as the CRM holds it; `key` is empty for one without an address."""

    key: str
    remote_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One attribute as we would send it and as the CRM holds it; `same` None: not ours to compare."""

    attribute: str
    ours: Any
    theirs: Any
    same: bool | None
