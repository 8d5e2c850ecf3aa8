"""The gates: how they stand, and the two that a person closes and opens."""

from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import as_json, print_json, printable, say
from crm_pipelines.cli.status import tell_standing
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.destinations.gates import GateKeeper


class OpensByItself(CrmPipelinesError):
    """Sending is paused for something that no word of a person changes."""


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def gate(context: click.Context, as_json: bool) -> None:
    """Show how deliveries stand: whether anything is sent to a CRM, and if not, why.

    \b
    Examples:
      crm-pipelines gate
      crm-pipelines gate close brevo --reason "Until the import is checked"
      crm-pipelines gate open brevo
    """
    if context.invoked_subcommand is not None:
        return
    from crm_pipelines.delivery.standings import standing_at
    from crm_pipelines.destinations.gates import GateKeeper
    from crm_pipelines.statistics.status import crm_statuses, gate_document

    with contacts_engine() as (settings, engine):
        told = crm_statuses(engine, count_unanswered=False)
        crms = [one.crm for one in told]
        shown = {one.crm for one in told if one.crm in settings.destinations or one.is_used}
        gates = [GateKeeper(engine, crm).read() for crm in crms]
        standings = [standing_at(engine, settings, crm) for crm in crms]
    if as_json:
        both = zip(gates, standings, strict=True)
        print_json([{"crm": one.crm, **gate_document(one), "standing": stands.as_dict()} for one, stands in both])
        return
    for one in standings:
        if one.crm in shown:
            tell_standing(one)


@gate.command("open")
@click.argument("crm", type=DESTINATION)
def open_(crm: str) -> None:
    """Start sending to CRM again, after it was stopped by hand, by a restore, or because its account lacks attributes.

    The next run sends what is due. Values of attributes that the account lacks are left out. That decision is
    remembered until the mapping changes.

    \b
    Example:
      crm-pipelines gate open brevo
    """
    from crm_pipelines.queue.claims import Queue

    with contacts_engine() as (_, engine):
        before = _gatekeeper(engine, crm).open_by_hand()
        due = Queue(engine, crm).backlog().due
    if before.paused and not before.waits_for_a_person:
        raise OpensByItself(f"Sending to {crm} is paused until {before.paused_until_in_words}. {before.pause_reason}")
    if before.waits_for_attributes:
        say(f"{crm}: contacts are sent without these values from now on. {printable(before.pause_reason or '')}")
    said = "is on again" if before.paused else "was on already"
    say(f"{crm}: sending {said}. {counted(due, 'contact')} {'is' if due == 1 else 'are'} due.")


@gate.command()
@click.argument("crm", type=DESTINATION)
@click.option("--reason", default="No reason was given.", help="Why: the reason is shown wherever people look.")
def close(crm: str, reason: str) -> None:
    """Stop sending to CRM until `crm-pipelines gate open`. Contacts that are selected meanwhile wait.

    \b
    Example:
      crm-pipelines gate close brevo --reason "Until the import is checked"
    """
    with contacts_engine() as (_, engine):
        _gatekeeper(engine, crm).close_by_hand(reason)
    say(f"{crm}: sending is stopped until `crm-pipelines gate open {crm}`.")


def _gatekeeper(engine: "sa.Engine", crm: str) -> "GateKeeper":
    """Raises UsageError for a destination that this database does not know."""
    from crm_pipelines.destinations.gates import GateKeeper
    from crm_pipelines.destinations.registered import known_destination

    with engine.connect() as connection:
        return GateKeeper(engine, known_destination(connection, crm))
