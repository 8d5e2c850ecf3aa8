"""Keeps a spreadsheet from running what looks like a formula, and takes that back. Pure."""

import re

# Wherever a cell may begin: in half of Europe spreadsheets part cells by semicolons, and no quotes hold ours together.
# Apostrophes that are there already get one more, so that all of them are told apart.
_FORMULA = re.compile(r"(\A(?='*[\t\r\n])|(?:\A|[;\t\r\n]) *(?='*[=+\-@]))")
_GUARDED = re.compile(r"\A()'(?='*[\t\r\n])|((?:\A|[;\t\r\n]) *)'(?='*[=+\-@])")


def guarded(text: str) -> str:
    """An apostrophe before it keeps a spreadsheet from running what looks like a formula."""
    return _FORMULA.sub(r"\1'", text)


def unguarded(text: str) -> str:
    """What `guarded` made this text of."""
    return _GUARDED.sub(r"\1\2", text)


def unmarked(text: str) -> str:
    """Without the one mark by which spreadsheets, and files of rejects, keep a text from being a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in {"=", "+", "-", "@"} else text
