"""Reads CSV row by row, in little memory.

The module csv of the standard library, and not pandas, cuts the rows: only it knows on which physical line a record
begins when cells hold line breaks, and goes on after a record that is broken.
"""

import codecs
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from crm_pipelines.contacts.importing.errors import ImportRefused
from crm_pipelines.contacts.importing.tables import Row, Table, is_blank

_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_DELIMITERS = ",;\t|"
_BLOCK = 1 << 20
# Far above what a cell may hold, and small enough that a quotation mark never closed does not eat the memory.
_LONGEST_CELL = 8 << 20


def read_csv(path: Path, encoding: str | None = None) -> Table:
    """Raises ImportRefused when the file is empty, is no text, or is in no encoding that can be told."""
    guessed = False
    if encoding is None:
        encoding, guessed = detect_encoding(path)
    lines = _lines(path, encoding)
    skipped = 0
    first = next(lines, None)
    while first is not None and not first.strip():
        skipped, first = skipped + 1, next(lines, None)
    if first is None:
        raise ImportRefused(f"{path.name} is empty.")
    delimiter = detect_delimiter(first)
    if first.strip().lower() == f"sep={delimiter}":  # Excel's own hint
        skipped, first = skipped + 1, next(lines, "")

    def remaining() -> Iterator[str]:
        yield first
        yield from lines

    rows = _records(remaining(), delimiter, skipped)
    header = next(rows, None)
    if header is None or header.problem:
        raise ImportRefused(f"The header of {path.name} cannot be read: {header.problem if header else 'it is empty'}.")
    name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[delimiter]
    hint = " (guessed from a few letters: look at the names)" if guessed else ""
    return Table(f"CSV, {encoding}{hint}, separated by {name}", [str(cell).strip() for cell in header.cells], rows)


def detect_encoding(path: Path) -> tuple[str, bool]:
    """A byte order mark decides, then zero bytes, then whether all is valid UTF-8, then a guess; True if it was one."""
    with path.open("rb") as file:
        block = file.read(_BLOCK)
        for mark, encoding in _BOMS:
            if block.startswith(mark):
                return encoding, False
        if block.count(0) > len(block) // 5:
            zeros_behind = block[1::2].count(0) > block[::2].count(0)
            return ("utf-16-le" if zeros_behind else "utf-16-be"), False
        decoder = codecs.getincrementaldecoder("utf-8")()
        while block:
            try:
                decoder.decode(block, final=False)
            except UnicodeDecodeError:
                return _guess(path, block), True
            block = file.read(_BLOCK)
    return "utf-8", False


def _guess(path: Path, block: bytes) -> str:
    telling = b"".join(line for line in block.splitlines(keepends=True) if not line.isascii())[: 64 << 10]
    matches = from_bytes(telling)
    best = matches.best()
    if best is None:
        raise ImportRefused(f"{path.name} is not text in any encoding that can be told: save it as CSV in UTF-8.")
    # In few letters many encodings look alike; then the most frequent one of old spreadsheets.
    likely = {name for match in matches if match.chaos <= best.chaos for name in match.could_be_from_charset}
    return "cp1252" if "cp1252" in likely else best.encoding


def detect_delimiter(line: str) -> str:
    """The most frequent of , ; tab and | outside quotation marks; a comma when there is none."""
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=lambda delimiter: (outside.count(delimiter), -_DELIMITERS.index(delimiter)))


def _lines(path: Path, encoding: str) -> Iterator[str]:
    number = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            for line in file:
                number += 1
                yield line
    except LookupError:
        raise ImportRefused(f"There is no encoding named {encoding!r}.") from None
    except UnicodeError:
        raise ImportRefused(
            f"{path.name} is not valid {encoding} after line {number}; the lines before may be in already. "
            "Save it as CSV in UTF-8, and import it again."
        ) from None


def _records(lines: Iterator[str], delimiter: str, skipped: int) -> Iterator[Row]:
    csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, [], _problem(error))
            continue
        if not all(is_blank(cell) for cell in cells):
            yield Row(line, list(cells))


def _problem(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "a quotation mark opened here is never closed; everything after it belongs to this cell"
    if "field larger" in text:
        return f"a cell is longer than {_LONGEST_CELL >> 20} MB; perhaps a quotation mark is never closed"
    return f"not well-formed CSV ({text})"
