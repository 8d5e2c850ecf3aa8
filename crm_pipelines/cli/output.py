"""What commands print: tables for people, one JSON document for programs."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
"""For commands whose answer a program may want."""

_WIDTH_OF_A_PIPE = 160
_SHORT = 12  # letters of a word


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def table(*headers: str, title: str | None = None) -> "Table":
    """An empty table; fill it with `add_row(*cells(…))`."""
    from rich import box
    from rich.table import Table

    filled = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        filled.add_column(header, overflow="fold")  # what does not fit goes on in the next line, rather than be cut
    return filled


def cells(*values: object) -> list[str]:
    """Texts from outside must neither steer the terminal nor be read as markup."""
    from rich.markup import escape

    return [escape(printable("" if value is None else str(value))) for value in values]


def printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def verdict(ok: bool, *, blocking: bool = True) -> str:
    """The first cell of a finding."""
    return "[green]ok[/]" if ok else "[red]FAILED[/]" if blocking else "[yellow]warning[/]"


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows on a terminal that something goes on, and for how long it has."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(what, total=None)
        yield


def print_table(filled: "Table") -> None:
    """In the width of the terminal, or of COLUMNS; with colours only on a terminal."""
    from rich.console import Console

    width = None if _has_width(sys.stdout) else _WIDTH_OF_A_PIPE
    console = Console(width=width, highlight=False, emoji=False)
    _fit(filled, console)
    console.print(filled)


def _fit(filled: "Table", console: "Console") -> None:
    """Narrow the widest columns until all fit; where it can be helped, no word of a heading and no short one breaks."""
    texts = [[console.measure(text) for text in (one.header, *one.cells)] for one in filled.columns]
    widths = [max(text.maximum for text in column) for column in texts]
    least = [max(column[0].minimum, min(_SHORT, max(text.minimum for text in column))) for column in texts]
    gaps = len(widths) - 1
    room = console.width - 3 * gaps - 2
    if sum(widths) <= room:
        return
    if sum(least) > room:
        filled.collapse_padding, room = True, room + gaps
    if sum(least) > room:
        least = [1] * len(least)
    while sum(widths) > room and widths != least:
        widest = max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))
        widths[widest] -= 1
    for column, width in zip(filled.columns, widths, strict=True):
        column.width = width


def say(sentence: str, *, err: bool = False) -> None:
    """In the width of the terminal, or of COLUMNS; else in one line, for programs that look for it."""
    if _has_width(sys.stderr if err else sys.stdout):
        sentence = click.wrap_text(sentence, shutil.get_terminal_size().columns)
    click.echo(sentence, err=err)


def rows_counted(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def _has_width(stream: TextIO) -> bool:
    return stream.isatty() or "COLUMNS" in os.environ


def report_unknown(not_found: tuple[str, ...]) -> None:
    for wanted in not_found:
        click.echo(f"Not found: {printable(wanted)}", err=True)
