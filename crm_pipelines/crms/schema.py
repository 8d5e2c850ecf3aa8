"""What an account has to have, so that the contacts' values arrive."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.turns import Turn
from crm_pipelines.errors import CrmPipelinesError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a preflight: `ok` or not, what was looked at, and what to do about it.

    `about`: whether the CRM accepts the key, with its permissions, or what the settings name. Sending that was stopped
    for one of them goes on when that is accepted, whatever else is found.
    """

    ok: bool
    subject: str
    detail: str
    blocking: bool = True  # False: a warning that does not fail the preflight
    about: Literal["key", "setting"] | None = None


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


class Schema(Protocol):
    """The attributes of an account, for a CRM that keeps only values of attributes that were made before."""

    def attributes(self, *, turn: Turn) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """The account's attributes as JSON, in one request; None unless SYNCED.

        Each has a `name` and a `type`, and may have a `category`, `options` (what a value is one of) and `enumeration`
        (of each its `label`, and the `value` that is kept for it): whatever of that changes makes values be sent anew.
        """

    def plan(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[NewAttribute]:
        """What `provision` would create."""

    def provision(
        self,
        *,
        dry_run: bool,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[str]:
        """Create what the mapping needs in the account; returns the names that it was (or would be) done for.

        Safe to repeat.
        """
