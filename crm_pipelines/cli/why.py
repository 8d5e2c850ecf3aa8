"""`crm-pipelines why`: everything known about one contact, for people."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.output import as_json, cells, print_json, print_table, printable, say, table
from crm_pipelines.vocabulary import OUTCOME_WORDS, STATUS_WORDS, in_brief

if TYPE_CHECKING:
    from crm_pipelines.contacts.story import PastAttempt, Story
    from crm_pipelines.delivery.why import LiveComparison, Preview

_SAME = {True: "same", False: "DIFFERS", None: "not ours"}


@click.command()
@click.argument("email")
@click.option("--live", is_flag=True, help="Ask the CRMs too what they hold now. Needs their keys.")
@as_json
def why(email: str, live: bool, as_json: bool) -> None:
    """Tell why the contact with this address is or is not in a CRM.

    It says first whether the contact is there and since when. Then it says what was tried, what the CRM answered, what
    would be sent, and what happens next.

    \b
    Examples:
      crm-pipelines why ada@example.com
      crm-pipelines why ada@example.com --live
      crm-pipelines why ada@example.com --json | jq '.crms[0].next'
    """
    from crm_pipelines.contacts.presence import nobody_yet
    from crm_pipelines.contacts.story import ContactUnknown, story
    from crm_pipelines.delivery.why import involved_in, selected_for
    from crm_pipelines.delivery.why import why as tell

    with contacts_engine() as (settings, engine):
        try:
            found = story(engine, email, settings.in_words)
        except ContactUnknown as unknown:
            raise ContactUnknown(nobody_yet(engine, next(iter(settings.destinations))) or str(unknown)) from None
        ask = involved_in(settings, found) if live else ()
        told = tell(settings, engine, found, previews=selected_for(settings, found), ask=ask)
    if as_json:
        print_json(told.as_dict())
        return
    _tell_story(told.story, first=next(iter(settings.destinations)), title_of=settings.title_of)
    for preview in told.previews:
        _tell_preview(preview)
    for held in told.live:
        _tell_held(held)


def _tell_story(told: "Story", *, first: str, title_of: Callable[[str], str]) -> None:
    """`first`: the destination that is told of where the contact is selected for none."""
    say(f"{printable(told.email or '(no address)')}  {told.id}  changed {_time(told.updated_at)} UTC")
    for twin in told.twins:
        say(f"Contact {twin} has the same address and is never sent: see `crm-pipelines contacts twins`.")
    concerned = [one for one in told.crms if one.condition != "unselected" or one.synced_at]
    shown = concerned or [one for one in told.crms if one.crm == first]
    for one in shown:
        say(printable(one.answer))
    standings = table("CRM", "Status", "Selected (UTC)", "Error", "What happens next")
    for one in shown:
        error = f"{one.error_kind}: {one.error}" if one.error_kind else ""
        standings.add_row(*cells(one.crm, STATUS_WORDS[one.sync_status], _time(one.selected_at), error, one.next))
    print_table(standings)
    if others := [title_of(one.crm) for one in told.crms if one not in shown]:
        say(f"Not selected for {', '.join(others)}.")
        click.echo()
    if told.attempts:
        attempts = table("Finished (UTC)", "CRM", "Outcome", "HTTP", "Said", "Run", title="Last attempts")
        for past in told.attempts:
            attempts.add_row(
                *cells(
                    _time(past.finished_at),
                    past.crm,
                    OUTCOME_WORDS[past.outcome],
                    past.http_status,
                    _said(past),
                    past.run_id[:8],
                )
            )
        print_table(attempts)
    _tell_enrichments(told)


def _tell_enrichments(told: "Story") -> None:
    from crm_pipelines.alerts.messages import in_words

    if told.enrichments:
        found = table(
            "Received (UTC)", "CRM", "Status", "Said", "Taken", "Left as it was", title="What workflows found"
        )
        for one in told.enrichments:
            taken = ", ".join([*one.filled, *(f"{name} (overwritten)" for name in one.overwritten)])
            kept = "; ".join(f"{name}: {why}" for name, why in one.kept.items())
            said = "; ".join(filter(None, [one.error, *one.remarks]))
            found.add_row(*cells(_time(one.received_at), one.crm, one.status, said, taken, kept))
        print_table(found)
    for waiting in told.awaited:
        ago = in_words(datetime.now(UTC) - waiting.asked_at)
        say(f"{waiting.crm}: sent at {_time(waiting.asked_at)} UTC, {ago} ago; nothing has come back since.")
        click.echo()


def _said(past: "PastAttempt") -> str:
    arrived = None if past.delay_seconds is None else f"At the CRM {in_brief(past.delay_seconds)} after the change."
    said: list[Any] = [past.code, past.message or past.kind, arrived, *past.warnings]
    return " ".join(part for part in said if part)


def _tell_preview(preview: "Preview") -> None:
    if preview.lines:
        lines = table("Field", "Attribute", "Value", "Remark", title=f"What would be sent to {preview.crm}")
        for line in preview.lines:
            blank = "cleared, being blank now" if line.attribute in preview.cleared else "blank"
            remark = line.remark or (blank if line.value is None else "")
            lines.add_row(*cells(line.source, line.attribute, _value(line.value), remark))
        print_table(lines)
    say(f"{preview.crm}: {printable(preview.says)}")
    click.echo()


def _tell_held(held: "LiveComparison") -> None:
    if held.fields:
        fields = table("Attribute", "Ours", f"At {held.crm}", "", title=f"What {held.crm} holds now")
        for one in held.fields:
            fields.add_row(*cells(one.attribute, _value(one.ours), _value(one.theirs), _SAME[one.same]))
        print_table(fields)
    say(f"{held.crm}: {printable(held.says)}")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else ""
