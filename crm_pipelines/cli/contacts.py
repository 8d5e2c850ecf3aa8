"""Commands about contacts: bring them in, decide about them."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION, selectable
from crm_pipelines.cli.importing import import_
from crm_pipelines.cli.output import (
    as_json,
    cells,
    print_json,
    print_table,
    report_unknown,
    table,
    working,
)
from crm_pipelines.database.view import SYNC_STATUSES

if TYPE_CHECKING:
    from crm_pipelines.contacts.selection import Retried, Selected, Unselected, Who


@click.group()
def contacts() -> None:
    """Bring contacts in, and decide which go to a CRM."""


contacts.add_command(import_)


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which contacts; the command gets them as `who`, to be called."""

    @wraps(command)
    def chosen(
        ids: tuple[UUID, ...], emails: tuple[str, ...], status: str | None, everyone: bool, **others: Any
    ) -> None:
        from crm_pipelines.contacts.selection import Who

        command(who=partial(Who, ids=ids, emails=emails, status=status, everyone=everyone), **others)

    options = [
        click.option("--id", "ids", type=click.UUID, multiple=True, help="By id."),
        click.option("--email", "emails", multiple=True, help="By address."),
        click.option("--all", "everyone", is_flag=True, help="All contacts."),
        click.option(
            "--where-status",
            "status",
            type=click.Choice(SYNC_STATUSES, case_sensitive=False),
            help="Those with this sync status at the CRM.",
        ),
    ]
    for option in reversed(options):
        chosen = option(chosen)
    return chosen


@contacts.command("select")
@click.argument("crm", type=DESTINATION)
@_choosing
@click.option("--stale", is_flag=True, help="Those that were delivered with another mapping than the present one.")
@as_json
def select_(crm: str, who: "Callable[..., Who]", stale: bool, as_json: bool) -> None:
    """Queue contacts for CRM; they are sent even if nothing changed.

    \b
    Examples:
      crm-pipelines contacts select brevo --email ada@example.com --email grace@example.com
      crm-pipelines contacts select brevo --where-status New
      crm-pipelines contacts select brevo --stale
      crm-pipelines contacts select brevo --all
    """
    from crm_pipelines.contacts.selection import select
    from crm_pipelines.crms.registry import mapper_of

    with contacts_engine() as (settings, engine), working("Selecting"):
        crm = selectable(settings, engine, crm)
        chosen = who(stale=mapper_of(settings, crm).mapping_version) if stale else who()
        done = select(engine, crm, chosen)
    said = [f"{done.selected} queued"]
    said += [f"{_were(done.already_queued)} queued already"] if done.already_queued else []
    said += [f"{done.claimed} being delivered, and queued again afterwards"] if done.claimed else []
    said += [f"{_were(done.suppressed)} never to be sent, and left so"] if done.suppressed else []
    _end(crm, done, ", ".join(said), as_json=as_json, unknown=done.unknown)


@contacts.command()
@click.argument("crm", type=DESTINATION)
@_choosing
@as_json
def unselect(crm: str, who: "Callable[..., Who]", as_json: bool) -> None:
    """Take contacts back from CRM's queue. What the CRM holds already stays there.

    A contact that is never sent stays so, unless you name it by --id or --email.

    \b
    Examples:
      crm-pipelines contacts unselect brevo --email ada@example.com
      crm-pipelines contacts unselect brevo --where-status Error
    """
    from crm_pipelines.contacts import selection

    with contacts_engine() as (_, engine), working("Taking back"):
        done = selection.unselect(engine, crm, who())
    said = [f"{done.unselected} taken back", f"{_were(done.unchanged)} not selected"]
    said += [f"{_were(done.suppressed)} never to be sent, and left so"] if done.suppressed else []
    _end(crm, done, ", ".join(said), as_json=as_json)


@click.command()
@click.argument("crm", type=DESTINATION)
@click.option("--id", "ids", type=click.UUID, multiple=True, help="By id.")
@click.option("--email", "emails", multiple=True, help="By address.")
@click.option("--kind", help="Those whose last error is of this kind; see status.")
@click.option("--all", "everyone", is_flag=True, help="All that failed.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@as_json
def retry(
    crm: str,
    ids: tuple[UUID, ...],
    emails: tuple[str, ...],
    kind: str | None,
    everyone: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put failed contacts back in CRM's queue. Those that wait for another try become due now.

    Contacts whose error is of the kind unknown may have arrived. --all leaves them alone: name them by --email, --id or
    --kind unknown.

    \b
    Examples:
      crm-pipelines retry brevo --kind outage --dry-run
      crm-pipelines retry brevo --email ada@example.com
      crm-pipelines retry brevo --all
    """
    from crm_pipelines.contacts import selection

    by_kind = kind is not None and not ids and not emails
    who = selection.Who(ids=ids, emails=emails, everyone=everyone or by_kind)
    with contacts_engine() as (_, engine), working("Looking for what failed"):
        done = selection.retry(engine, crm, who, kind=kind, dry_run=dry_run)
    would = "would be " if dry_run else ""
    said = f"{done.requeued} {would}queued again, {done.hastened} waiting ones {would}made due now"
    _end(crm, done, said, as_json=as_json, unknown=done.unknown)


def _were(contacts: int) -> str:
    return f"{contacts} {'was' if contacts == 1 else 'were'}"


def _end(crm: str, done: "Selected | Unselected | Retried", said: str, *, as_json: bool, unknown: int = 0) -> None:
    """Exit code 1 where somebody was named who is no contact. `unknown` may have arrived and were left alone."""
    if as_json:
        print_json({"crm": crm, **asdict(done)})
    else:
        click.echo(f"{crm}: {said}.")
        if unknown:
            also = f"See `crm-pipelines retry {crm} --kind unknown`."
            click.echo(f"Left alone, since they may have arrived: {unknown}. {also}")
        report_unknown(done.not_found)
    if done.not_found:
        raise click.exceptions.Exit(1)


@contacts.command()
@click.option("--merge", is_flag=True, help="Merge each into the contact that is sent.")
@as_json
def twins(merge: bool, as_json: bool) -> None:
    """Show contacts that share one address. Only the oldest of them is sent.

    An earlier version of crm-pipelines took such contacts in; this one does not. --merge fills the blank fields of the
    contact that is sent from the others, and deletes the others with their history. You can also delete or correct one
    yourself: the other is an ordinary contact then.

    \b
    Examples:
      crm-pipelines contacts twins
      crm-pipelines contacts twins --merge
    """
    from crm_pipelines.contacts import twins as stored

    with contacts_engine() as (_, engine), engine.begin() as connection:
        merged = stored.merge_twins(connection) if merge else 0
        found = stored.twins(connection)
    if as_json:
        print_json({"merged": merged, "twins": [asdict(one) for one in found]})
        return
    if merge:
        click.echo(f"{merged} merged.")
    if found:
        shown = table("Never sent", "Id", "Name", "Sent instead", "Id", "Name")
        for one in found:
            shown.add_row(*cells(one.email, one.id, one.name, one.first_email, one.first_id, one.first_name))
        print_table(shown)
    elif not merge:
        click.echo("No two contacts share an address.")
