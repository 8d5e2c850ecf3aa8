"""The attributes of one account, and which values fit them. Pure; shared by all CRMs that have any."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from crm_pipelines.crms import normalize
from crm_pipelines.crms.values import LEFT_OUT, Converted, PythonTypes, Value


class Known(Protocol):
    """One attribute of the account. Values of the types in `as_is` need no fitting."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str:
        """In the CRM's own word."""

    @property
    def writable(self) -> bool:
        """Whether a delivery may write it."""

    @property
    def as_is(self) -> PythonTypes: ...

    def fit(self, value: Value) -> Converted:
        """`value` as this attribute takes it; with a remark for what of it is left out. Never raises ValueError."""


K = TypeVar("K", bound=Known)


class AccountAttributes(Generic[K]):
    """All attributes of one account; `rows` is what they were made of, `rules` is raised when values are judged anew.

    `version` is 16 hex digits that change with whatever decides if a value can be sent. `as_is` are the types in Python
    that each attribute takes as they are, and `writable` the names of those that deliveries may write.
    """

    def __init__(
        self, known: Sequence[K], rows: Sequence[Mapping[str, Any]], *, rules: int, label: str, destination: str
    ) -> None:
        self._label, self._destination = label, destination
        self._known = {one.name: one for one in known}
        self._missing: dict[str, Converted] = {}
        canonical = json.dumps([rules, *sorted(rows, key=lambda row: str(row["name"]))], sort_keys=True)
        self.version = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        self.as_is = {one.name: one.as_is for one in known if one.writable}
        self.writable = frozenset(self.as_is)

    @property
    def names(self) -> list[str]:
        """Of all attributes."""
        return list(self._known)

    def get(self, name: str) -> K | None:
        """None for an attribute that the account does not have."""
        return self._known.get(name)

    def fit(self, name: str, value: Value) -> Converted:
        """See `Known.fit`."""
        known = self._known.get(name)
        if known is not None:
            return known.fit(value)
        if name not in self._missing:
            remark = f"{self._label} has no attribute {name}, so run crm-pipelines provision {self._destination}"
            self._missing[name] = Converted(None, f"{LEFT_OUT}: {remark}")
        return self._missing[name]

    def of_type(self, kind: str) -> frozenset[str]:
        """Names of the attributes of this type that can be written."""
        return frozenset(name for name in self.writable if self._known[name].type == kind)


def as_text(value: Value) -> str | None:
    """A number that a spreadsheet made a float of stays whole: 1042.0 is "1042". Raises ValueError."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return normalize.text(value)
