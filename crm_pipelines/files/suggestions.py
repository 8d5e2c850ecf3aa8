"""What a column that became a custom field may be, by its header and by its first values. Pure.

Only the person knows; so nothing here is taken, and all of it is told, with the option that says so.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from crm_pipelines.files.addresses import NoAddress, usable_address
from crm_pipelines.files.cleaning import PARTS, cell_text
from crm_pipelines.files.columns import Columns
from crm_pipelines.files.headers import WHOLE_OR_PART, key_of, known_keys
from crm_pipelines.files.tables import Row, is_blank

LOOKED_AT = 200
"""Rows, the first of the file."""

_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])")
_PHONE = re.compile(r"(?:\+|\(?0?0?[1-9]|\(?\+?\d)[\d\s()./-]{5,20}")
# With the sign of a number that is to be dialled; a number of a customer or a postcode has none.
_SURE_PHONE = re.compile(r"\(?(?:\+|00?)[1-9][\d\s()./-]{6,20}")
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*")
_BETWEEN = re.compile(r"[\W\d_]+")
_CLOSE = 0.85
# A header that has a known one within it; shorter ones are in many words.
_LONG = 6
_MOST, _MANY = 0.8, 0.5
_WORDS_OF_A_NAME = 5
_LETTERS_OF_A_NAME = 60
_IN_WORDS = {
    "phone_number": "phone numbers",
    "first_name": "first names",
    "last_name": "last names",
    "name": "names",
    "email": "addresses",
}


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A column that may hold a field; `by_values`: its values say so, not its header. Never a value of the file."""

    header: str
    field: str
    by_values: bool

    @property
    def option(self) -> str:
        """What to write in a shell to take it."""
        return f"--map {shlex.quote(f'{self.header}={self.field}')}"

    @property
    def sentence(self) -> str:
        if self.by_values:
            return f"{self.header} holds what looks like {_IN_WORDS[self.field]}: {self.option}"
        return f"{self.header} looks like {self.field}: {self.option}"


def suggest(columns: Columns, sample: Sequence[Row]) -> tuple[Suggestion, ...]:
    """For each field that no column holds, the column that is most likely to."""
    open_fields = _open(columns)
    email = next(place for place, field in columns.fields.items() if field == "email")
    found: dict[str, Suggestion] = {}
    texts = {place: _texts(sample, place) for place in columns.unknown}
    for by_values in (False, True):
        for place in columns.unknown:
            if any(one.header == columns.header[place] for one in found.values()):
                continue
            filled = [text for text in texts[place] if text]
            if not filled:
                continue
            if by_values:
                field = _by_values(filled, list(zip(texts[place], _texts(sample, email), strict=True)))
            else:
                field = _by_header(columns.header[place], open_fields, filled)
            if field in open_fields:
                found.setdefault(field, Suggestion(header=columns.header[place], field=field, by_values=by_values))
    return tuple(found.values())


def address_column(header: Sequence[str], sample: Sequence[Row]) -> Suggestion | None:
    """The column whose values are addresses, where no header says which it is."""
    for place, title in enumerate(header):
        filled = [text for text in _texts(sample, place) if text]
        if title and filled and _share(map(_is_address, filled)) >= _MOST:
            return Suggestion(header=title, field="email", by_values=True)
    return None


def _open(columns: Columns) -> frozenset[str]:
    """Fields that no column holds. Beside a whole name no part is looked for, beside one part only the other."""
    taken = set(columns.fields.values())
    parts = {*PARTS} - taken if "name" not in taken else set()
    whole = {"name"} if not taken & {"name", *PARTS} else set()
    return frozenset(({"phone_number"} - taken) | parts | whole)


def _by_header(title: str, open_fields: frozenset[str], filled: list[str]) -> str | None:
    """By a word in the header, or by a header that is spelt nearly so, where the values do not say otherwise."""
    known = {key: "name" if field == WHOLE_OR_PART else field for key, field in known_keys().items()}
    key = key_of(title)
    # "Name" as a word beside others is the name of anything.
    words = [word for word in map(key_of, _WORDS.findall(_CAMEL.sub(" ", title))) if known.get(word) != "name"]
    near = get_close_matches(key, [one for one, field in known.items() if field in open_fields], n=1, cutoff=_CLOSE)
    within = [
        one
        for one, field in known.items()
        if len(one) >= _LONG and field != "name" and (key.startswith(one) or key.endswith(one))
    ]
    candidates = [known[one] for one in (*near, *(word for word in words if word in known), *within)]
    plausible = {"phone_number": _looks_like_phone}
    for field in candidates:
        if field in open_fields and _share(map(plausible.get(field, _looks_like_name), filled)) >= _MOST:
            return field
    return None


def _by_values(filled: list[str], beside: list[tuple[str, str]]) -> str | None:
    """`beside`: each value with the address of its row, which often holds the name."""
    if len(filled) > 1 and _share(map(_is_sure_phone, filled)) >= _MOST:
        return "phone_number"
    if _share(map(_looks_like_name, filled)) < _MOST:
        return None
    parts = Counter(filter(None, (_part_in_address(text, address) for text, address in beside if text)))
    if parts.total() < max(2, _MANY * len(filled)):
        return None
    return parts.most_common(1)[0][0]


def _part_in_address(text: str, address: str) -> str | None:
    """Which part of the name the text is, if the address has it: ada.lovelace@… for Ada."""
    local = [key_of(part) for part in _BETWEEN.split(address.partition("@")[0]) if part]
    words = [key_of(word) for word in text.split()]
    held = [word for word in words if len(word) > 1 and (word in local or _at_an_end(word, local))]
    if not held:
        return None
    if len(words) > 1:
        return "name"
    return "first_name" if local[0].startswith(held[0]) else "last_name"


def _at_an_end(word: str, local: list[str]) -> bool:
    return len(word) >= 4 and len(local) == 1 and (local[0].startswith(word) or local[0].endswith(word))


def _texts(sample: Sequence[Row], place: int) -> list[str]:
    return [
        cell_text(row.cells[place]).strip() if place < len(row.cells) and not is_blank(row.cells[place]) else ""
        for row in sample
    ]


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found)


def _is_address(text: str) -> bool:
    try:
        usable_address(text)
    except NoAddress:
        return False
    return True


def _looks_like_phone(text: str) -> bool:
    return _PHONE.fullmatch(text) is not None and not _DATE.fullmatch(text)


def _is_sure_phone(text: str) -> bool:
    return _SURE_PHONE.fullmatch(text) is not None and not _DATE.fullmatch(text)


def _looks_like_name(text: str) -> bool:
    return (
        len(text) <= _LETTERS_OF_A_NAME
        and len(text.split()) <= _WORDS_OF_A_NAME
        and any(map(str.isalpha, text))
        and not any(letter.isdigit() or letter in "@/:" for letter in text)
    )
