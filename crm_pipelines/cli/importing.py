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
from crm_pipelines.cli.output import as_json, cells, print_json, print_table, printable, rows_counted, say, table
from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.files import ImportForecast, ImportReport, ReadingOptions
    from crm_pipelines.files.report import ImportOutcome

_SHOWN = 5
"""So many rows of one kind are told by a dry run; a document has more."""


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--select", "crms", type=DESTINATION, multiple=True, help="Queue those that were never selected for this CRM."
)
@click.option("--encoding", help="Encoding of a CSV file, when it cannot be told or is told wrongly.")
@click.option(
    "--delimiter", help="What stands between the cells of a CSV file: a character, comma, tab, semicolon, pipe."
)
@click.option("--sheet", help="The sheet of a workbook, by its name or its number from 1.")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file for rows that cannot be used, instead of <name>.rejects.csv beside FILE. It is written over.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would come of it.")
@as_json
def import_(
    file: Path,
    crms: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    rejects: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Load contacts from FILE (CSV or XLSX; - reads from standard input).

    Columns are found by name; one that is not known becomes a custom field. An address that is there already is
    updated; blank cells leave stored values alone. Rows that cannot be used are reported and written to
    <name>.rejects.csv beside FILE; where that cannot be written, each is named by its line. With --select, nobody is
    queued before all rows are in. Safe to repeat.

    \b
    Examples:
      crm-pipelines contacts import people.csv --dry-run
      crm-pipelines contacts import people.csv
      crm-pipelines contacts import people.xlsx --select brevo
      crm-pipelines contacts import people.xlsx --sheet Customers
      crm-pipelines contacts import old.csv --encoding cp1252 --delimiter semicolon
      crm-pipelines contacts import /mnt/people.csv --rejects people.rejects.csv
    """
    from crm_pipelines.files import ReadingOptions, import_contacts

    reading = ReadingOptions(encoding=encoding, delimiter=delimiter, sheet=sheet)
    if dry_run:
        _forecast(file, crms, reading, as_json=as_json)
        return
    with (
        closing(_Progress()) as progress,
        _stopped_in_a_sentence(file, progress),
        contacts_engine() as (settings, engine),
    ):
        select = [selectable(settings, engine, crm) for crm in crms]
        report = import_contacts(
            engine, file, select=select, reading=reading, rejects_file=rejects, progress=progress.show
        )
    if as_json:
        print_json(asdict(report))
    else:
        _tell(report, "beside the source" if rejects is None else f"as {rejects}")


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
    return f"{said}, nobody is queued before all are, and importing {printable(file.name)} again is safe."


def _forecast(file: Path, crms: tuple[str, ...], reading: "ReadingOptions", *, as_json: bool) -> None:
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
            return forecast_import(engine, file, select=select, reading=reading, progress=progress.show)

        if not has_contacts_database(settings):
            unknown = "There is no contacts database yet: `crm-pipelines db upgrade` makes it."
            forecast = forecast_with(None)
        else:
            try:
                with contacts_engine() as (_, engine):
                    forecast = forecast_with(engine)
            except ImportRefused:
                raise
            except CrmPipelinesError as error:
                if progress.rows and not file.is_file():  # a pipe cannot be read again
                    raise
                trouble, unknown = error, str(error)
                forecast = forecast_with(None)
    if as_json:
        print_json({"dry_run": True, "unknown": unknown, **asdict(forecast)})
    else:
        _tell_forecast(forecast)
        if unknown and not trouble:
            say(unknown)
    if trouble:
        raise trouble


def _tell(report: "ImportReport", place: str) -> None:
    say(report.summary)
    say(f"Read as {printable(report.form)}.")
    for crm, count in report.selected.items():
        say(f"Queued for {crm}: {count}.")
        _tell_left_alone(report, crm)
    if report.custom_fields:
        say(f"Custom fields: {printable(', '.join(report.custom_fields))}.")
    if report.ignored_columns:
        say(f"Columns left out: {printable(', '.join(report.ignored_columns))}.")
    _tell_rows(report, err=True)
    if report.rejects_file:
        say(f"Rejected rows are in {report.rejects_file}.", err=True)
    if report.rejects_unwritable:
        all_named = len(report.rejects) == report.rejected
        say(
            f"No file for the rejected rows could be written {place} ({report.rejects_unwritable}): "
            f"{'correct the lines that are named above, or ' if all_named else ''}import again with --rejects FILE.",
            err=True,
        )
    _tell_notes(report, err=True)


def _tell_forecast(forecast: "ImportForecast") -> None:
    say(f"Dry run of {printable(forecast.file)}: nothing is written.")
    say(forecast.summary)
    say(f"Read as {printable(forecast.form)}.")
    for crm, count in forecast.selected.items():
        say(f"Would be queued for {crm}: {count}.")
        _tell_left_alone(forecast, crm)
    overview = table("Column", "Becomes", "Example")
    for column in forecast.columns:
        example = "(all blank)" if column.example is None else column.example
        overview.add_row(*cells(column.header, column.meaning, example))
    print_table(overview)
    _tell_rows(forecast, err=False)
    _tell_twins(forecast)
    _tell_notes(forecast, err=False)


def _tell_left_alone(report: "ImportOutcome", crm: str) -> None:
    if opted_out := report.opted_out_before[crm]:
        say(f"Left alone: {opted_out} that have opted out, as custom fields of an earlier import say.")
    if taken_back := report.taken_back[crm]:
        say(
            f"Left alone: {taken_back} that were taken back from {crm} before, or became New with another account. "
            f"`crm-pipelines contacts select {crm} --email …` queues one, `--where-status New` all of them."
        )
    if suppressed := report.suppressed[crm]:
        say(f"Left alone: {suppressed} that must never be sent to {crm} (`crm-pipelines suppressions list`).")


def _tell_rows(report: "ImportOutcome", *, err: bool) -> None:
    """Rejects by line, and by reason where many have one; then what else was not taken."""
    if report.rejected > len(report.reasons):
        for reason, rows in report.reasons.items():
            say(f"{report.file}, {rows_counted(rows)} rejected: {printable(reason)}", err=err)
    for reject in report.rejects:
        say(f"{report.file}, line {reject.line}: {printable(reject.reason)}", err=err)
    _tell_more(report.rejected, len(report.rejects), err=err)
    for remark, rows in report.remarks.items():
        say(f"{report.file}, {rows_counted(rows)}: {printable(remark)}.", err=err)


def _tell_twins(forecast: "ImportForecast") -> None:
    """Rows that meet another row, or a contact in another spelling."""
    for merged in forecast.merged[:_SHOWN]:
        say(f"{forecast.file}, line {merged.line}: the same address as in line {merged.earlier}.")
    _tell_more(forecast.duplicates, len(forecast.merged[:_SHOWN]), err=False)
    for one in forecast.respellings[:_SHOWN]:
        said = f"{one.email} is there already as {one.stored}, and stays so spelt."
        say(f"{forecast.file}, line {one.line}: {printable(said)}")
    _tell_more(forecast.respelt, len(forecast.respellings[:_SHOWN]), err=False)


def _tell_more(rows: int, told: int, *, err: bool) -> None:
    if rows > told:
        say(f"… and {rows_counted(rows - told)} more like that.", err=err)


def _tell_notes(report: "ImportOutcome", *, err: bool) -> None:
    for note in report.notes:
        say(f"{report.file}: {printable(note)}", err=err)
