"""`crm-pipelines sync`: run a destination's job now, or see first what it would do."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import (
    as_json,
    cells,
    print_json,
    print_table,
    printable,
    report_unknown,
    say,
    table,
    working,
)
from crm_pipelines.cli.status import tell_standing
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.contacts.named import Named
    from crm_pipelines.delivery.previewing import ContactChange
    from crm_pipelines.orchestration.sync.run_now import RunResult
    from crm_pipelines.settings import Settings
    from crm_pipelines.statistics.standing import Standing

_HELD_UP = frozenset({"held_back", "testing", "rejecting", "refused", "waiting_for_you"})
_LONGEST_VALUE = 40
_WIDEST_NAME = 22


class SyncFailed(CrmPipelinesError):
    """The run failed."""


class ContactsUnknown(CrmPipelinesError):
    """No contact has any of these addresses, so nothing was run."""


@click.command()
@click.argument("crm", type=DESTINATION)
@click.option("--limit", type=click.IntRange(min=1), help="Deliver at most this many contacts.")
@click.option("--email", "emails", multiple=True, help="Only this contact (repeatable), without waiting for its time.")
@click.option(
    "--dry-run", is_flag=True, help="Send nothing; show what would be sent, field by field for the first ten."
)
@as_json
def sync(crm: str, limit: int | None, emails: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run the Dagster job of CRM now, in this process.

    The exit code is 1 when the run failed, and when CRM does not hold a named contact as it is here.

    \b
    Examples:
      crm-pipelines sync brevo --dry-run
      crm-pipelines sync brevo --limit 10
      crm-pipelines sync brevo --email ada@example.com
    """
    from crm_pipelines.contacts.presence import nobody_yet
    from crm_pipelines.contacts.selection import Who, ids_by_email, unknown
    from crm_pipelines.delivery.standings import standing_at
    from crm_pipelines.destinations.gates import GateKeeper
    from crm_pipelines.local.databases import point_dagster_at
    from crm_pipelines.orchestration.sync.run_now import run_now

    named: list[Named] = []
    changes: list[ContactChange] = []
    waits: str | None = None
    with contacts_engine() as (settings, engine):
        settings.destination(crm)
        os.environ["CRM_DATABASE_URL"] = engine.url.render_as_string(hide_password=False)
        point_dagster_at(settings, engine.url)
        ids = ids_by_email(engine, emails)
        not_found = unknown(engine, Who(emails=emails)) if emails else ()
        report_unknown(not_found)
        if emails and not ids:
            raise ContactsUnknown
        gate = GateKeeper(engine, crm)
        known_change = gate.read().account_since
        with working(f"Running {crm}_sync"):
            result = run_now(crm, limit=limit, contact_ids=ids or None, dry_run=dry_run)
        if (now := gate.read()).account_since != known_change:
            told = f"{crm}: the key opens account {now.account}{now.account_change}. Select those that are to go there."
            say(printable(told), err=True)
        standing = standing_at(engine, settings, crm)
        title = settings.title_of(crm)
        nobody = nobody_yet(engine, crm)
        if dry_run:
            changes, waits = _foreseen(settings, engine, crm, limit, ids or None)
        else:
            named = _named(engine, ids, crm, title, result.run_id)
    if as_json:
        more = (
            {"standing": standing.as_dict(), "would_wait": waits, "first": [asdict(one) for one in changes]}
            if dry_run
            else {}
        )
        told_of = {"contacts": [asdict(one) for one in named]} if emails and not dry_run else {}
        print_json({"crm": crm, "dry_run": dry_run, **asdict(result), "not_found": not_found, **told_of, **more})
    elif dry_run:
        _tell_dry_run(title, result, standing, waits, changes)
    else:
        _tell(result, standing, named)
    if nobody and not as_json:
        say(nobody)
    if not result.success:
        raise SyncFailed(f"Run {result.run_id} failed: {result.problem}")
    if not_found or not all(one.arrived for one in named):
        raise click.exceptions.Exit(1)


