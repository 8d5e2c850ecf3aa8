"""Commands for the machine that one sits at, and for the database."""

import sys
from importlib import import_module
from pathlib import Path

import click

from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import working
from crm_pipelines.errors import UsageError
from crm_pipelines.vocabulary import counted

PORT = 3000
SANDBOX_PORT = 8085
API_PORT = 8000


_NOTHING_IS_SENT = (
    "Nothing is sent until `crm-pipelines gate open CRM`. "
    'docs/runbook.md, "A restored database", says what to do before.'
)


@click.group()
def db() -> None:
    """The contacts database."""


@db.command()
def upgrade() -> None:
    """Create or migrate the tables. Safe to repeat.

    \b
    Example:
      crm-pipelines db upgrade
    """
    from crm_pipelines.cli.database import register_destinations
    from crm_pipelines.contacts.twins import count_twins, in_words
    from crm_pipelines.database import migrating
    from crm_pipelines.local.databases import contacts_database, engine_on
    from crm_pipelines.settings import load_settings

    settings = load_settings()
    with contacts_database(settings) as url, engine_on(url) as engine:
        applied = migrating.upgrade(url)
        register_destinations(settings, engine)
        with engine.connect() as connection:
            twins = in_words(count_twins(connection))
    click.echo(f"Applied: {', '.join(applied)}." if applied else "The tables are up to date.")
    if twins:
        click.echo(twins)


@db.command()
def url() -> None:
    """Print the URL of the contacts database in use, with its password.

    Give it to a program in a file or a variable: everybody on the machine can read a program's arguments. For psql, use
    `crm-pipelines db psql`.

    \b
    Example:
      CONTACTS_URL=$(crm-pipelines db url)
    """
    from crm_pipelines.local.databases import contacts_database
    from crm_pipelines.settings import load_settings

    settings = load_settings()
    with contacts_database(settings) as in_use:
        click.echo(in_use.replace("postgresql+psycopg://", "postgresql://", 1))
    if settings.storage.crm_database_url is None:
        click.echo("The embedded Postgres answers there while something uses it, such as `make up`.", err=True)


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the contacts database; ARGUMENTS are psql's own.

    \b
    Example:
      crm-pipelines db psql
    """
    from crm_pipelines.local.psql import psql as run
    from crm_pipelines.settings import load_settings

    sys.exit(run(load_settings(), arguments))


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def dump(file: Path) -> None:
    """Write the contacts and Dagster's records to FILE, which only you can read. Deliveries go on meanwhile.

    \b
    Example:
      crm-pipelines db dump contacts.crm-dump
    """
    from crm_pipelines.local.backups import dump as run
    from crm_pipelines.settings import load_settings

    with working("Writing"):
        run(load_settings(), file)
    click.echo(f"Both databases are in {file}.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> None:
    """Replace the databases in use by those of FILE, made by `db dump`. The former ones are kept under other names.

    Stop everything that uses the databases first. Afterwards nothing is sent until `crm-pipelines gate open CRM`, since
    what a CRM holds may be newer than FILE.

    \b
    Example:
      crm-pipelines db restore contacts.crm-dump
    """
    from crm_pipelines.local.backups import restore as run
    from crm_pipelines.settings import load_settings

    with working("Restoring"):
        done = run(load_settings(), file)
    click.echo(f"Restored. The former databases are kept as {' and '.join(done.kept)}.")
    if done.carried.added:
        click.echo(f"Kept from after the dump: {counted(done.carried.added, 'suppression')}.")
    if done.carried.revoked:
        click.echo(f"Revoked after the dump, and still so: {counted(done.carried.revoked, 'token')}.")
    if done.carried.lost:
        click.echo(
            f"Lost, since made with another key: {counted(done.carried.lost, 'suppression')} of the former "
            "database. Suppress these people again before you start sending.",
            err=True,
        )
    click.echo(_NOTHING_IS_SENT)


@db.command()
def restored() -> None:
    """Say that the contacts database was restored. Nothing is sent until `crm-pipelines gate open CRM`.

    Run this right after the files of its server were restored (pg_basebackup, a snapshot of the disk, recovery to a
    point in time): that is not noticed by itself. A whole database that pg_restore brought back, or a copy, is noticed.

    \b
    Example:
      crm-pipelines db restored
    """
    from crm_pipelines.cli.database import contacts_engine
    from crm_pipelines.local.backups import close_gates

    with contacts_engine() as (_, engine):
        close_gates(engine)
    click.echo(_NOTHING_IS_SENT)


@click.command()
@click.argument("crm", type=DESTINATION)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=SANDBOX_PORT, show_default=True, help="0: any free port."
)
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep the account in this file.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    help="One more name, without port, under which programs reach it. This machine's are allowed already.",
)
def sandbox(crm: str, port: int, state: Path | None, host: str, allowed_hosts: tuple[str, ...]) -> None:
    """Serve the local stand-in for the API of CRM, a product or a destination, until Ctrl-C.

    \b
    Examples:
      crm-pipelines sandbox brevo
      crm-pipelines sandbox hubspot --port 8086
      crm-pipelines sandbox mautic --port 8087
      crm-pipelines sandbox brevo --port 0 --state account.json
    """
    from crm_pipelines.sandbox import SANDBOXES
    from crm_pipelines.sandbox.core.server import Reach
    from crm_pipelines.settings import load_settings

    # One may want to see a CRM's sandbox before there is a destination.
    kind = crm if crm in SANDBOXES else load_settings().destination(crm).kind
    import_module(f"crm_pipelines.sandbox.{kind}.server").serve(
        port=port, state_file=state, reach=Reach(host=host, names=frozenset(allowed_hosts))
    )


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Of Dagster's web page.")
@click.option("--api-port", type=click.IntRange(1, 65535), default=API_PORT, show_default=True, help="Of the API.")
@click.option(
    "--sandbox-port",
    type=click.IntRange(1, 65535),
    default=SANDBOX_PORT,
    show_default=True,
    help="Of the stand-in for the first CRM without a key.",
)
def up(port: int, api_port: int, sandbox_port: int) -> None:
    """Run Dagster with its schedules and sensors, and the API, on this machine, until Ctrl-C.

    \b
    Example:
      crm-pipelines up --port 3001 --api-port 8001
    """
    from crm_pipelines.local.up import up as run
    from crm_pipelines.settings import load_settings

    if len({port, api_port, sandbox_port}) < 3:
        raise UsageError("Dagster's web page, the API and the stand-in need a port each: name different ones.")
    run(load_settings(), port=port, api_port=api_port, sandbox_port=sandbox_port)


@click.command()
@click.argument("crm", required=False)
def demo(crm: str | None) -> None:
    """Deliver the sample contacts to the sandbox of a CRM (Brevo, unless one is named), and show what became of each.

    \b
    Examples:
      crm-pipelines demo
      crm-pipelines demo mautic
    """
    from crm_pipelines.local.demo import demo as run
    from crm_pipelines.settings import KINDS, load_settings
    from crm_pipelines.settings.destinations import FIRST

    settings = load_settings()
    crm = crm or FIRST
    run(settings, KINDS.get(crm) or type(settings.destination(crm)))
