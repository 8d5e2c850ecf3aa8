"""Reads CSV row by row, in little memory.

Not pandas, since only here it is known on which physical line a row begins when cells hold line breaks, and reading
goes on after a row that is broken.
"""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from crm_pipelines.files.decoding import decode
from crm_pipelines.files.delimiters import delimiter_named, find_head, in_words
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.quoting import RowLayout, rows_of
from crm_pipelines.files.tables import ReadingOptions, Row, Table, address_columns, without_repeated_headers

_SAMPLE_LINES = 100
_SAMPLE_CHARACTERS = 1 << 18


def read_csv(file: BinaryIO, name: str, reading: ReadingOptions | None = None) -> Table:
    """Raises ImportRefused when the file is empty, is no text, or is in no encoding that can be told."""
    reading = reading or ReadingOptions()
    if reading.sheet is not None:
        raise ImportRefused(f"{name} is no workbook and has no sheets: leave out --sheet.")
    delimiter = delimiter_named(reading.delimiter) if reading.delimiter is not None else None
    text = decode(file, name, reading.encoding)
    sample = _sample(text.lines)
    head = find_head(sample, delimiter, name, reading.columns)
    if text.unread and any(any("\udc80" <= letter <= "\udcff" for letter in title) for title in head.titles):
        raise ImportRefused(f"The header of {name} holds bytes that are not {text.encoding}: save the file as UTF-8.")
    notes: list[str] = []
    if head.above:
        lines = "1 line above it was" if head.above == 1 else f"{head.above} lines above it were"
        notes.append(f"The header is in line {head.line}; {lines} left out.")
    layout = RowLayout(head.delimiter, len(head.titles), tuple(address_columns(head.titles, reading.columns)))
    body = itertools.chain(sample[head.lines :], text.lines)
    rows = text.checked(rows_of(body, layout, head.lines + 1))

    def noted() -> Iterator[Row]:
        yield from without_repeated_headers(rows, head.titles, notes)
        notes.extend(text.notes())

    return Table(
        f"CSV, {text.encoding}{text.told}, separated by {in_words(head.delimiter)}", head.titles, noted(), notes
    )


def _sample(lines: Iterator[str]) -> list[str]:
    sample: list[str] = []
    characters = 0
    for line in itertools.islice(lines, _SAMPLE_LINES):
        sample.append(line)
        characters += len(line)
        if characters > _SAMPLE_CHARACTERS:
            break
    return sample
