"""What users decide about contacts: to be delivered, not to be delivered, tried again.

A function that is given an engine is one transaction. What a decision means stands in one place, the functions
crm_select and crm_unselect of the database, which the view `contacts` uses too. The statements stand in selection.sql.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.filters import ContactFilter, matching
from crm_pipelines.database.sql import NO_TIMEOUT, load_statements
from crm_pipelines.database.view import known_status
from crm_pipelines.destinations.registered import known_destination
from crm_pipelines.errors import CrmPipelinesError, UsageError

Action = Literal["select", "unselect"]

_SQL = load_statements("contacts/selection")


@dataclass(frozen=True, kw_only=True)
class Who:
    """Contacts by id, by address, by their status at the CRM, or everyone; several of them add up.

    `stale`: those that were delivered with another mapping than the one of this version.
    """

    ids: tuple[UUID, ...] = ()
    emails: tuple[str, ...] = ()
    status: str | None = None
    everyone: bool = False
    stale: str | None = None

    def __post_init__(self) -> None:
        if not (self.ids or self.emails or self.status or self.everyone or self.stale):
            raise UsageError("Say which contacts (--email ADDRESS), or that it is all of them (--all).")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Contacts that select() found, by what became of them; `not_found` as the user wrote it."""

    selected: int
    already_queued: int
    claimed: int  # under way: goes again after the present delivery
    suppressed: int
    unknown: int = 0  # may have arrived: stays so, unless named
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unselected:
    """Contacts that unselect() took back, those that were not selected anyway, and suppressed ones: they stay so."""

    unselected: int
    unchanged: int
    suppressed: int = 0
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retried:
    """Failed contacts put back into the queue, and waiting ones whose retry was brought forward to now.

    `other` were chosen and are neither: delivered, due already, under way, suppressed, never selected, or failed for
    another kind of error. `unknown` of them may have arrived where nothing must be sent twice: only their kind or
    their name takes those.
    """

    requeued: int
    hastened: int
    other: int
    dry_run: bool
    not_found: tuple[str, ...] = ()
    unknown: int = 0


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Contacts that matched a filter at one CRM, and what became of them: the counts of Selected or Unselected."""

    crm: str
    contacts: int
    counts: dict[str, int] = field(default_factory=dict)


class MoreThanConfirmed(CrmPipelinesError):
    """More contacts match the filter than were confirmed; nothing was changed."""

    def __init__(self, contacts: int) -> None:
        super().__init__()
        self.contacts = contacts


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

    Who may have arrived where nothing must be sent twice stays as it is, unless named by id or address. Raises
    UsageError for an unknown CRM or status.
    """
    with engine.begin() as connection:
        parameters = _parameters(connection, crm, who)
        connection.execute(NO_TIMEOUT)
        connection.execute(_SQL["choose"], parameters)
        named = not (who.everyone or who.status or who.stale)
        counts = _select_chosen(connection, parameters["crm"], named=named)
        return Selected(**counts, not_found=_unknown(connection, who))


def unselect(engine: sa.Engine, crm: str, who: Who) -> Unselected:
    """Take contacts back from `crm`. Raises UsageError for an unknown CRM or status.

    Whoever is suppressed stays so, unless named by id or address: that lifts the suppression.
    """
    with engine.begin() as connection:
        parameters = _parameters(connection, crm, who)
        connection.execute(NO_TIMEOUT)
        lifted = _unsuppress_named(connection, parameters["crm"], who)
        connection.execute(_SQL["choose"], parameters)
        counts = _unselect_chosen(connection, parameters["crm"])
        counts |= {"unselected": counts["unselected"] + lifted, "unchanged": counts["unchanged"] - lifted}
        return Unselected(**counts, not_found=_unknown(connection, who))


def count_matching(connection: sa.Connection, crm: str, filter_: ContactFilter, *, most: int | None = None) -> Decided:
    """How many contacts match the filter at `crm`; `most` where it is more. Raises UsageError for an unknown name."""
    parameters = {"crm": known_destination(connection, crm), "most": most, **filter_.parameters()}
    contacts = connection.execute(matching(_SQL["count_matching"], filter_), parameters).scalar_one()
    return Decided(crm=parameters["crm"], contacts=contacts)


def decide_matching(
    connection: sa.Connection, crm: str, filter_: ContactFilter, action: Action, *, most: int
) -> Decided:
    """Select or unselect every contact that matches the filter at `crm`, `most` of them at most.

    They stay in the database, so that a hundred thousand take seconds. Raises UsageError for an unknown CRM or status,
    and MoreThanConfirmed before anything is changed.
    """
    crm = known_destination(connection, crm)
    connection.execute(NO_TIMEOUT)
    connection.execute(matching(_SQL["choose_matching"], filter_), {"crm": crm, **filter_.parameters()})
    chosen = connection.execute(_SQL["count_chosen"]).scalar_one()
    if chosen > most:
        raise MoreThanConfirmed(chosen)
    counts = _select_chosen(connection, crm) if action == "select" else _unselect_chosen(connection, crm)
    connection.execute(_SQL["forget_chosen"])
    return Decided(crm=crm, contacts=chosen, counts=counts)


