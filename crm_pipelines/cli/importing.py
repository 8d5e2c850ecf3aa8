"""Contacts from a file: bring them in, or say what would come of it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION, selectable
from crm_pipelines.cli.import_words import tell_forecast, tell_report, titles
from crm_pipelines.cli.output import as_json, print_json, printable, rows_counted, say
from crm_pipelines.errors import CrmPipelinesError, UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.files import ImportForecast, ReadingOptions


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--select", "crms", type=DESTINATION, multiple=True, help="Select those that were never selected for this CRM."
)
@click.option("--encoding", help="Encoding of a CSV file, if it is not recognised or not recognised correctly.")
@click.option(
    "--delimiter", help="What separates the cells of a CSV file: a character, or comma, tab, semicolon, pipe."
)
@click.option("--sheet", help="The sheet of a workbook, by its name or its number from 1.")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file for rows that cannot be used, instead of <name>.rejects.csv beside FILE. It is written over.",
)
@click.option(
    "--map",
    "meant",
    metavar="COLUMN=FIELD",
    multiple=True,
    help="What a column holds, if its header does not say it (repeatable): a field such as first_name, "
    "custom_fields.NAME, or nothing to leave the column out.",
)
@click.option("--without-names", is_flag=True, help="Select contacts even if no column was recognised as the name.")
@click.option("--dry-run", is_flag=True, help="Only show what an import would do.")
@as_json
def import_(
    file: Path,
    crms: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    rejects: Path | None,
    meant: tuple[str, ...],
    without_names: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Load contacts from FILE (CSV or XLSX; - reads from standard input).

    Columns are found by name. A column that is not known becomes a custom field. A contact whose address is there
    already is updated; blank cells leave its values alone. Rows that cannot be used are reported and written to
    <name>.rejects.csv beside FILE. If that file cannot be written, each row is named by its line. With --select, nobody
    is selected before all rows are in. If no column was recognised as the name and some columns are not known, nobody
    is selected and the exit code is 1. An import is safe to repeat.

    \b
    Examples:
      crm-pipelines contacts import people.csv --dry-run
      crm-pipelines contacts import people.csv
      crm-pipelines contacts import people.xlsx --select brevo
      crm-pipelines contacts import people.csv --map Rufname=first_name --map Umsatz=custom_fields.Revenue
      crm-pipelines contacts import people.xlsx --sheet Customers
      crm-pipelines contacts import old.csv --encoding cp1252 --delimiter semicolon
      crm-pipelines contacts import /mnt/people.csv --rejects people.rejects.csv
    """
    from crm_pipelines.files import ReadingOptions, import_contacts, read_meant

    reading = ReadingOptions(encoding=encoding, delimiter=delimiter, sheet=sheet, columns=read_meant(meant))
    if dry_run:
        _forecast(file, crms, reading, without_names=without_names, as_json=as_json)
        return
    with (
        closing(_Progress()) as progress,
        _stopped_in_a_sentence(file, progress),
        contacts_engine() as (settings, engine),
    ):
        select = [selectable(settings, engine, crm) for crm in crms]
        report = import_contacts(
            engine,
            file,
            select=select,
            reading=reading,
            rejects_file=rejects,
            without_names=without_names,
            progress=progress.show,
        )
    if as_json:
        print_json(asdict(report))
    else:
        tell_report(report, settings, "beside the source" if rejects is None else f"as {rejects}")
    if report.held_back:
        raise NobodySelected(f"Nobody was selected for {titles(settings, report)}: {printable(report.held_back)}")


class NobodySelected(CrmPipelinesError):
    """The rows are in, and nobody of them was selected."""


class _Progress:
    """Shows on a terminal how many rows were read, and remembers it."""

    def __init__(self) -> None:
        self.rows = 0
        self._watched = sys.stderr.isatty()

    def show(self, rows: int) -> None:
        self.rows = rows
        if self._watched:
            click.echo(f"\r{rows} rows", nl=False, err=True)

    def close(self) -> None:
        if self._watched and self.rows:
            click.echo("\r\x1b[K", nl=False, err=True)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C: what waits for the database cancels its statement."""


@contextmanager
def _stopped_in_a_sentence(file: Path, progress: _Progress) -> Iterator[None]:
    """Whoever stops an import, or loses the database in it, is told how far it came."""

    def terminate(*_: object) -> None:
        raise _Terminated

    former = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        progress.close()
        say(f"Stopped: {_how_far(file, progress.rows)}", err=True)
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        raise click.exceptions.Exit(128 + number) from None
    except CrmPipelinesError as error:
        if progress.rows:
            error.args = (f"{error} {_how_far(file, progress.rows)}",)
        raise
    finally:
        signal.signal(signal.SIGTERM, former)


def _how_far(file: Path, rows: int) -> str:
    said = f"{rows_counted(rows)} {'is' if rows == 1 else 'are'} in"
    return f"{said}, nobody is selected before all are, and importing {printable(file.name)} again is safe."


def _forecast(
    file: Path, crms: tuple[str, ...], reading: "ReadingOptions", *, without_names: bool, as_json: bool
) -> None:
    """Also where the database cannot be asked, which then is told: the file says most of it."""
    from crm_pipelines.files import ImportRefused, forecast_import
    from crm_pipelines.local.databases import has_contacts_database
    from crm_pipelines.settings import load_settings

    settings = load_settings()
    trouble: CrmPipelinesError | None = None
    unknown = None
    with closing(_Progress()) as progress:

        def forecast_with(engine: "sa.Engine | None") -> "ImportForecast":
            select = (
                [selectable(settings, engine, crm) for crm in crms]
                if engine
                else [settings.destination(crm).name for crm in crms]
            )
            return forecast_import(
                engine, file, select=select, reading=reading, without_names=without_names, progress=progress.show
            )

        if not has_contacts_database(settings):
            unknown = "There is no contacts database yet: `crm-pipelines db upgrade` makes it."
            forecast = forecast_with(None)
        else:
            try:
                with contacts_engine() as (_, engine):
                    forecast = forecast_with(engine)
            except (ImportRefused, UsageError):
                raise
            except CrmPipelinesError as error:
                if progress.rows and not file.is_file():  # a pipe cannot be read again
                    raise
                trouble, unknown = error, str(error)
                forecast = forecast_with(None)
    if as_json:
        print_json({"dry_run": True, "unknown": unknown, **asdict(forecast)})
    else:
        tell_forecast(forecast, settings)
        if unknown and not trouble:
            say(unknown)
    if trouble:
        raise trouble
