"""What users decide about contacts: to be delivered, not to be delivered, tried again.

Each function is one transaction. What a decision means stands in one place, the functions crm_select and crm_unselect
of the database, which the view `contacts` uses too. The statements stand in selection.sql.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.crms import known_crm, known_status
from crm_pipelines.contacts.sql import load_statements
from crm_pipelines.errors import UsageError

_SQL = load_statements("selection")
# A decision about everybody may take longer than the connection's usual limit.
_NO_TIMEOUT = sa.text("SET LOCAL statement_timeout = 0")


@dataclass(frozen=True, kw_only=True)
class Who:
    """Contacts by id, by address, by their status at the CRM, or everyone; several of them add up."""

    ids: tuple[UUID, ...] = ()
    emails: tuple[str, ...] = ()
    status: str | None = None
    everyone: bool = False

    def __post_init__(self) -> None:
        if not (self.ids or self.emails or self.status or self.everyone):
            raise UsageError("Say which contacts: by id, by e-mail address, by status, or all.")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Contacts that select() found, by what became of them; `not_found` as the user wrote it."""

    selected: int
    already_queued: int
    claimed: int  # under way: goes again after the present delivery
    suppressed: int
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unselected:
    """Contacts that unselect() took back, and those that were not selected anyway."""

    unselected: int
    unchanged: int
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retried:
    """Failed contacts put back into the queue, and waiting ones whose retry was brought forward to now.

    `other` were chosen and are neither: delivered, due already, under way, suppressed, never selected, or failed for
    another kind of error.
    """

    requeued: int
    hastened: int
    other: int
    dry_run: bool
    not_found: tuple[str, ...] = ()


def ids_by_email(engine: sa.Engine, emails: Sequence[str]) -> list[UUID]:
    """The contacts with these addresses, whatever the case; unknown addresses are left out."""
    with engine.connect() as connection:
        return list(connection.execute(_SQL["ids_by_email"], {"emails": list(emails)}).scalars())


def unknown(engine: sa.Engine, who: Who) -> tuple[str, ...]:
    """The ids and addresses that no contact has, as they were written."""
    with engine.connect() as connection:
        return _unknown(connection, who)


def select(engine: sa.Engine, crm: str, who: Who) -> Selected:
    """Queue contacts for `crm`; what that means for each state: crm_select.

    Raises UsageError for an unknown CRM or status.
    """
    parameters = _parameters(crm, who)
    with engine.begin() as connection:
        connection.execute(_NO_TIMEOUT)
        connection.execute(_SQL["choose"], parameters)
        counts: dict[str, int] = dict(connection.execute(_SQL["select"], parameters).all())
        return Selected(
            selected=counts.get("selected", 0),
            already_queued=counts.get("already_queued", 0),
            claimed=counts.get("claimed", 0),
            suppressed=counts.get("suppressed", 0),
            not_found=_unknown(connection, who),
        )


def unselect(engine: sa.Engine, crm: str, who: Who) -> Unselected:
    """Take contacts back from `crm`; a suppression is lifted too. Raises UsageError for an unknown CRM or status."""
    parameters = _parameters(crm, who)
    with engine.begin() as connection:
        connection.execute(_NO_TIMEOUT)
        connection.execute(_SQL["choose"], parameters)
        chosen = connection.execute(_SQL["count_chosen"]).scalar_one()
        unselected = connection.execute(_SQL["unselect"], parameters).scalar_one()
        return Unselected(unselected=unselected, unchanged=chosen - unselected, not_found=_unknown(connection, who))


def retry(engine: sa.Engine, crm: str, who: Who, *, kind: str | None = None, dry_run: bool = False) -> Retried:
    """Put failed contacts back into the queue with their full attempts, and do not wait for retries under way.

    With `kind`, only those whose last error is of that kind. With `dry_run`, they are only counted. Raises UsageError
    for an unknown CRM or status, and for a kind of which there is no error, with the kinds that there are.
    """
    parameters = {**_parameters(crm, who), "kind": kind}
    with engine.begin() as connection:
        connection.execute(_NO_TIMEOUT)
        if kind is not None:
            _require_kind(connection, parameters["crm"], kind)
        connection.execute(_SQL["choose"], parameters)
        chosen = connection.execute(_SQL["count_chosen"]).scalar_one()
        connection.execute(_SQL["lock_retryable"], parameters)
        counts = connection.execute(_SQL["count_retryable"]).one()
        if not dry_run:
            connection.execute(_SQL["retry_failed"], parameters)
            connection.execute(_SQL["hasten_waiting"], parameters)
        return Retried(
            requeued=counts.requeued,
            hastened=counts.hastened,
            other=chosen - counts.requeued - counts.hastened,
            dry_run=dry_run,
            not_found=_unknown(connection, who),
        )


def _parameters(crm: str, who: Who) -> dict[str, Any]:
    return {
        "crm": known_crm(crm),
        "ids": [str(one) for one in who.ids],
        "emails": list(who.emails),
        "status": known_status(who.status) if who.status else None,
        "everyone": who.everyone,
    }


def _unknown(connection: sa.Connection, who: Who) -> tuple[str, ...]:
    if not (who.ids or who.emails):
        return ()
    names = {"ids": [str(one) for one in who.ids], "emails": list(who.emails)}
    return tuple(connection.execute(_SQL["unknown"], names).scalars())


def _require_kind(connection: sa.Connection, crm: str, kind: str) -> None:
    kinds = list(connection.execute(_SQL["kinds"], {"crm": crm}).scalars())
    if kind not in kinds:
        present = f"The kinds at present: {', '.join(kinds)}." if kinds else "There are no errors at present."
        raise UsageError(f"No contact has an error of kind {kind!r} at {crm}. {present}")
