"""Makes lines of text of the bytes of a CSV file.

Certain signs are taken: a byte order mark, the zero bytes of UTF-16, valid UTF-8. A file that is UTF-8 but for a few
lines stays UTF-8: those lines are kept apart, since a guess for their sake would spoil all others. Any other file is
in an old code page, which `encodings` tells by the letters, or refuses to.
"""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from charset_normalizer import from_bytes

from crm_pipelines.files import encodings
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.tables import Row

_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_BLOCK = 1 << 20
_UNREAD = re.compile("[\udc80-\udcff]+")  # how errors="surrogateescape" keeps a byte that is no character
_SEEN_AS_CP1252 = "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xC0))
# UTF-8 that was read as cp1252 and saved so: é as Ã©, ł as Å‚, a no-break space as Â and one more.
_MOJIBAKE = re.compile(f"[ÂÃÄÅ][{re.escape(_SEEN_AS_CP1252)}]|â€[{re.escape(_SEEN_AS_CP1252)}]")
_LOST = "\ufffd"


@dataclass
class Text:
    """A file as lines of text, with their ends. The counts grow while `lines` is read.

    `told` says how the encoding is known, where that is no certain sign; `named`, that the user named it.
    """

    encoding: str
    told: str
    lines: Iterator[str]
    unread: int = 0
    mojibake: int = 0
    lost: int = 0
    named: bool = False

    def notes(self) -> list[str]:
        """Sentences about what was seen in the lines."""
        notes = []
        if self.mojibake:
            if self.named and not self.encoding.lower().startswith("utf"):
                when, cure = "", f"The file is not in {self.encoding}, it seems: import it again without --encoding."
            else:
                when, cure = " before", "Export the file again, as UTF-8, where it comes from."
            notes.append(
                f"{_lines(self.mojibake)} letters that were spoiled{when} (such as Ã© for é): they are taken as they "
                f"stand. {cure}"
            )
        if self.lost:
            notes.append(
                f"{_lines(self.lost)} the mark {_LOST}, where a letter was lost before: it is taken as it stands."
            )
        return notes

    def checked(self, rows: Iterator[Row]) -> Iterator[Row]:
        """A row with bytes that are no characters has that for its problem."""
        for row in rows:
            if self.unread and any(isinstance(cell, str) and _UNREAD.search(cell) for cell in row.cells):
                cells: list[object] = [_UNREAD.sub(_readable, str(cell)) for cell in row.cells]
                encoding = "UTF-8" if self.encoding.startswith("utf-8") else self.encoding
                yield Row(row.line, cells, f"it holds bytes that are not {encoding}; here they are read as cp1252")
            else:
                yield row


def decode(file: BinaryIO, name: str, encoding: str | None = None) -> Text:
    """Raises ImportRefused for an encoding that is unknown, or cannot be told."""
    told = ""
    named = encoding is not None
    if encoding is None:
        encoding, told = _detected(file, name)
    codec = _codec(encoding)
    text = Text(encoding, told, iter(()), named=named)
    # One codec reads UTF-8 with a byte order mark and without.
    text.lines = _read(file, name, "utf-8-sig" if codec == "utf-8" else codec, text)
    return text


def _codec(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
    except LookupError:
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):  # base64, say
        raise ImportRefused(f"There is no encoding named {encoding!r}.")
    return found.name


def _read(file: BinaryIO, name: str, encoding: str, text: Text) -> Iterator[str]:
    file.seek(0)
    # UTF-16 and UTF-32 cannot be taken up again after a byte that is wrong.
    errors = "strict" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    number = 0
    with io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as wrapped:
        try:
            for line in wrapped:
                number += 1
                if not line.isascii():
                    text.unread += _UNREAD.search(line) is not None
                    text.mojibake += _MOJIBAKE.search(line) is not None
                    text.lost += _LOST in line
                yield line
        except UnicodeError:
            if text.named and not number:
                raise ImportRefused(
                    f"{name} is not in {text.encoding}: leave out --encoding, or name another one."
                ) from None
            raise ImportRefused(
                f"{name} is not valid {encoding} after line {number}; the lines before may be in already. "
                "Save it as CSV in UTF-8, and import it again."
            ) from None


def _readable(unread: re.Match[str]) -> str:
    return bytes(ord(letter) - 0xDC00 for letter in unread[0]).decode("cp1252", "replace")


def _detected(file: BinaryIO, name: str) -> tuple[str, str]:
    start = file.read(1024)
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding, ""
    if wide := _wide(start):
        return wide, ""
    file.seek(0)
    try:
        deque(codecs.iterdecode(iter(lambda: file.read(_BLOCK), b""), "utf-8"), maxlen=0)
    except UnicodeDecodeError:
        return _with_wrong_bytes(file, name)
    return "utf-8", ""


def _wide(start: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark: every second byte, or three of four, of what is ASCII are zero."""
    zeros = [start[offset::4].count(0) for offset in range(4)]
    characters = max(1, len(start) // 4)
    often = [count > characters // 2 for count in zeros]
    never = [count <= characters // 10 for count in zeros]
    for encoding, empty in {
        "utf-32-le": (1, 2, 3),
        "utf-32-be": (0, 1, 2),
        "utf-16-le": (1, 3),
        "utf-16-be": (0, 2),
    }.items():
        if all(often[offset] if offset in empty else never[offset] for offset in range(4)):
            return encoding
    return None


def _with_wrong_bytes(file: BinaryIO, name: str) -> tuple[str, str]:
    file.seek(0)
    valid = wrong = 0
    words: set[bytes] = set()
    for block in file:
        for line in block.splitlines():
            if line.isascii():
                continue
            try:
                line.decode()
                valid += 1
            except UnicodeDecodeError:
                wrong += 1
            if len(words) < encodings.MOST_WORDS:
                words |= encodings.words_of([line])
    # Letters of an old code page hardly ever make valid UTF-8: one line that is may outweigh one that is not.
    if valid and valid >= wrong:
        return "utf-8", ""
    found = encodings.guess(words)
    if found.certain:
        return found.candidates[0][0], " (told by its letters)"
    candidates = list(found.candidates)
    other = from_bytes(b"\n".join(sorted(words))).best() if not found.plausible else None
    if other is not None:
        candidates = [(other.encoding, encodings.shown([str(other)])), *candidates][:3]
    choice = "; ".join(f"{letters} ({encoding})" for encoding, letters in candidates)
    raise ImportRefused(
        f"{name} is not UTF-8, and its letters do not tell its encoding. They would be: {choice}. Name the encoding "
        "with --encoding, or save the file as CSV in UTF-8. Nothing was imported."
    )


def _lines(count: int) -> str:
    return "1 line holds" if count == 1 else f"{count} lines hold"
