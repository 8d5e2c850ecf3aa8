"""Commands about contacts: bring them in, decide about them, see how they stand."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.importing import import_
from crm_pipelines.cli.output import (
    CRM,
    as_json,
    cells,
    print_json,
    print_table,
    printable,
    report_unknown,
    table,
    working,
)
from crm_pipelines.contacts.crms import SYNC_STATUSES

if TYPE_CHECKING:
    from crm_pipelines.contacts.left_out import LeftOut
    from crm_pipelines.contacts.selection import Who
    from crm_pipelines.contacts.status import CrmStatus


@click.group()
def contacts() -> None:
    """Bring contacts in, and decide which go to a CRM."""


contacts.add_command(import_)


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which contacts."""
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
        command = option(command)
    return command


def _who(ids: tuple[UUID, ...], emails: tuple[str, ...], status: str | None, *, everyone: bool) -> "Who":
    from crm_pipelines.contacts.selection import Who

    return Who(ids=ids, emails=emails, status=status, everyone=everyone)


@contacts.command("select")
@click.argument("crm", type=CRM)
@_choosing
@as_json
def select_(
    crm: str, ids: tuple[UUID, ...], emails: tuple[str, ...], status: str | None, everyone: bool, as_json: bool
) -> None:
    """Queue contacts for CRM; they are sent even if nothing changed.

    \b
    Examples:
      crm-pipelines contacts select brevo --email ada@example.com --email grace@example.com
      crm-pipelines contacts select brevo --where-status New
      crm-pipelines contacts select brevo --all
    """
    from crm_pipelines.contacts.selection import select

    who = _who(ids, emails, status, everyone=everyone)
    with contacts_engine() as (_, engine), working("Selecting"):
        done = select(engine, crm, who)
    if as_json:
        _end_as_json(crm, asdict(done))
        return
    said = [f"{done.selected} queued"]
    said += [f"{done.already_queued} were queued already"] if done.already_queued else []
    said += [f"{done.claimed} are being delivered and go again"] if done.claimed else []
    said += [f"{done.suppressed} are suppressed and stay so"] if done.suppressed else []
    click.echo(f"{crm}: {', '.join(said)}.")
    _end(done.not_found)


@contacts.command()
@click.argument("crm", type=CRM)
@_choosing
@as_json
def unselect(
    crm: str, ids: tuple[UUID, ...], emails: tuple[str, ...], status: str | None, everyone: bool, as_json: bool
) -> None:
    """Take contacts back from CRM's queue. What the CRM holds already stays there.

    Who is suppressed (never sent) stays so, unless named by --id or --email.

    \b
    Examples:
      crm-pipelines contacts unselect brevo --email ada@example.com
      crm-pipelines contacts unselect brevo --where-status Error
    """
    from crm_pipelines.contacts import selection

    who = _who(ids, emails, status, everyone=everyone)
    with contacts_engine() as (_, engine), working("Taking back"):
        done = selection.unselect(engine, crm, who)
    if as_json:
        _end_as_json(crm, asdict(done))
        return
    said = [f"{done.unselected} taken back", f"{done.unchanged} were not selected"]
    said += [f"{done.suppressed} are suppressed and stay so"] if done.suppressed else []
    click.echo(f"{crm}: {', '.join(said)}.")
    _end(done.not_found)


