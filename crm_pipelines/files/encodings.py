"""Tells the encoding of a file whose bytes are no UTF-8, by the letters in its words. Pure.

Every code page gives every byte some character, so that any of them reads without an error. What tells them apart is
whether the characters are the letters of one language, beside the letters that stand beside them in its names
(`letters.txt`: names, places and headers, by language), and in upper case where upper case is written. Few letters
often tell nothing: é and č may be one byte. Then nothing is guessed, see `Guess.certain`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_LONGEST_WORD = 60
MOST_WORDS = 500
"""Different words; more of them tell no more."""

# How much rarer than Windows' own of the West a code page is, as a logarithm. In its order: of those that read all
# words alike, the first is named.
_CANDIDATES = {
    "cp1252": 0.0,
    "cp1250": -0.7,
    "cp1251": -0.7,
    "cp1253": -1.0,
    "cp1254": -1.0,
    "mac_roman": -1.0,
    "cp850": -1.0,
    "cp852": -1.5,
    "cp437": -1.5,
    "iso8859_15": -1.5,
    "iso8859_2": -1.5,
    "cp1257": -2.0,
    "mac_latin2": -2.0,
    "cp866": -2.0,
    "koi8_r": -2.0,
    "iso8859_7": -2.0,
    "cp857": -2.5,
    "iso8859_16": -2.5,
    "mac_cyrillic": -2.5,
    "iso8859_5": -3.0,
    "mac_turkish": -3.0,
    "iso8859_13": -3.0,
    "cp865": -3.0,
    "cp860": -3.0,
    "mac_iceland": -3.5,
    "mac_croatian": -3.5,
    "mac_greek": -3.5,
    "cp737": -3.0,
    "cp855": -3.5,
    "cp1125": -3.0,
    "koi8_u": -3.0,
    "iso8859_4": -4.0,
    "cp775": -3.5,
    "hp_roman8": -5.0,
    "cp1255": -1.5,
    "iso8859_8": -2.5,
    "cp862": -3.0,
    "cp1256": -1.5,
    "cp874": -1.5,
}
_OPENING = set("’‘“„‚‹«»¿¡–—§£€\xa0")
_CLOSING = set("’‘”“›»«–—…®™©ªº²³½°€\xa0")
_ROMANIAN = str.maketrans("șțȘȚ", "şţŞŢ")  # one letter, drawn in two ways: not worth a question
_UNREAD = -14.0  # no character, a sign within a word, or a letter of another script beside those of ours
_WRONG_CASE = -7.0
_UNKNOWN_LETTER = -9.0
_FOREIGN_WORD = -3.0  # a word of another language than the others
_ENOUGH = 4.5
"""By so much, as a logarithm, the best reading must be likelier than the next. Measured: see test_encodings.py."""
_PLAUSIBLE = -7.0
"""Per letter; a word that is less likely is none of the languages that are known here."""
_MOST_IMPLAUSIBLE = 0.1
"""Of the words; beyond it the file is in something else, such as Japanese."""


@dataclass(frozen=True)
class Guess:
    """The likeliest encodings, the best first, each with the letters that it makes of the file's bytes.

    `certain` says that the first may be taken without asking, `plausible` that it makes words of a language.
    """

    candidates: tuple[tuple[str, str], ...]
    certain: bool
    plausible: bool


@dataclass(frozen=True)
class _Language:
    """How often a letter stands somewhere, as shares of what stands there in the words of one language."""

    letters: frozenset[str]
    between: dict[str, float]
    after: dict[str, float]
    before: dict[str, float]
    alone: dict[str, float]

    def likelihood(self, previous: str, letter: str, following: str) -> float:
        if letter not in self.letters:
            return _UNKNOWN_LETTER
        return math.log(
            0.35 * self.between.get(previous + letter + following, 0.0)
            + 0.25 * self.after.get(previous + letter, 0.0)
            + 0.25 * self.before.get(letter + following, 0.0)
            + 0.15 * self.alone.get(letter, 0.0)
            + 2e-4
        )


def words_of(lines: Iterable[bytes]) -> set[bytes]:
    """Up to MOST_WORDS different words that hold a byte beyond ASCII."""
    words: set[bytes] = set()
    for line in lines:
        if not line.isascii():
            words.update(word for word in _WORD.findall(line) if not word.isascii() and len(word) <= _LONGEST_WORD)
            if len(words) >= MOST_WORDS:
                break
    return words


def guess(words: Iterable[bytes]) -> Guess:
    """Of the words of `words_of`."""
    ordered = sorted(words)
    scores: dict[tuple[str, ...], tuple[float, str]] = {}
    for encoding, prior in _CANDIDATES.items():
        readings = tuple(word.decode(encoding, "replace").translate(_ROMANIAN) for word in ordered)
        if readings not in scores:
            scores[readings] = (prior + _score(readings), encoding)
    ranked = sorted(((score, encoding, readings) for readings, (score, encoding) in scores.items()), reverse=True)
    best = ranked[0]
    lead = best[0] - ranked[1][0] if len(ranked) > 1 else math.inf
    implausible = sum(max(_scores_of_word(word)) < _PLAUSIBLE * len(_special(word)) for word in best[2])
    plausible = implausible <= _MOST_IMPLAUSIBLE * len(best[2])
    return Guess(
        candidates=tuple((encoding, shown(readings)) for _, encoding, readings in ranked[:4]),
        certain=plausible and lead >= _ENOUGH,
        plausible=plausible,
    )


def shown(readings: Iterable[str]) -> str:
    """A few letters, the most frequent first: no word, since it may be somebody's name."""
    letters = Counter(letter for word in readings for letter in word if not letter.isascii())
    return " ".join(letter if letter.isprintable() else "?" for letter, _ in letters.most_common(6))


