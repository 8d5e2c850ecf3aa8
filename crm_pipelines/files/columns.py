"""Which column of a file is which field of a contact.

Several columns may mean one thing, such as Phone and Mobile: of addresses the first or primary one is taken, of phone
numbers mobile before any, before business, before home. Where it is blank, the next one stands in. All but the one that
is taken stay as custom fields, too.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

from crm_pipelines.database.view import CRMS
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.headers import (
    NAMEABLE,
    SEVERAL,
    WHOLE_OR_PART,
    field_of,
    is_about_opting_out_alone,
    is_bookkeeping,
    key_of,
    tells_of_opting_out,
)
from crm_pipelines.files.meant import LEFT_OUT, Meant, places_of

LONGEST_HEADER = 200
"""Characters. A longer one is no name of a column."""

_FLATTENED = ("custom_fields.", "custom_fields/")
# Before every column that was found by its header.
_NAMED_FIRST = -1_000
NAMES = frozenset(("name", "first_name", "last_name"))


class NoAddressColumn(ImportRefused):
    """No column holds the address, as far as the headers tell."""


class Origin(Enum):
    """Where a file is from, as far as its cells are read otherwise: ours hold what is stored, blanks included."""

    ELSEWHERE = auto()
    VIEW = auto()  # the view `contacts`, as psql copies it
    PAGE = auto()  # the CSV of the status page, with its guards against formulas


@dataclass(frozen=True)
class Columns:
    """Position -> field, and position -> name of a custom field; `ignored` are the headers of the rest.

    `spare` has, for a field, the other columns that mean it, the next one first. `opt_outs` are those that say who has
    opted out, with their keys; `perhaps_whole`: the part of the
    name whose column may hold the whole name; `settled`: columns of which a person said what they are; `moved`: of
    those that are taken, the custom field that each would be else; `notes`: sentences about what was decided.
    """

    fields: dict[int, str]
    custom: dict[int, str]
    ignored: tuple[str, ...]
    header: tuple[str, ...]
    spare: dict[str, tuple[int, ...]]
    opt_outs: dict[int, str]
    perhaps_whole: str | None
    settled: frozenset[int]
    moved: dict[int, str]
    notes: tuple[str, ...]
    origin: Origin

    @cached_property
    def width(self) -> int:
        return len(self.header)

    @cached_property
    def part_apart(self) -> str | None:
        """The part of the name that has a column of its own, where the other part has none."""
        fields = {*self.fields.values()} - {self.perhaps_whole}
        apart = [field for field in ("first_name", "last_name") if field in fields]
        return apart[0] if len(apart) == 1 else None

    @cached_property
    def unknown(self) -> tuple[int, ...]:
        """Positions of columns that are custom fields since nothing else is known of them."""
        known = {place for others in self.spare.values() for place in others} | self.opt_outs.keys() | self.settled
        return tuple(place for place in self.custom if place not in known)

    @cached_property
    def names(self) -> list[str]:
        """Headers of the columns that hold names."""
        return [self.header[place] for place, field in self.fields.items() if field in NAMES]

    def name(self, position: int) -> str:
        """Of the field or custom field in this column."""
        named = self.fields.get(position) or self.custom.get(position) or self.header[position]
        return named or f"column {position + 1}"

    def meaning(self, position: int) -> str:
        """In words, what the column at this position becomes."""
        if position in self.fields:
            return self.fields[position]
        if position not in self.custom:
            why = "as you said" if position in self.settled else "bookkeeping"
            return f"left out: {why if self.header[position] else 'it has no header'}"
        words = [f"custom field {self.custom[position]}"]
        first = {field: self.header[place] for place, field in self.fields.items()}
        words += [
            f"{field} where {first[field]} is blank" for field, others in self.spare.items() if position in others
        ]
        words += ["tells who has opted out"] if position in self.opt_outs else []
        return ", ".join(words)


def match_columns(header: list[str], file: str, meant: Meant = ()) -> Columns:
    """Upper and lower case, accents, blanks and other marks make no difference; see headers.py for what is known.

    What a person says of a column, `meant`, goes before what its header says. Raises NoAddressColumn, ImportRefused
    when a header is no name, UsageError when a column is meant that is not there.
    """
    keys = [key_of(title[: LONGEST_HEADER + 1]) for title in header]  # what is longer is refused below
    known = frozenset(keys)
    said = places_of(meant, header, file)
    kept = [
        place for place, key in enumerate(keys) if header[place] and (place in said or not is_bookkeeping(key, known))
    ]
    for place in kept:
        if "\0" in header[place] or len(header[place]) > LONGEST_HEADER:
            raise ImportRefused(f"{file}: the header of column {place + 1} is no name (a NUL, or too long).")
    ranked = {place: found for place in kept if place not in said and (found := field_of(keys[place]))}
    ranked |= {
        place: (target, _NAMED_FIRST + number)
        for number, (place, target) in enumerate(said.items())
        if target in NAMEABLE
    }
    wanted = _in_order({place: (_settled(field, ranked), rank) for place, (field, rank) in ranked.items()})
    fields = {places[0]: field for field, places in wanted.items()}
    if "email" not in wanted:
        shown = ", ".join(repr(title) for title in header[:10])
        raise NoAddressColumn(
            f"{file} has no column for the e-mail address (such as 'email'). Its header: {shown}. "
            "`--map COLUMN=email` says which it is."
        )
    left_out = {place for place, target in said.items() if target == LEFT_OUT}
    custom, notes = _custom(
        {place: said.get(place, header[place]) for place in kept if place not in fields and place not in left_out}
    )
    for field, (first, *others) in wanted.items():
        if others:
            names = " and ".join(repr(header[place]) for place in others)
            next_one = "; where that is blank, the next of them stands in" if field in SEVERAL else ""
            notes.append(f"{field} is taken from {header[first]!r}, not from {names}{next_one}.")
    # Also of a column that a person calls something else, or leaves out: nobody opts in by that.
    opt_outs = {
        place: key
        for place in kept
        if place in custom or place in said
        for key in (keys[place], key_of(_unflattened(said.get(place, header[place]))))
        if tells_of_opting_out(key)
    }
    notes += [
        f"{header[place]!r} says who has opted out. They are brought in, but not queued by this import; who was "
        "queued or delivered before stays so. `crm-pipelines suppress EMAIL` keeps somebody from ever being sent."
        for place, key in opt_outs.items()
        if is_about_opting_out_alone(key)
    ]
    return Columns(
        fields=dict(sorted(fields.items())),
        custom=custom,
        ignored=tuple(
            title for place, title in enumerate(header) if title and (place not in kept or place in left_out)
        ),
        header=tuple(header),
        spare={field: tuple(wanted[field][1:]) for field in SEVERAL if len(wanted.get(field, ())) > 1},
        opt_outs=opt_outs,
        perhaps_whole=next(
            (field for place, field in fields.items() if field != "name" and ranked[place][0] == WHOLE_OR_PART), None
        ),
        settled=frozenset(said),
        moved={
            place: name
            for place in said
            if (place in fields or place in custom) and (name := _unflattened(header[place])) != custom.get(place)
        },
        notes=tuple(notes),
        origin=_origin(known),
    )


def _settled(field: str, ranked: dict[int, tuple[str, int]]) -> str:
    """Name beside Vorname is the last name, Nombre beside Apellidos the first name."""
    if field != WHOLE_OR_PART:
        return field
    parts = {other for other, _ in ranked.values()} & {"first_name", "last_name"}
    if len(parts) != 1:
        return "name"
    return "last_name" if "first_name" in parts else "first_name"


def _in_order(ranked: dict[int, tuple[str, int]]) -> dict[str, list[int]]:
    """The columns of each field, the one to be taken first."""
    found: dict[str, list[int]] = {}
    for place, (field, _) in sorted(ranked.items(), key=lambda item: (item[1][1], item[0])):
        found.setdefault(field, []).append(place)
    return found


def _unflattened(title: str) -> str:
    for prefix in _FLATTENED:
        title = title.removeprefix(prefix) or title
    return title


def _custom(titles: dict[int, str]) -> tuple[dict[int, str], list[str]]:
    """A name for each, and what is to be told of those that are there twice."""
    custom: dict[int, str] = {}
    notes: list[str] = []
    for place, title in titles.items():
        name = plain = _unflattened(title)
        number = 1
        while name in custom.values() or (number > 1 and name in titles.values()):
            number += 1
            name = f"{plain} ({number})"
        if number > 1:
            notes.append(f"There are several columns {plain!r}: this one, column {place + 1}, is called {name!r}.")
        custom[place] = name
    return custom, notes


def _origin(keys: frozenset[str]) -> Origin:
    if {"crm", "syncstatus", "processingstatus"} <= keys:
        return Origin.PAGE
    # Rejects were given guards of their own.
    if {f"{CRMS[0]}syncstatus", f"{CRMS[0]}processingstatus", "customfields"} <= keys and "rejectedline" not in keys:
        return Origin.VIEW
    return Origin.ELSEWHERE
