"""Attributes of several choices: which options a value names. Pure."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from crm_pipelines.crms import normalize

LONGEST_OPTION = 200
"""Characters (Brevo, POST /contacts/attributes: "multiCategoryOptions")."""

_BETWEEN = re.compile(r"[;|\n]")


class Options:
    """The options of one attribute, in the order in which it has them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._by_spelling = {spelling(name): name for name in reversed(names)}
        self._most_commas = max((name.count(",") for name in names), default=0)

    def read(self, value: object) -> tuple[list[str], list[str]]:
        """The options that a value names, as they are spelt there, and what of it names none.

        A text is one option, or a list of them: in JSON, or with semicolons, vertical bars or line ends between them,
        or with commas, of which some may belong to the name of an option. What is one as a whole is no list.
        """
        if isinstance(value, str) and (whole := self._find(value.strip())) is not None:
            return [whole], []
        kept: dict[str, None] = {}
        unknown: dict[str, None] = {}
        given, divided = _listed(value)
        for item in given:
            option = self._find(item)
            if option is not None:
                kept[option] = None
            elif divided and "," in item:
                self._divide(item, kept, unknown)
            else:
                unknown[item] = None
        return list(kept), list(unknown)

    def _divide(self, item: str, kept: dict[str, None], unknown: dict[str, None]) -> None:
        """At its commas; the longest name wins."""
        parts = item.split(",")
        while parts:
            for length in range(min(len(parts), self._most_commas + 1), 0, -1):
                named = ",".join(parts[:length]).strip()
                option = self._find(named)
                if option is not None or length == 1:
                    break
            if named:
                (unknown if option is None else kept)[option or named] = None
            parts = parts[length:]

    def _find(self, item: str) -> str | None:
        return item if item in self._names else self._by_spelling.get(spelling(item))


class Labelled:
    """Options that have a label beside the value that is kept for them; `pairs` are value and label of each.

    `options` is what reads texts, be they labels or values.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.options = Options([text for pair in pairs for text in pair])
        # Of two meanings the value counts.
        self._by_text = {label: value for value, label in pairs} | {value: value for value, _ in pairs}

    def read(self, value: object) -> tuple[list[str], list[str]]:
        """The values that a text or a list names, each once, and what of it names none."""
        found, unknown = self.options.read(value)
        return list(dict.fromkeys(self.values_of(found))), unknown

    def values_of(self, texts: Sequence[str]) -> list[str]:
        """What is none stays as it is."""
        return [self._by_text.get(text.strip(), text.strip()) for text in texts if text.strip()]


def spelling(text: str) -> str:
    """What labels and options are compared by: whatever the case and the blanks."""
    return " ".join(text.split()).casefold()


def _listed(value: object) -> tuple[list[str], bool]:
    """The items, and whether each may still be a list with commas."""
    if isinstance(value, str):
        written = value.strip()
        if written.startswith("[") and written.endswith("]"):
            with suppress(ValueError, RecursionError):
                return _texts([item for item in json.loads(written) if not isinstance(item, dict | list)]), False
        return _texts(_BETWEEN.split(value)), True
    return _texts(value if isinstance(value, list | tuple) else [value]), False


def _texts(items: Sequence[Any]) -> list[str]:
    """A number that a spreadsheet made a float of stays whole."""
    whole = [int(item) if isinstance(item, float) and item.is_integer() else item for item in items]
    return normalize.choices(whole) or []