def _special(word: str) -> list[int]:
    return [position for position, letter in enumerate(word) if not letter.isascii()]


def _score(readings: tuple[str, ...]) -> float:
    """Of the language that fits best; single words may be of another one."""
    per_word = [_scores_of_word(word) for word in readings]
    best_of_any = [max(scores) for scores in per_word]
    return max(
        sum(max(scores[index], best + _FOREIGN_WORD) for scores, best in zip(per_word, best_of_any, strict=True))
        for index in range(len(_languages()))
    )


def _scores_of_word(word: str) -> list[float]:
    """By language."""
    languages = _languages()
    totals = [0.0] * len(languages)
    lowered = f"^{word.lower()}$"
    if len(lowered) != len(word) + 2:  # İ becomes two characters
        lowered = f"^{''.join(letter.lower()[0] for letter in word)}$"
    mixed = any(letter.isascii() for letter in word)
    for position in _special(word):
        letter = word[position]
        if mixed and "\u0370" <= letter <= "\u0eff":
            totals = [total + _UNREAD for total in totals]
            continue
        if not letter.isalpha() or letter in "ªºˇ˘˙˛˝ˆ˜ƒμµ":
            rest = word[position + 1 :]
            opens = letter in _OPENING and not any(other.isalpha() for other in word[:position])
            closes = letter in _CLOSING and not any(other.isalpha() for other in rest)
            cost = -4.0 if opens or closes or letter in "’‘" else _UNREAD
            totals = [total + cost for total in totals]
            continue
        case = _case_cost(word, position)
        context = lowered[position : position + 3]
        for index, language in enumerate(languages):
            totals[index] += case + language.likelihood(*context)
    return totals


def _case_cost(word: str, position: int) -> float:
    """People write Élodie, HÉLÈNE or hélène, and neither hÉlène nor HéLÈNE."""
    letter, others = word[position], word[:position] + word[position + 1 :]
    plain = [other for other in others if other.isascii()]
    all_upper = len(plain) > 1 and all(other.isupper() for other in plain)
    if letter.isupper():
        return 0.0 if position == 0 or all_upper or word[position - 1].isupper() else _WRONG_CASE
    if all_upper and letter not in "ßı":
        return _WRONG_CASE
    if position == 0 and len(word) > 1:
        return -2.0  # names begin in upper case
    return 0.0


@cache
def _languages() -> tuple[_Language, ...]:
    text = Path(__file__).with_name("letters.txt").read_text(encoding="utf-8")
    return tuple(_language(line.split()[1:]) for line in text.splitlines())


def _language(words: list[str]) -> _Language:
    between, after, before, alone = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    places, starts, ends = Counter[str](), Counter[str](), Counter[str]()
    total = 0
    for word in words:
        for part in word.split("-"):
            framed = f"^{part}$"
            for previous, letter, following in zip(framed, framed[1:], framed[2:], strict=False):
                total += 1
                places[previous + following] += 1
                starts[previous] += 1
                ends[following] += 1
                if not letter.isascii():
                    between[previous + letter + following] += 1
                    after[previous + letter] += 1
                    before[letter + following] += 1
                    alone[letter] += 1
    return _Language(
        letters=frozenset(alone),
        # As if there were a few more of each place: one word in the list is no proof.
        between={key: count / (places[key[0] + key[2]] + 3) for key, count in between.items()},
        after={key: count / (starts[key[0]] + 3) for key, count in after.items()},
        before={key: count / (ends[key[1]] + 3) for key, count in before.items()},
        alone={key: count / total for key, count in alone.items()},
    )
