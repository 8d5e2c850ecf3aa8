"""Commands about people who must never be sent: suppress, lift, list."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import as_json, cells, print_json, print_table, table, working
from crm_pipelines.errors import UsageError
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    from crm_pipelines.contacts.suppressions import Suppressed

_BY = "command line"
_ANY_CRM = "Only for this CRM; without it, for all."


@click.command()
@click.argument("emails", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Text file with one address a line.")
@click.option("--crm", type=DESTINATION, help=_ANY_CRM)
@click.option("--reason", help="Why; `suppressions list` shows it.")
@as_json
def suppress(emails: tuple[str, ...], file: Path | None, crm: str | None, reason: str | None, as_json: bool) -> None:
    """Never send to the people with these addresses, whether they are contacts yet or not.

    This holds until `crm-pipelines unsuppress` lifts it, even if the contact is deleted and imported again. What a CRM
    already holds of them stays there.

    \b
    Examples:
      crm-pipelines suppress ada@example.com --reason "objected by letter"
      crm-pipelines suppress --crm brevo --file objections.txt
    """
    from crm_pipelines.contacts import suppressions
    from crm_pipelines.delivery.spellings import spellings

    people = [spellings(email) for email in emails] + (_read(file) if file else [])
    if not people:
        raise UsageError("Name an address, or a file with --file.")
    with contacts_engine() as (_, engine), working("Suppressing"), engine.begin() as connection:
        done = [
            suppressions.suppress(connection, one, people, reason=reason, by=_BY)
            for one in suppressions.crms_of(connection, crm)
        ]
    if as_json:
        print_json([asdict(one) for one in done])
        return
    for one in done:
        _tell(one)


def _read(file: Path) -> list[frozenset[str]]:
    from crm_pipelines.delivery.spellings import spellings

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not text in UTF-8: save it in that encoding.") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    people = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                people.append(spellings(line))
            except UsageError:
                raise UsageError(f"{file}, line {number}: no e-mail address. Nobody was suppressed.") from None
    return people


def _tell(done: "Suppressed") -> None:
    said = [f"{done.added} suppressed"]
    said += [f"{done.known} {'was' if done.known == 1 else 'were'} so already"] if done.known else []
    said += [f"{counted(done.contacts, 'contact')} stopped"] if done.contacts else []
    click.echo(f"{done.crm}: {', '.join(said)}.")


@click.command()
@click.argument("email")
@click.option("--reason", required=True, help="Why; it is kept.")
@click.option("--crm", type=DESTINATION, help=_ANY_CRM)
@as_json
def unsuppress(email: str, reason: str, crm: str | None, as_json: bool) -> None:
    """Let the person with this address be selected again. This selects nobody by itself.

    \b
    Examples:
      crm-pipelines unsuppress ada@example.com --reason "asked for it, 3 May"
    """
    from crm_pipelines.contacts import suppressions
    from crm_pipelines.delivery.spellings import spellings

    forms = spellings(email)
    with contacts_engine() as (_, engine), engine.begin() as connection:
        done = [
            suppressions.unsuppress(connection, one, forms, reason=reason, by=_BY)
            for one in suppressions.crms_of(connection, crm)
        ]
    if as_json:
        print_json([asdict(one) for one in done])
    lifted = [one.crm for one in done if one.persons or one.contacts]
    if not lifted:
        click.echo("Nobody with this address is suppressed.", err=True)
        raise click.exceptions.Exit(1)
    if not as_json:
        click.echo(f"Lifted for {', '.join(lifted)}. `crm-pipelines contacts select CRM --email …` queues the contact.")


@click.group()
def suppressions() -> None:
    """People who must never be sent."""


@suppressions.command("list")
@click.option("--crm", type=DESTINATION, help=_ANY_CRM)
@as_json
def list_(crm: str | None, as_json: bool) -> None:
    """Show who is never sent. Of people who are no contacts only a digest is kept, so their address is not shown.

    \b
    Examples:
      crm-pipelines suppressions list --crm brevo
    """
    from crm_pipelines.contacts.suppressions import suppressions as found

    with contacts_engine() as (_, engine), engine.connect() as connection:
        people = found(connection, crm)
    if as_json:
        print_json([asdict(one) for one in people])
        return
    if not people:
        click.echo("Nobody is suppressed.")
        return
    listed = table("CRM", "Since (UTC)", "By", "Reason", "Contact")
    for one in people:
        who = one.email or (f"{one.contact_id}" if one.contact_id else "(no contact)")
        listed.add_row(*cells(one.crm, f"{one.since:%Y-%m-%d %H:%M}", one.by, one.reason, who))
    print_table(listed)
