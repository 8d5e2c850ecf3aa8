"""Finds the header of a CSV file, and the character between its cells. Pure."""

import csv
import re
from dataclasses import dataclass, replace

from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.meant import Meant
from crm_pipelines.files.tables import LAST_LINE_OF_HEADER, address_columns, titles_of

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "pipe": "|"}
_NAMES = {character: name for name, character in reversed(DELIMITERS.items())}
_TRIED = ",;\t|"
# Excel's own hint. A program that knows it not, and saves the file again, quotes it and adds cells.
_HINT = re.compile(r'\ufeff?("?)sep=(\\t|[^\r\n"])\1[,;\t| ]*[\r\n]*', re.IGNORECASE)
_LINES_OF_A_HEADER = 10
_COMPARED = 50


@dataclass(frozen=True)
class Head:
    """The line at which the header begins, and the number of lines up to its end.

    `above` counts the lines before it that are not blank.
    """

    titles: list[str]
    delimiter: str
    line: int
    lines: int
    above: int = 0


def delimiter_named(name: str) -> str:
    """A character, or one of the words in DELIMITERS. Raises ImportRefused."""
    found = DELIMITERS.get(name.strip().lower(), "\t" if name == "\\t" else name)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum():
        raise ImportRefused(
            f"{name!r} cannot be a delimiter: name one character that is no letter, digit or quotation mark, "
            f"or one of {', '.join(DELIMITERS)}."
        )
    return found


def in_words(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


def find_head(lines: list[str], delimiter: str | None, name: str, meant: Meant = ()) -> Head:
    """Of the first lines of a file.

    The header is the first row with a title for the address, one of `meant` included, at most LAST_LINE_OF_HEADER lines
    below the top; a row of one title is it only if no wider one comes. Where two delimiters make such a row, or none
    does, that one is taken by which the following rows have as many cells as the header. Raises ImportRefused where
    there is no header.
    """
    start = 0
    hint = _HINT.fullmatch(lines[0]) if lines else None
    if hint:
        start = 1
        delimiter = delimiter or ("\t" if hint[2] == "\\t" else hint[2])
    tried = delimiter or _TRIED
    candidates = [
        (position, head)
        for position in range(start, min(len(lines), LAST_LINE_OF_HEADER))
        if lines[position].strip().strip(tried).strip()
        for character in tried
        if (head := _head_at(lines, position, character))
    ]
    first = next((number for number in range(start, len(lines)) if lines[number].strip()), None)
    if first is None:
        raise ImportRefused(f"{name} is empty.")
    known = [(position, head) for position, head in candidates if address_columns(head.titles, meant)]
    if not known and delimiter:
        _require_no_better(lines, first, delimiter, name)
    known = [one for one in known if len(one[1].titles) > 1] or known
    known = known or [one for one in candidates if one[0] == first]
    if not known:
        raise ImportRefused(f"The header of {name} cannot be read: a quotation mark in line {first + 1} is not closed.")
    first_position = known[0][0]
    position, head = max(
        (one for one in known if one[0] == first_position), key=lambda one: _fitness(lines[one[1].lines :], one[1])
    )
    above = sum(1 for line in lines[start:position] if line.strip().strip(tried).strip())
    return replace(head, above=above)


def _require_no_better(lines: list[str], position: int, delimiter: str, name: str) -> None:
    """Raises ImportRefused where another delimiter than that which was named makes a header."""
    for other in _TRIED:
        head = _head_at(lines, position, other)
        if head and len(head.titles) > 1 and address_columns(head.titles):
            raise ImportRefused(
                f"The header of {name} has a column for the e-mail address only if its cells are separated by "
                f"{in_words(other)}, not by {in_words(delimiter)}: import it with --delimiter {in_words(other)}."
            )


def _head_at(lines: list[str], position: int, delimiter: str) -> Head | None:
    reader = csv.reader(lines[position : position + _LINES_OF_A_HEADER], delimiter=delimiter, strict=True)
    try:
        cells = next(reader)
    except csv.Error:
        return None
    end = position + reader.line_num
    if any("@" in line for line in lines[position + 1 : end]):
        return None  # a quotation mark that is never meant, and the first people
    titles = [title.removeprefix("\ufeff").strip().strip('"').strip() for title in titles_of(list(cells))]
    return Head(titles, delimiter, position + 1, end)


def _fitness(following: list[str], head: Head) -> tuple[float, int, int]:
    """How many of the rows are as wide as the header."""
    rows = [line for line in following[:_COMPARED] if line.strip()]
    width = len(head.titles)
    same = sum(1 for line in rows if width > 1 and len(cut(line, head.delimiter)) == width)
    return same / len(rows) if rows else 0.0, width, -_TRIED.find(head.delimiter)


def cut(line: str, delimiter: str) -> list[str]:
    """One line on its own, whatever the quotation marks in it."""
    text = line.rstrip("\r\n")
    if '"' in text:
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True), [])
        except csv.Error:
            pass
    return text.split(delimiter)
