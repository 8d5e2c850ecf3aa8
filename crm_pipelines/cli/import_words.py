"""How an import, or what would come of one, is told to people."""

from typing import TYPE_CHECKING

from crm_pipelines.cli.output import cells, print_table, printable, rows_counted, say, table
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    from crm_pipelines.files import ImportForecast, ImportReport
    from crm_pipelines.files.report import ColumnTaken, ImportOutcome
    from crm_pipelines.settings import Settings

_SHOWN = 5
"""So many rows of one kind are told by a dry run; a document has more."""


def tell_report(report: "ImportReport", settings: "Settings", place: str) -> None:
    """What an import came to. `place`: where its rejects were to be written."""
    say(report.summary)
    say(f"Read as {printable(report.form)}.")
    if not report.held_back:
        for crm, count in report.selected.items():
            say(f"Selected for {settings.title_of(crm)}: {counted(count, 'contact')}.")
            _tell_left_alone(report, settings, crm)
    say(f"Columns: {printable(', '.join(_taken(one) for one in report.columns if one.field))}.")
    if report.custom_fields:
        say(f"Custom fields: {printable(', '.join(report.custom_fields))}.")
    if report.ignored_columns:
        say(f"Columns left out: {printable(', '.join(report.ignored_columns))}.")
    _tell_doubts(report, err=True)
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


def tell_forecast(forecast: "ImportForecast", settings: "Settings") -> None:
    """What an import would come to, all of it on stdout."""
    say(f"Dry run of {printable(forecast.file)}: nothing is written.")
    say(forecast.summary)
    say(f"Read as {printable(forecast.form)}.")
    if forecast.held_back:
        say(f"Nobody would be selected for {titles(settings, forecast)}: {printable(forecast.held_back)}")
    else:
        for crm, count in forecast.selected.items():
            say(f"Would be selected for {settings.title_of(crm)}: {counted(count, 'contact')}.")
            _tell_left_alone(forecast, settings, crm)
    overview = table("Column", "Becomes", "Example")
    for column in forecast.columns:
        example = "(all blank)" if column.example is None else column.example
        overview.add_row(*cells(column.header, column.meaning, example))
    print_table(overview)
    _tell_doubts(forecast, err=False)
    _tell_rows(forecast, err=False)
    _tell_twins(forecast)
    _tell_notes(forecast, err=False)


def _taken(column: "ColumnTaken") -> str:
    """Such as "Name", "Vorname as first_name"."""
    same = column.header.casefold().replace(" ", "_") == column.field
    return column.header if same else f"{column.header} as {column.field}"


def titles(settings: "Settings", report: "ImportOutcome") -> str:
    """Of the CRMs that contacts are selected for."""
    return " and ".join(map(settings.title_of, report.selected)) or "any CRM"


def _tell_doubts(report: "ImportOutcome", *, err: bool) -> None:
    """What the file seems to lack, and what may be that."""
    for warning in report.warnings:
        say(f"{report.file}: {printable(warning)}", err=err)
    for suggestion in report.suggestions:
        say(f"{report.file}: {printable(suggestion.sentence)}", err=err)


def _tell_left_alone(report: "ImportOutcome", settings: "Settings", crm: str) -> None:
    title = settings.title_of(crm)
    if opted_out := report.opted_out_before[crm]:
        say(f"Left alone: {counted(opted_out, 'contact')} that opted out, as custom fields of an earlier import say.")
    if taken_back := report.taken_back[crm]:
        back = f"that somebody took back from {title}, or that another account there left not selected."
        say(
            f"Left alone: {counted(taken_back, 'contact')} {back} `crm-pipelines contacts select {crm} --email …` "
            "selects one, `--where-status New` all of them."
        )
    if suppressed := report.suppressed[crm]:
        never = f"that must never be sent to {title} (`crm-pipelines suppressions list`)."
        say(f"Left alone: {counted(suppressed, 'contact')} {never}")


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
