"""Days as people of different countries write them: the very day that is meant, or none. Pure.

| written | read |
| --- | --- |
| `1984-04-05`, `1984/4/5`, `19840405`, ISO 8601 | year, month, day |
| `5.4.1984`, `05. 04. 84` | the day first, as everywhere where dots are written |
| `23/6/1912`, `6-23-1912`, `4/4/1984` | the one order that makes a day |
| `04/05/1984` | left out, unless the mapping file says which comes first: DD.MM.YYYY, DD/MM/YYYY or MM/DD/YYYY |
| `5. April 1984`, `Apr 5, 1984`, `5 avril 1984`, `5-abr-84`, `Thu, 5 Apr 1984` | en, de, fr, es, it, pt |

A year of two digits is of this century up to 24, of the last from 40 on; between them it is left out. A time of day is
dropped, and its zone with it: the day is the one that is written, not that of another zone.
"""

import re
import unicodedata
from datetime import date, datetime

_TIME = (
    r"(?:(?:\s*,\s*|\s*[Tt]\s*|\s+)(?:at\s+|um\s+|à\s+)?\d{1,2}[:.]\d\d(?:[:.]\d\d(?:[.,]\d+)?)?"
    r"(?:\s*[AaPp]\.?[Mm]\.?)?(?:\s*(?:Z|UTC|GMT|Uhr|[A-Z]{3,4})?\s*(?:[+-]\d\d:?\d\d)?)?(?:\s*\([^)]*\))?)?"
)
_NUMBERS = re.compile(rf"(\d{{1,2}})\s*([./-])\s*(\d{{1,2}})\s*\2\s*(\d{{4}}|\d\d)\.?{_TIME}", re.ASCII)
_YEAR_FIRST = re.compile(rf"(\d{{4}})\s*([./-])\s*(\d{{1,2}})\s*\2\s*(\d{{1,2}}){_TIME}", re.ASCII)
_COMPACT = re.compile(r"(1[89]|2[01])\d{6}", re.ASCII)
_IN_WORDS = re.compile(rf"(.+?){_TIME}")
_BETWEEN = re.compile(r"[\s.,/-]+")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|o|a|\u00ba|\u00aa|\u00b0)")
_FILLERS = frozenset(("de", "del", "den", "der", "the", "of", "el", "le", "il", "am"))

_MONTHS = (
    "january jan januar janner janvier janv enero ene gennaio gen janeiro jan",
    "february feb februar feber fevrier fev fevr febrero febbraio febb fevereiro",
    "march mar marz mars marzo maerz mrz marco",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag maio",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug aout agosto ago",
    "september sep sept septembre septiembre set settembre sett setembro setiembre",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez decembre diciembre dic dicembre dezembro",
)
_MONTH = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
_WEEKDAYS = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "mon", "tue", "tues", "wed",
    "thu", "thur", "thurs", "fri", "sat", "sun", "montag", "dienstag", "mittwoch", "donnerstag", "freitag",
    "samstag", "sonnabend", "sonntag", "mo", "di", "mi", "do", "fr", "sa", "so", "lundi", "mardi", "mercredi",
    "jeudi", "vendredi", "samedi", "dimanche", "lunes", "martes", "miercoles", "jueves", "viernes", "sabado",
    "domingo", "lunedi", "martedi", "mercoledi", "giovedi", "venerdi", "domenica",
}  # fmt: skip

_LONGEST = 80
_LATEST_OF_THIS_CENTURY, _EARLIEST_OF_THE_LAST = 24, 40

NO_DATE = "not a date in the form YYYY-MM-DD"
NO_SUCH_DAY = "not a day that the calendar has"
NOT_CLEAR = "day or month first is not clear, use the form YYYY-MM-DD or name a format in the mapping"
NOT_SO_WRITTEN = f"{NO_DATE}, nor in the format that the mapping names"
NO_CENTURY = "the century of the year is not clear, use the form YYYY-MM-DD"


def read(text: str, *, day_first: bool | None = None) -> date:
    """`text`, without blank edges; `day_first`: what the mapping file says of 04/05/1984. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(NO_DATE)
    match = _YEAR_FIRST.fullmatch(text)
    if match:
        return _day(int(match[1]), int(match[3]), int(match[4]))
    match = _NUMBERS.fullmatch(text)
    if match:
        return _in_numbers(int(match[1]), int(match[3]), match[4], dotted=match[2] == ".", day_first=day_first)
    if text.isdecimal() and not _COMPACT.fullmatch(text):
        raise ValueError(NO_DATE)
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return _in_words(text)


def _in_numbers(first: int, second: int, year: str, *, dotted: bool, day_first: bool | None) -> date:
    if day_first is not None:
        # With dots nobody writes the month first.
        if dotted and not day_first:
            raise ValueError(NOT_SO_WRITTEN)
        first_is_day = day_first
    elif dotted or first > 12:
        first_is_day = True
    elif second <= 12 and first != second:
        raise ValueError(NOT_CLEAR)
    else:
        first_is_day = second <= 12
    day, month = (first, second) if first_is_day else (second, first)
    if day_first is not None and month > 12:
        raise ValueError(NOT_SO_WRITTEN)
    return _day(_year(year), month, day)


def _in_words(text: str) -> date:
    """One day, one month by its name, one year, in any of the orders that people write."""
    match = _IN_WORDS.fullmatch(text)
    plain = unicodedata.normalize("NFKD", (match[1] if match else text).casefold())
    words = [word for word in _BETWEEN.split("".join(one for one in plain if not unicodedata.combining(one))) if word]
    words = [word for word in words if word not in _FILLERS]
    if words and words[0] in _WEEKDAYS and words[0] not in _MONTH:
        words = words[1:]
    if len(words) != 3:
        raise ValueError(NO_DATE)
    words = [ordinal[1] if (ordinal := _ORDINAL.fullmatch(word)) else word for word in words]
    if words[1] in _MONTH:
        day, month, year = (words[2], words[1], words[0]) if len(words[0]) == 4 else words
    else:
        month, day, year = words
    if month not in _MONTH or not re.fullmatch(r"\d{1,2}", day, re.ASCII):
        raise ValueError(NO_DATE)
    if not re.fullmatch(r"\d{4}|\d\d", year, re.ASCII):
        raise ValueError(NO_DATE)
    return _day(_year(year), _MONTH[month], int(day))


def _year(written: str) -> int:
    if len(written) == 4:
        return int(written)
    year = int(written)
    if _LATEST_OF_THIS_CENTURY < year < _EARLIEST_OF_THE_LAST:
        raise ValueError(NO_CENTURY)
    return 2000 + year if year <= _LATEST_OF_THIS_CENTURY else 1900 + year


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError(NO_SUCH_DAY) from None