def decide(connection: sa.Connection, crm: str, ids: Collection[UUID], action: Action) -> dict[UUID, str]:
    """Select or unselect contacts for `crm`. Ids that nobody has are not in the answer.

    It says of each `selected`, `already_queued`, `claimed` (under way, goes again afterwards) or `suppressed`; or
    `unselected`, `suppressed` or `unchanged`. To unselect a single contact lifts its suppression; one among several
    keeps it, since a list of many names nobody. Raises UsageError for an unknown CRM.
    """
    crm = known_destination(connection, crm)
    given = {"crm": crm, "ids": list(ids)}
    statement = _SQL["select_these" if action == "select" else "unselect_these"]
    lifted = _unsuppress(connection, crm, ids) if action == "unselect" and len(ids) == 1 else {}
    return {row.contact_id: row.outcome for row in connection.execute(statement, given)} | lifted


def put_first(connection: sa.Connection, crm: str, contact_id: UUID) -> str | None:
    """Queue the contact for `crm` ahead of all others, without waiting for a back-off; returns as decide() does.

    Every run that takes what is due takes it first, and so does one that is for those who were put first only.
    None if there is no such contact. Raises UsageError for an unknown CRM.
    """
    given = {"crm": known_destination(connection, crm), "contact_id": contact_id}
    outcome = decide(connection, crm, [contact_id], "select").get(contact_id)
    connection.execute(_SQL["put_first"], given)
    if outcome not in {None, "suppressed"}:
        connection.execute(_SQL["note_put_first"], given)
    return outcome


def retry(engine: sa.Engine, crm: str, who: Who, *, kind: str | None = None, dry_run: bool = False) -> Retried:
    """As retry_within(), in a transaction of its own."""
    with engine.begin() as connection:
        return retry_within(connection, crm, who, kind=kind, dry_run=dry_run)


def retry_within(
    connection: sa.Connection, crm: str, who: Who, *, kind: str | None = None, dry_run: bool = False
) -> Retried:
    """Put failed contacts back into the queue with their full attempts, and do not wait for retries under way.

    With `kind`, only those whose last error is of that kind; without it, everyone is without those who may have
    arrived where nothing must be sent twice. With `dry_run`, they are only counted. Raises UsageError for an unknown
    CRM or status, and for a kind of which there is no error, with the kinds that there are.
    """
    leave_unknown = who.everyone and kind is None
    parameters = {**_parameters(connection, crm, who), "kind": kind, "leave_unknown": leave_unknown}
    connection.execute(NO_TIMEOUT)
    if kind is not None:
        _require_kind(connection, parameters["crm"], kind)
    # A million are not put down only to be counted.
    connection.execute(_SQL["choose"], {**parameters, "everyone": False})
    chosen = connection.execute(_SQL["count_everyone" if who.everyone else "count_chosen"]).scalar_one()
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
        unknown=connection.execute(_SQL["count_unknown"], parameters).scalar_one() if leave_unknown else 0,
    )


def _select_chosen(connection: sa.Connection, crm: str, *, named: bool = False) -> dict[str, int]:
    unknown = 0 if named else connection.execute(_SQL["leave_unknown"], {"crm": crm}).rowcount
    counts: dict[str, int] = dict(connection.execute(_SQL["select"], {"crm": crm}).all())
    outcomes = ("selected", "already_queued", "claimed", "suppressed")
    return {outcome: counts.get(outcome, 0) for outcome in outcomes} | {"unknown": unknown}


def _unselect_chosen(connection: sa.Connection, crm: str) -> dict[str, int]:
    chosen = connection.execute(_SQL["count_chosen"]).scalar_one()
    suppressed = connection.execute(_SQL["count_suppressed"], {"crm": crm}).scalar_one()
    unselected = connection.execute(_SQL["unselect"], {"crm": crm}).scalar_one()
    return {"unselected": unselected, "unchanged": chosen - unselected - suppressed, "suppressed": suppressed}


def _unsuppress_named(connection: sa.Connection, crm: str, who: Who) -> int:
    named = list(who.ids) + list(connection.execute(_SQL["ids_by_email"], {"emails": list(who.emails)}).scalars())
    return len(_unsuppress(connection, crm, named))


def _unsuppress(connection: sa.Connection, crm: str, ids: Collection[UUID]) -> dict[UUID, str]:
    given = {"crm": crm, "ids": list(ids), "reason": "unselected by name", "by": None}
    return {row.contact_id: row.outcome for row in connection.execute(_SQL["unsuppress_these"], given)}


def _parameters(connection: sa.Connection, crm: str, who: Who) -> dict[str, Any]:
    return {
        "crm": known_destination(connection, crm),
        "ids": [str(one) for one in who.ids],
        "emails": list(who.emails),
        "status": known_status(who.status) if who.status else None,
        "everyone": who.everyone,
        "stale": who.stale,
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
