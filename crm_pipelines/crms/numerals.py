"""Numbers as people of different countries write them. Pure.

| written | read |
| --- | --- |
| `13.528,18`, `13,528.18`, `13'528.18`, `13 528,18`, `12,34,567.5` | of two different signs the later one is decimal |
| `1.234.567`, `1 234` | with separators of thousands |
| `12,5`, `0,125`, `1234,567`, `-.5` | with a decimal comma or point: no separator of thousands can stand there |
| `1.234`, `12,345` | left out, unless the mapping file names a format |
| `€ 12,50`, `12.50 EUR`, `$1,200.00` | without the currency |
| `(12.50)`, `12.50-` | below zero, as book-keepers write it; `12,-` is 12 |
| `9007199254740993` | left out: no float is that number, and a neighbour of it would be sent |
| `15 %` | left out: a spreadsheet means 0.15, a reader 15 |

What does not fit the format that the mapping file names is left out, also where it could be read without one.
"""

import math
import re
from typing import Literal

DecimalSign = Literal[",", "."]

_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_BLANKS = re.compile(r"[ \u00a0\u2007\u2009\u202f]")
_NO_DIGIT = re.compile(r"\D", re.ASCII)
_MINUS = re.compile(r"[\u2212\u2012\u2013\ufe63\uff0d]")
_SYMBOL = r"[$\u00a2-\u00a5\u20a0-\u20c0]"
_CODE = (
    "EUR|USD|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|ILS|INR|BRL|MXN|ARS|CLP|COP|"
    r"ZAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|AED|SAR|EGP|MAD|R\$|US\$|z\u0142|K\u010d|kr\.?|Fr\.|SFr\.|CHF\."
)
_CURRENCY = re.compile(rf"(?:{_SYMBOL}|{_CODE})", re.IGNORECASE)
_GROUPED = {
    ",": re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?", re.ASCII),
    ".": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d*)?", re.ASCII),
}
_SPACED = re.compile(r"\d{1,3}(?:([ '])\d{3})(?:\1\d{3})*(?:[.,]\d*)?", re.ASCII)
_COMMA = re.compile(r"\d*,\d+|\d+,", re.ASCII)
_UNCLEAR = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)

NO_NUMBER = "not a number"
NOT_CERTAIN = f"{NO_NUMBER} for certain"
NOT_SO_WRITTEN = f"{NO_NUMBER} in the format that the mapping names"
_MOST_DIGITS = 15
_LARGEST_EXACT = 2**53


def read(text: str, decimal: DecimalSign | None = None, *, spaced: bool = False) -> float:
    """`text`, without blank edges; `decimal` is the sign that the mapping file names. Raises ValueError.

    `spaced`: thousands are separated by blanks, as that file says, and by nothing else.
    """
    found = _read(text, decimal, spaced=spaced)
    digits = _NO_DIGIT.sub("", text)
    long = len(digits) > _MOST_DIGITS and _LARGEST_EXACT <= abs(found) < math.inf
    # What is that long names something, and the next number names something else.
    if long and str(int(abs(found))) != digits.lstrip("0"):
        raise ValueError(f"{NOT_CERTAIN}: it has more digits than can be kept, so make the attribute a text")
    return found


def _read(text: str, decimal: DecimalSign | None, *, spaced: bool) -> float:
    if _PLAIN.fullmatch(text) and not _UNCLEAR.fullmatch(text.lstrip("+-")) and decimal != ",":
        return float(text)
    written, negative = _bare(text)
    if spaced and "." in written:
        raise ValueError(NOT_SO_WRITTEN)
    found = _unsigned(written, decimal)
    return -found if negative else found


def _bare(text: str) -> tuple[str, bool]:
    """Without sign, currency and signs of a book-keeper; and whether it is below zero."""
    written = _MINUS.sub("-", _BLANKS.sub(" ", text)).replace("\u2019", "'").strip()
    if "%" in written:
        raise ValueError(f"{NOT_CERTAIN}: a percentage may mean 15 or 0.15")
    negative = written.startswith("(") and written.endswith(")")
    if negative:
        written = written[1:-1].strip()
    written, signed = _without_sign(written)
    written = _without_currency(written)
    if not signed:
        written, signed = _without_sign(written)
    if written[:1] in {"+", "-"} or (negative and signed):
        raise ValueError(NO_NUMBER)
    return written, negative or signed == "-"


def _without_sign(written: str) -> tuple[str, str]:
    if written[:1] in {"+", "-"}:
        return written[1:].lstrip(), written[0]
    if written.endswith((",-", ".-", ",--", ".--")):  # no cents
        return written.rstrip("-")[:-1], ""
    if written.endswith("-"):
        return written[:-1].rstrip(), "-"
    return written, ""


def _without_currency(written: str) -> str:
    if match := _CURRENCY.match(written):
        return written[match.end() :].lstrip()
    found = [match for match in _CURRENCY.finditer(written) if match.end() == len(written)]
    return written[: found[-1].start()].rstrip() if found else written


def _unsigned(written: str, decimal: DecimalSign | None) -> float:
    if decimal is not None:
        return _with_decimal(written, decimal)
    if _UNCLEAR.fullmatch(written):
        raise ValueError(
            f"{NOT_CERTAIN}: its sign may be a decimal one or one of thousands, so name a format in the mapping"
        )
    if _PLAIN.fullmatch(written):
        return float(written)
    if _COMMA.fullmatch(written):
        return float(written.replace(",", "."))
    if _SPACED.fullmatch(written):
        return float(written.replace(" ", "").replace("'", "").replace(",", "."))
    for sign in _GROUPED:
        if _GROUPED[sign].fullmatch(written):
            return _without_groups(written, sign)
    raise ValueError(NO_NUMBER)


def _with_decimal(written: str, decimal: DecimalSign) -> float:
    """Signs of thousands may stand, each before three digits."""
    other = "." if decimal == "," else ","
    if _SPACED.fullmatch(written) and other not in written:
        return float(written.replace(" ", "").replace("'", "").replace(",", "."))
    if _GROUPED[decimal].fullmatch(written):
        return _without_groups(written, decimal)
    plain = written.replace(decimal, "d").replace(other, "o").replace("d", ".")
    if "o" in plain or not _PLAIN.fullmatch(plain):
        raise ValueError(NOT_SO_WRITTEN)
    return float(plain)


def _without_groups(written: str, decimal: str) -> float:
    other = "." if decimal == "," else ","
    return float(written.replace(other, "").replace(decimal, "."))
