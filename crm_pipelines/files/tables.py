"""What every kind of file becomes: a header and rows of cells, each with the line on which it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from crm_pipelines.files.columns import LONGEST_HEADER, match_columns
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.meant import Meant, means_address

LAST_LINE_OF_HEADER = 30
"""Above it there may be a title, or a few words about the file."""


@dataclass(frozen=True, slots=True)
class NoValue:
    """A cell that is not empty and holds no value, such as #N/A of a spreadsheet: blank, and told.

    `shown` is what a person sees in the cell, `why` what is wrong with it, without anything that may be personal.
    """

    shown: str
    why: str

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `line` counts from 1, as editors and spreadsheets do; `problem` says why its cells cannot be read."""

    line: int
    cells: list[object]
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """A file that is being read. `form` describes it in words, such as `CSV, utf-8, separated by ;`.

    `notes` are sentences about the file as a whole that its user must know; all are there once `rows` has ended.
    """

    form: str
    header: list[str]
    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How to read a file, where that is not to be told from the file itself.

    For CSV `encoding`, a name that Python knows, and `delimiter`, a character or a word of `delimiters.DELIMITERS`; for
    XLSX `sheet`, its name or its number from 1. `columns`: what they are, as `meant.read_meant` gives it.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    columns: Meant = ()


# What spreadsheet programs show in place of a result: in English, German, French, Spanish, Italian, Portuguese, Dutch,
# Polish, Czech, Swedish, Turkish.
_SHOWN = """
#N/A #REF! #VALUE! #DIV/0! #NAME? #NULL! #NUM! #SPILL! #CALC! #FIELD! #GETTING_DATA #BLOCKED! #CONNECT!
#ERROR! #NV #BEZUG! #WERT! #ZAHL! #ÜBERLAUF! #VALEUR! #NOM? #NUL! #NOMBRE! #PROPAGATION! #N/D #VALOR! #¡VALOR!
#¡REF! #¡DIV/0! #¡NUM! #¿NOMBRE? #NOMBRE? #¡NULO! #VALORE! #RIF! #NOME? #NÚM! #NULO! #NB #VERW! #WAARDE!
#DEEL/0! #GETAL! #NAAM? #LEEG! #BRAK #N/D! #ADR! #ARG! #DZIEL/0! #LICZBA! #NAZWA? #ZERO! #HODNOTA! #ODKAZ!
#DĚLENÍ_NULOU! #NENÍ_K_DISPOZICI #ČÍSLO! #NÁZEV? #SAKNAS! #REFERENS! #VÄRDEFEL! #DIVISION/0! #OGILTIGT! #YOK
#BAŞV! #DEĞER! #SAYI/0! #AD? #SAYI!
"""
_ERRORS = frozenset(_SHOWN.split())


def error_or(text: str) -> object:
    """The text, or NoValue where it is what a spreadsheet program shows for an error."""
    stripped = text.strip()
    if stripped[:1] == "#" and (stripped.upper() in _ERRORS or re.fullmatch(r"Err:[0-9]{3}", stripped[1:])):
        return NoValue(stripped, f"{stripped} is no value")
    return text


def is_blank(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell or cell.isspace() or ('=""' in cell and cell.strip() == '=""')
    return cell is None or isinstance(cell, NoValue)


def titles_of(cells: list[object]) -> list[str]:
    return ["" if cell is None else " ".join(str(cell).split()) for cell in cells]


def address_columns(titles: list[str], meant: Meant = ()) -> list[int]:
    """Positions of the columns whose titles, or the person in `meant`, say that they hold addresses."""
    return [
        position
        for position, title in enumerate(titles)
        if len(title) <= LONGEST_HEADER and (_is_address(title) or means_address(title, meant))
    ]


@lru_cache(maxsize=1_000)
def _is_address(title: str) -> bool:
    try:
        return bool(title) and "email" in match_columns([title], "").fields.values()
    except ImportRefused:
        return False


def without_repeated_headers(rows: Iterator[Row], header: list[str], notes: list[str]) -> Iterator[Row]:
    """Files that were put together, and printed pages, have the header again; that is told in `notes`."""
    wanted = _titles([*header])
    longest = len(max(header, default="", key=len)) + 10  # with blanks around it
    position = next((position for position, title in enumerate(header) if title), 0)
    repeated = 0
    for row in rows:
        # One cell tells most rows from a header; the rest takes time.
        start = row.cells[position] if position < len(row.cells) else None
        if isinstance(start, str) and len(start) <= longest and "@" not in start and _titles(row.cells) == wanted:
            repeated += 1
            continue
        yield row
    if repeated:
        notes.append(f"{_lines(repeated)} the header and {'was' if repeated == 1 else 'were'} left out.")


def _titles(cells: list[object]) -> list[str]:
    titles = (title.removeprefix("\ufeff").strip().casefold() for title in titles_of(cells))
    return [title for title in titles if title]


def _lines(count: int) -> str:
    return "1 line repeats" if count == 1 else f"{count} lines repeat"
