"""Opens what somebody names as a file: also `-`, a pipe and a FIFO, which are read once into a private file."""

import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from crm_pipelines.files.errors import ImportRefused

_STDIN = {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}
_SAVE_AS_XLSX = "open it in a spreadsheet program and save it as XLSX."
_UNPACK = "unpack it, and import what is in it."
_STARTS = [
    (b"\x1f\x8b", f"is compressed with gzip: {_UNPACK}"),
    (b"BZh", f"is compressed with bzip2: {_UNPACK}"),
    (b"\xfd7zXZ\0", f"is compressed with xz: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is compressed with zstd: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7z archive: {_UNPACK}"),
    (b"Rar!", f"is a RAR archive: {_UNPACK}"),
    (b"\xd0\xcf\x11\xe0", "is protected by a password, or an XLS file of old: save it as XLSX without a password."),
    (b"%PDF", "is a PDF: save the table that it was made of as CSV or XLSX."),
    (b"{\\rtf", f"is a text document: {_SAVE_AS_XLSX}"),
    (b"BIFF", f"is an XLS file of old: {_SAVE_AS_XLSX}"),
]
_STRICT = b"http://purl.oclc.org/ooxml/spreadsheetml/main"
_MARKUP = (b"<?xml", b"<!doctype html", b"<html", b"<table", b"<meta")


def named(path: Path) -> Path:
    """The path by which to speak of the file, and beside which its rejects go: for a pipe, in the current folder."""
    if str(path) in _STDIN:
        return Path("stdin")
    return Path("pipe") if path.parent in {Path("/dev/fd"), Path("/proc/self/fd")} else path


def opened(path: Path) -> BinaryIO:
    """The file, at its beginning; it can be read again and again. Raises OSError."""
    if str(path) == "-":
        if sys.stdin is None:
            raise ImportRefused("There is no standard input: name a file, or pipe one into the command.")
        return _kept(sys.stdin.buffer)
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return path.open("rb")
    with path.open("rb") as source:  # a folder is refused here, by the system
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty():
            return _kept(source)
    raise ImportRefused(f"{path} is a device, and no file.")


def _kept(source: BinaryIO) -> BinaryIO:
    """In a file that has no name and that nobody else can open; it ends with this process, however that ends."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - whoever reads it closes it
    shutil.copyfileobj(source, copy)
    copy.seek(0)
    return copy


def is_workbook(file: BinaryIO, name: str) -> bool:
    """XLSX and its relatives; else it may be CSV. Raises ImportRefused for what is known to be neither."""
    start = file.read(512)
    file.seek(0)
    if not start:
        raise ImportRefused(f"{name} is empty.")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        _require_workbook(file, name)
        return True
    for mark, sentence in _STARTS:
        if start.startswith(mark):
            raise ImportRefused(f"{name} {sentence}")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_MARKUP):
        raise ImportRefused(f"{name} is a web page or XML, whatever its name says: {_SAVE_AS_XLSX}")
    return False


def _require_workbook(file: BinaryIO, name: str) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.namelist()
            kind = archive.read("mimetype")[:100] if "mimetype" in parts else b""
            book = archive.read("xl/workbook.xml")[:10_000] if "xl/workbook.xml" in parts else b""
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        return  # damaged: whoever reads the workbook says so
    finally:
        file.seek(0)
    if b"opendocument" in kind:
        raise ImportRefused(f"{name} is an OpenDocument file (ODS): {_SAVE_AS_XLSX}")
    if any(part.endswith(".bin") and "workbook" in part for part in parts):
        raise ImportRefused(f"{name} is a binary workbook (XLSB): {_SAVE_AS_XLSX}")
    if _STRICT in book:
        raise ImportRefused(
            f"{name} is a workbook in the form 'Strict Open XML', which cannot be read here: open it in a spreadsheet "
            "program and save it as 'Excel Workbook (.xlsx)'."
        )
    if any(part.startswith("Index/") or part == "Index.zip" for part in parts):
        raise ImportRefused(f"{name} is a Numbers file: export it as XLSX.")
    if "[Content_Types].xml" not in parts or any(part.startswith(("word/", "ppt/")) for part in parts):
        raise ImportRefused(f"{name} is an archive or a document, and no workbook: {_UNPACK}")