@click.command()
@click.argument("crm", type=CRM)
@click.option("--email", "emails", multiple=True, help="By address.")
@click.option("--kind", help="Those whose last error is of this kind; see status.")
@click.option("--all", "everyone", is_flag=True, help="All that failed.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@as_json
def retry(crm: str, emails: tuple[str, ...], kind: str | None, everyone: bool, dry_run: bool, as_json: bool) -> None:
    """Put failed contacts back in CRM's queue, and do not wait for retries that are due later.

    \b
    Examples:
      crm-pipelines retry brevo --kind outage --dry-run
      crm-pipelines retry brevo --email ada@example.com
      crm-pipelines retry brevo --all
    """
    from crm_pipelines.contacts import selection

    everyone = everyone or (kind is not None and not emails)
    who = _who((), emails, None, everyone=everyone)
    with contacts_engine() as (_, engine), working("Looking for what failed"):
        done = selection.retry(engine, crm, who, kind=kind, dry_run=dry_run)
    if as_json:
        _end_as_json(crm, asdict(done))
        return
    would = "would be " if dry_run else ""
    click.echo(f"{crm}: {done.requeued} {would}queued again, {done.hastened} waiting ones {would}made due now.")
    _end(done.not_found)


def _end_as_json(crm: str, done: dict[str, Any]) -> None:
    print_json({"crm": crm, **done})
    if done["not_found"]:
        raise click.exceptions.Exit(1)


def _end(not_found: tuple[str, ...]) -> None:
    report_unknown(not_found)
    if not_found:
        raise click.exceptions.Exit(1)


@contacts.command()
@click.option("--merge", is_flag=True, help="Make one contact of each and the one that is sent.")
@as_json
def twins(merge: bool, as_json: bool) -> None:
    """Show contacts that are one address with another one. The later ones are never sent.

    Only contacts of before addresses had one normal form can be so. --merge fills what is blank in the contact that is
    sent from the others, and deletes these with their history. Or delete or correct one yourself: the other is an
    ordinary contact then.

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
        click.echo("No two contacts are one address.")


@click.command()
@click.argument("crm", type=CRM, required=False)
@as_json
def status(crm: str | None, as_json: bool) -> None:
    """Show how many contacts stand where, and what holds them up. Without CRM: for all.

    \b
    Examples:
      crm-pipelines status
      crm-pipelines status brevo --json | jq .counts.Error
    """
    from crm_pipelines.contacts.left_out import values_left_out
    from crm_pipelines.contacts.queue import Queue
    from crm_pipelines.contacts.status import crm_status, crm_statuses
    from crm_pipelines.contacts.twins import count_twins, in_words
    from crm_pipelines.delivery.planning import time_to_empty
    from crm_pipelines.delivery.rates import rate_limit_of

    empty_in: dict[str, float | None] = {}
    with contacts_engine() as (settings, engine):
        told = [crm_status(engine, crm)] if crm else crm_statuses(engine)
        with engine.connect() as connection:
            twins = in_words(count_twins(connection))
        left_out = {one.crm: values_left_out(engine, one.crm) for one in told}
        for one in told:
            rate = rate_limit_of(settings.destination("brevo"), one.gate.limit_observed).per_second
            left = time_to_empty(one.due, Queue(engine, one.crm).pace(), rate)
            goes_on = one.crm == "brevo" and not one.gate.paused
            empty_in[one.crm] = round(left.total_seconds(), 1) if goes_on else None
    if as_json:
        documents = [
            {
                **one.as_dict(),
                "empty_in_seconds": empty_in[one.crm],
                "left_out": [asdict(value) for value in left_out[one.crm]],
            }
            for one in told
        ]
        print_json(documents[0] if crm else documents)
        return
    overview = table("CRM", *SYNC_STATUSES)
    for one in told:
        overview.add_row(one.crm, *(str(one.counts[name]) for name in SYNC_STATUSES))
    print_table(overview)
    for one in told:
        _tell_status(one, empty_in[one.crm])
        _tell_left_out(one.crm, left_out[one.crm])
    if twins:
        click.echo(twins)


def _tell_left_out(crm: str, found: "list[LeftOut]") -> None:
    if not found:
        return
    shown = table("Field", "Contacts", "Why", title=f"Values left out at {crm}; everything else of these was delivered")
    for one in found:
        shown.add_row(*cells(one.field, one.contacts, one.reason))
    print_table(shown)


def _tell_status(told: "CrmStatus", empty_in_seconds: float | None) -> None:
    if told.gate.account is not None:
        click.echo(f"{told.crm}: account {printable(told.gate.account)}{printable(told.gate.account_change)}.")
    if told.oldest_due_seconds is not None:
        put_off = f" and {told.put_off} put off" if told.put_off else ""
        click.echo(f"{told.crm}: {told.due} due{put_off}, the oldest for {told.oldest_due_seconds / 60:.0f} minutes.")
        if empty_in_seconds is not None:
            click.echo(f"{told.crm}: at this pace they are delivered in {max(1, empty_in_seconds / 60):.0f} minutes.")
    if told.next_due is not None:
        click.echo(f"{told.crm}: the next of those that wait is due at {told.next_due:%Y-%m-%d %H:%M:%S} UTC.")
    if told.gate.paused:
        until = told.gate.paused_until_in_words
        click.echo(f"{told.crm}: nothing is sent until {until}. {printable(told.gate.pause_reason or '')}")
    if told.errors:
        errors = table("Status", "Kind", "Contacts", "Latest", title=f"Errors at {told.crm}")
        for group in told.errors:
            errors.add_row(*cells(group.status, group.kind, group.contacts, group.sample))
        print_table(errors)
