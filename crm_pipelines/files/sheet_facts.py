"""What openpyxl does not say of a sheet when it reads row by row, taken from the sheet's XML in one quick pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from openpyxl.utils import column_index_from_string

_BLOCK = 1 << 20
_OVERLAP = 1 << 16  # more than a cell has, but for one that holds a very long text
_ROW = re.compile(rb"""<(?:\w+:)?row\s[^>]*?\br=["'](\d+)["']""")
_UNNUMBERED = re.compile(rb"<(?:\w+:)?row(?:\s(?![^>]*\br=)[^>]*)?>")
_HIDDEN = re.compile(rb"""<(?:\w+:)?row\s[^>]*?\bhidden=["'](?:1|true)["']""")
_VALUE = re.compile(rb"<(?:\w+:)?(?:v|is)[\s>]")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref=["'][A-Z]+(\d+):[A-Z]+(\d+)["']""")
_UNCALCULATED = re.compile(
    rb"<(?:\w+:)?c\s([^>]*)>\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_PLACE = re.compile(rb"""\br=["']([A-Z]+)(\d+)["']""")
_TEXT = re.compile(rb"""\bt=["']str["']""")  # its result may be no text at all


@dataclass
class Facts:
    """`last_row` is the last that holds anything, None where rows have no numbers; rows count from 1.

    `uncalculated` are the places (row, column) of formulas whose result is not in the file, as of a program that
    writes workbooks without calculating. `merges` are the first and the last row of each merged cell.
    """

    last_row: int | None = None
    hidden: int = 0
    merges: list[tuple[int, int]] = field(default_factory=list)
    uncalculated: set[tuple[int, int]] = field(default_factory=set)


def look_through(sheet: IO[bytes]) -> Facts:
    facts = Facts()
    row = 0
    numbered = True
    for block, fresh in _blocks(sheet):
        numbered = numbered and not _UNNUMBERED.search(block)
        for value in _last(_VALUE, block):
            for match in _last(_ROW, block[: value.start()]):
                row = int(match[1])
            facts.last_row = row  # a row so wide that its beginning is in a block before
        for match in _last(_ROW, block):
            row = int(match[1])
        if b"hidden=" in block:
            facts.hidden += sum(1 for match in _HIDDEN.finditer(block) if match.end() > fresh)
        if b"mergeCell " in block:
            facts.merges += [(int(match[1]), int(match[2])) for match in _MERGED.finditer(block) if match.end() > fresh]
        if b"<f" in block or b":f" in block:
            for match in _UNCALCULATED.finditer(block):
                place = _PLACE.search(match[1])
                if place and not _TEXT.search(match[1]):
                    facts.uncalculated.add((int(place[2]), column_index_from_string(place[1].decode())))
    if not numbered:
        facts.last_row = None
    return facts


def _blocks(sheet: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Each with the end of the one before it; what ends behind the number stands for the first time."""
    before = b""
    while read := sheet.read(_BLOCK):
        yield before + read, len(before)
        before = (before + read)[-_OVERLAP:]


def _last(pattern: re.Pattern[bytes], text: bytes) -> list[re.Match[bytes]]:
    """The last match, looked for from the end."""
    size = 4096
    while True:
        found = list(pattern.finditer(text, max(0, len(text) - size)))
        if found or size >= len(text):
            return found[-1:]
        size *= 8