def _foreseen(
    settings: "Settings", engine: "sa.Engine", crm: str, limit: int | None, ids: Sequence[UUID] | None
) -> "tuple[list[ContactChange], str | None]":
    """The first contacts by field; and that a run would send nothing for what the account lacks, with what to do."""
    from crm_pipelines.delivery.account.completeness import would_wait
    from crm_pipelines.delivery.account.opening import open_account
    from crm_pipelines.delivery.previewing import MOST_SHOWN, changes

    with open_account(settings, crm, engine) as account:
        first = account.queue.peek(limit=min(limit or MOST_SHOWN, MOST_SHOWN), contact_ids=ids)
        reason = would_wait(account, turn=lambda: None)
        creates = f"`crm-pipelines provision {crm}` creates them."
        waits = f"A run would send nothing, and wait for you. {reason} {creates}" if reason else None
        return changes(account.queue, account.crm, first), waits


def _named(engine: "sa.Engine", ids: Sequence[UUID], crm: str, title: str, run_id: str) -> "list[Named]":
    from crm_pipelines.contacts.named import told_of
    from crm_pipelines.contacts.story import story_of

    return [told_of(story_of(engine, one), crm, title, run_id) for one in ids]


def _tell(result: "RunResult", standing: "Standing", named: "list[Named]") -> None:
    from crm_pipelines.delivery.totals import fates_in_words

    if result.success:
        taken, fates = result.counts.get("claimed", 0), fates_in_words(result.counts)
        requests = f" {counted(number, 'request')}." if (number := result.counts.get("requests", 0)) else ""
        # While sending is held up, contacts may well be due.
        nothing = "taken" if named else "sent" if standing.condition in _HELD_UP else "due"
        done = f"{taken} taken: {fates}.{requests}" if taken else f"Nothing was {nothing}."
        say(f"{done} Run {result.run_id}.")
    for one in named:
        say(printable(one.says), err=not one.arrived)
    if standing.condition in _HELD_UP:
        tell_standing(standing)


def _tell_dry_run(
    title: str, result: "RunResult", standing: "Standing", waits: str | None, changes: "list[ContactChange]"
) -> None:
    from crm_pipelines.delivery.previewing import foreseen_in_words

    if standing.condition in _HELD_UP:
        tell_standing(standing)
    elif waits:
        say(printable(waits))
    if not result.success:
        return
    taken = result.counts.get("claimed", 0)
    if not taken:
        say(f"Nothing is due. Nothing was sent. Run {result.run_id}.")
        return
    say(f"{taken} would be taken: {foreseen_in_words(result.counts)}. Nothing was sent. Run {result.run_id}.")
    if result.left_out:
        left_out = table("Field", "Contacts", "Why", title="Would be left out")
        for one in result.left_out:
            left_out.add_row(*cells(one.field, one.contacts, one.reason))
        print_table(left_out)
    if taken > len(changes):
        say(f"The first {len(changes)}:")
        click.echo()
    widths = [max((len(str(text)) for text in column), default=0) for column in _columns(changes)]
    for change in changes:
        _tell_change(change, title, widths)


def _columns(changes: "list[ContactChange]") -> Iterator[list[str]]:
    """The texts of the fields and of the attributes, which are as wide in the table of each contact."""
    lines = [line for change in changes for line in change.fields]
    yield [line.field for line in lines]
    yield [line.attribute or "" for line in lines]


def _tell_change(change: "ContactChange", title: str, widths: list[int]) -> None:
    kinds = {
        "new": f"new at {title}",
        "changed": "changed since it was last sent",
        "again": "sent again",
        "unchanged": "unchanged, so no request",
    }
    kind = kinds.get(change.kind) or change.says or change.kind
    [heading] = cells(f"{change.email or '(no address)'}: {kind}")
    shown = table("Field", f"At {title}", "Value", "", title=heading)
    for column, width in zip(shown.columns, widths, strict=False):
        column.min_width = min(width, _WIDEST_NAME)
    for column in shown.columns:
        column.overflow = "fold"
    for line in change.fields:
        what = "no attribute" if line.attribute is None else line.change
        shown.add_row(*cells(line.field, line.attribute, _short(line.value), what))
    if change.fields:
        print_table(shown)
    else:
        say(printable(f"{change.email or '(no address)'}: {kind}"))


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
