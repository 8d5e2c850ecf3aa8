"""`crm-pipelines status`: how many contacts stand where, and what holds them up."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION, waiting_for_nobody
from crm_pipelines.cli.output import as_json, cells, print_json, print_table, printable, say, table
from crm_pipelines.database.view import SYNC_STATUSES
from crm_pipelines.errors import SettingsError
from crm_pipelines.vocabulary import STATUS_WORDS, counted, in_brief

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.settings import Settings
    from crm_pipelines.statistics.left_out import LeftOut
    from crm_pipelines.statistics.standing import Standing
    from crm_pipelines.statistics.status import CrmStatus


@click.command()
@click.argument("crm", type=DESTINATION, required=False)
@as_json
def status(crm: str | None, as_json: bool) -> None:
    """Show how deliveries stand, contacts by status, and errors. Without CRM: for all.

    \b
    Examples:
      crm-pipelines status
      crm-pipelines status brevo --json | jq .counts.Error
    """
    from crm_pipelines.contacts.presence import nobody_yet
    from crm_pipelines.contacts.stale import stale_in_words
    from crm_pipelines.contacts.twins import count_twins, in_words
    from crm_pipelines.delivery.standings import standing_at
    from crm_pipelines.statistics.left_out import left_out_sentence, values_left_out
    from crm_pipelines.statistics.status import crm_statuses

    with contacts_engine() as (settings, engine):
        told = crm_statuses(engine, [crm] if crm else None)
        with engine.connect() as connection:
            twins = in_words(count_twins(connection))
        left_out = {one.crm: values_left_out(engine, one.crm) for one in told}
        arrives_not = {one.crm: left_out_sentence(engine, one.crm, settings.title_of(one.crm)) for one in told}
        standings = {one.crm: standing_at(engine, settings, one.crm) for one in told}
        empty_in = {one.crm: _empty_in(settings, engine, one, standings[one.crm]) for one in told}
        shown = {one.crm for one in told if crm or one.crm in settings.destinations or one.is_used}
        waiting = waiting_for_nobody(settings, engine)
        nobody = nobody_yet(engine, crm or next(iter(settings.destinations)))
        stale = {one.crm: _stale(settings, engine, one) for one in told}
    if as_json:
        documents = [
            {
                **one.as_dict(),
                "standing": standings[one.crm].as_dict(),
                "empty_in_seconds": empty_in[one.crm],
                "left_out": [asdict(value) for value in left_out[one.crm]],
                "waiting_for_nobody": waiting.get(one.crm),
                "delivered_with_another_mapping": stale[one.crm],
            }
            for one in told
        ]
        print_json(documents[0] if crm else documents)
        return
    for one in told:
        if one.crm in shown:
            tell_standing(standings[one.crm])
    overview = table("Contacts", *(one.crm for one in told))
    for name in SYNC_STATUSES:
        overview.add_row(STATUS_WORDS[name], *(str(one.counts[name]) for one in told))
    if nobody:
        say(nobody)
    else:
        print_table(overview)
    for one in told:
        _tell_status(one)
        if sentence := arrives_not[one.crm]:
            say(f"{one.crm}: {printable(sentence)}")
        _tell_left_out(one.crm, left_out[one.crm])
        if said := stale_in_words(one.crm, stale[one.crm] or 0):
            say(f"{one.crm}: {said}")
    for one in told:
        if one.crm in waiting:
            say(waiting[one.crm])
    if twins:
        say(twins)


def _empty_in(settings: "Settings", engine: "sa.Engine", told: "CrmStatus", standing: "Standing") -> float | None:
    """Seconds until nothing that is due now is left; None while nothing is delivered."""
    from crm_pipelines.delivery.emptying import emptied_in

    if standing.condition not in {"fine", "working", "behind"}:
        return None
    found = emptied_in(engine, settings, told.gate, told.due)
    return None if found is None else round(found.total_seconds(), 1)


def _stale(settings: "Settings", engine: "sa.Engine", told: "CrmStatus") -> int | None:
    """Delivered contacts that were sent with another mapping; None where there is none to compare with."""
    if told.crm not in settings.destinations:
        return None
    if not told.delivered_in_all:
        return 0  # without loading the CRM's module
    from crm_pipelines.contacts.stale import count_stale
    from crm_pipelines.crms.registry import mapper_of

    try:
        return count_stale(engine, told.crm, mapper_of(settings, told.crm).mapping_version)
    except SettingsError:
        return None


def _tell_left_out(crm: str, found: "list[LeftOut]") -> None:
    if not found:
        return
    shown = table("Field", "Contacts", "Why", title=f"Values left out at {crm}; everything else of these was delivered")
    for one in found:
        shown.add_row(*cells(one.field, one.contacts, one.reason))
    print_table(shown)


def tell_standing(standing: "Standing") -> None:
    """In one or two lines, and the reason where something ails."""
    say(f"{standing.crm}: {printable(standing.sentence)}")
    if standing.cause is not None and standing.reason and standing.reason not in standing.sentence:
        say(f"{standing.crm}: reason: {printable(standing.reason)}")
    if standing.action is not None:
        say(f"{standing.crm}: what to do: {printable(standing.action)}")


def _tell_status(told: "CrmStatus") -> None:
    if told.gate.account is not None:
        say(f"{told.crm}: account {printable(told.gate.account)}{printable(told.gate.account_change)}.")
    if told.delivered_in_all:
        say(f"{told.crm}: holds {counted(told.delivered_in_all, 'contact')} of ours.")
    if told.next_due is not None:
        say(f"{told.crm}: the next of those that wait is due at {told.next_due:%Y-%m-%d %H:%M:%S} UTC.")
    if told.delays.contacts:
        shares = ", ".join(f"{percent} % within {in_brief(one)}" for percent, one in told.delays.by_percent.items())
        say(
            f"{told.crm}: from an edit or a selection to the CRM, in the last hour: {shares} "
            f"({counted(told.delays.contacts, 'delivery', 'deliveries')})."
        )
    if told.unanswered and told.unanswered.oldest:
        since = f"{told.unanswered.oldest:%Y-%m-%d %H:%M:%S} UTC"
        say(
            f"{told.crm}: of the contacts that were sent there more than an hour ago, nothing has come back "
            f"for {told.unanswered.contacts}; the first was sent at {since}."
        )
    if told.errors:
        errors = table("Status", "Kind", "Contacts", "Latest", title=f"Errors at {told.crm}")
        for group in told.errors:
            errors.add_row(*cells(STATUS_WORDS[group.status], group.kind, group.contacts, group.sample))
        print_table(errors)
