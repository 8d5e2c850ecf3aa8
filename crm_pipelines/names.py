"""Takes a person's name apart into first name and last name, by a rule that is written down. Pure.

The rule, in this order:

1. What follows a comma at the end and is only a suffix (Jr., III, PhD, M.D.) stays at the end of the last name; what
   is only a title goes.
2. "Last, First" is turned round, and a particle at its end goes before the last name: "Goethe, Johann Wolfgang von".
   Not turned round are companies ("Acme, Inc."), several persons ("Anna, Ben und Carl") and what has more commas.
3. Titles at the beginning (Dr., Prof., Dipl.-Ing., Frau, Mrs, Mme, Sra., Dott. and their like, "Herr und Frau" too)
   go to neither part. One word after a title, or before a suffix, is the last name: "Frau Müller", "King, PhD".
4. A name that begins with a particle in small letters is a last name: "von der Leyen".
5. Otherwise the first word is the first name, and all others are the last name.

No letter is lost but those of titles, and none changes its case.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

_WORDS = {
    kind: frozenset(words.split())
    for kind, words in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
}
_TITLES, _DOTTED_TITLES, _MORE_OF_TITLE = _WORDS["titles"], _WORDS["dotted_titles"], _WORDS["more_of_title"]
_CONJUNCTIONS, _PARTICLES = _WORDS["conjunctions"], _WORDS["particles"]
_TITLES_IN_ONE_WORD = _TITLES | _DOTTED_TITLES - {"m", "me", "mm"}
_BETWEEN = re.compile(r"[.\-]")

Parts = tuple[str | None, str | None]


def parts(words: Sequence[str]) -> Parts:
    """First name and last name of the words of a name, each None when it has none; see the module for the rule."""
    written = " ".join(words)
    if "," not in written:
        return _in_order(written.split(), one_is_last=False)
    if not any(word.strip(",") for word in words):
        return None, None
    pieces = [piece for piece in (part.split() for part in written.split(",")) if piece]
    capitals = " ".join(pieces[0]).isupper()
    suffixes: list[str] = []
    titled = False
    while len(pieces) > 1:
        if all(_is_suffix(word, capitals) for word in pieces[-1]) and not _may_be_first(pieces):
            suffixes.insert(0, " ".join(pieces.pop()))
        elif _titles(pieces[-1]) == len(pieces[-1]):
            titled = True
            pieces.pop()
        else:
            break
    if len(pieces) == 1:
        first, last = _in_order(pieces[0], one_is_last=titled or bool(suffixes))
    elif len(pieces) == 2 and not _is_company(pieces[1][-1]) and not _are_several(*pieces):
        first, last = _turned_round(*pieces, capitals=capitals)
    else:
        first, last = _as_written(pieces)
    return first, ", ".join(filter(None, [last, *suffixes])) or None


def other_part(words: Sequence[str], known: Sequence[str], *, is_first: bool) -> str | None:
    """What a whole name holds beside its first or last name; None if it holds nothing else, or not that one."""
    first, last = parts(words)
    if not known or (first if is_first else last) == " ".join(known):
        return (last if is_first else first) if known else None
    if is_first and list(words[: len(known)]) == list(known):
        return " ".join(words[len(known) :]) or None
    if not is_first and list(words[-len(known) :]) == list(known):
        return " ".join(words[: -len(known)]) or None
    return None


def joined(first: str | None, last: str | None) -> str | None:
    """The whole name of two parts; None when both are blank."""
    return " ".join(part.strip() for part in (first, last) if part and part.strip()) or None


def _in_order(words: list[str], *, one_is_last: bool) -> Parts:
    titles = _titles(words)
    rest = words[titles:]
    if not rest:
        return None, None
    if titles and len(rest) > 1 and _is_company(rest[-1]):
        return None, " ".join(words)  # a company that is called so: Dr. Oetker GmbH
    if len(rest) == 1:
        return (None, rest[0]) if titles or one_is_last else (rest[0], None)
    if rest[0] in _PARTICLES and not " ".join(rest).islower():
        return None, " ".join(rest)
    return rest[0], " ".join(rest[1:])


def _turned_round(left: list[str], right: list[str], *, capitals: bool) -> Parts:
    last, first = left[_titles(left) :], right[_titles(right) :]
    if not last:
        return _in_order(first, one_is_last=True)
    after: list[str] = []
    while len(first) > 1 and _is_suffix(first[-1], capitals):
        after.insert(0, first.pop())
    before: list[str] = []
    while first and first[-1] in _PARTICLES:
        before.insert(0, first.pop())
    return " ".join(first) or None, " ".join([*before, *last, *after])


def _as_written(pieces: list[list[str]]) -> Parts:
    pieces = [piece for piece in (pieces[0][_titles(pieces[0]) :], *pieces[1:]) if piece]
    first, *others = ", ".join(" ".join(piece) for piece in pieces).split()
    return (first.strip(","), " ".join(others)) if others else (None, first)


def _are_several(left: list[str], right: list[str]) -> bool:
    # A last name may hold y and e: Ortega y Gasset, José.
    return any(word.casefold() in _CONJUNCTIONS for word in right) or any(
        word.casefold() in _CONJUNCTIONS - {"y", "e"} for word in left
    )


def _titles(words: Sequence[str]) -> int:
    """How many words at the beginning are titles, or join two of them."""
    count = 0
    while count < len(words):
        if _is_title(words[count]) or (count and _is_more_of_title(words[count])):
            count += 1
        elif (
            count
            and words[count].casefold() in _CONJUNCTIONS
            and count + 1 < len(words)
            and _is_title(words[count + 1])
        ):
            count += 2
        else:
            break
    return count


def _is_title(word: str) -> bool:
    """Whether it is one by itself, or several without a blank: Prof.Dr., Dipl.-Ing."""
    folded = word.casefold()
    if "." not in folded and "-" not in folded:
        return folded in _TITLES
    pieces = [piece for piece in _BETWEEN.split(folded) if piece]
    if len(pieces) == 1:
        return pieces[0] in _TITLES or (pieces[0] in _DOTTED_TITLES and word.endswith("."))
    known = _TITLES_IN_ONE_WORD
    return bool(pieces) and pieces[0] in known and all(piece in known | _MORE_OF_TITLE for piece in pieces)


def _is_more_of_title(word: str) -> bool:
    pieces = [piece for piece in _BETWEEN.split(word.strip("()")) if piece]
    marked = word.endswith((".", ")")) and all(len(piece) > 1 for piece in pieces)
    return bool(pieces) and (marked or word.islower()) and all(piece.casefold() in _MORE_OF_TITLE for piece in pieces)


def _is_suffix(word: str, capitals: bool) -> bool:
    plain = word.replace(".", "").casefold()
    told = "." in word or (word.isupper() and not capitals)
    return plain in _WORDS["suffixes"] or (told and plain in _WORDS["suffixes_in_capitals"])


def _may_be_first(pieces: list[list[str]]) -> bool:
    """Jun and Sen are people, too: "Kim, Jun"; of "Müller, jun." and "Hans Müller, Jun" they are suffixes."""
    return [len(piece) for piece in pieces] == [1, 1] and pieces[1][0] in {"Jun", "JUN", "Sen", "SEN"}


def _is_company(word: str) -> bool:
    plain = word.replace(".", "").casefold()
    told = "." in word or word.isupper()
    return plain in _WORDS["companies"] or (told and plain in _WORDS["companies_in_capitals"])
