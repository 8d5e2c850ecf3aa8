"""Phone numbers as people, spreadsheets and programs write them: the very number that is meant, or none. Pure.

A wrong number is somebody else's, so whatever can be read in two ways is left out, with the kind of doubt.

| written | read |
| --- | --- |
| `+49 171…`, `0049 171…`, `tel:+49…`, `="+49…"`, `+49 (0) 171…` | as that number, whatever the region |
| `0171…`, `(202) 555-0143` | as people of the region write it; without a region left out |
| `171…`, where the region writes a 0 first | as if the 0 was there, unless a plus before it makes a number, too |
| `4917…` | as one of the region, where it has no national number so long; without a region left out |
| `+4930123456.0` | without the `.0` that a program made of it; `0123.5`, `4.93E+10`, `-49…` are left out |
| an extension, letters, two numbers | left out: E.164 has no extension, and the number without it is another one |

Whether a number exists is for libphonenumber to say. Nothing but digits and the plus are given to it: by itself it
reads `12.0` as 120, letters as the digits of a telephone's keys, and a second number as the end of the first.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

_FEWEST_DIGITS = 5
_BEFORE_A_SLASH = 6
_BEFORE_A_SLASH_ABROAD = 9
_LONGEST_EXACT_FLOAT = 15

_QUOTES = "\"'`\u2018\u2019 "
_LABEL = re.compile(r"(?:tel|telefon|phone|mobile?|cell|callto)\b\s*[.:]*\s*", re.IGNORECASE)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"))
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_EXPONENT = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+")
_DECIMAL = re.compile(r"(\+?\d+)\.(\d+)")
_LONE_DIGIT = re.compile(r"\d\.\d$", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
_ZEROS_OF_A_FLOAT = frozenset({"0", "00"})
_EXTENSION = re.compile(
    r"\d[\s.,;(-]*(?:ext|extn|extension|x|dw|durchwahl|app|apparat|poste|int|interno|anexo|ramal|#)[\s.:=]*\d+\W*$",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"[,;|&\n\r\t]|\b(?:or|and|oder|und|ou|et|o|y|e)\b", re.IGNORECASE)
_PLAIN = re.compile(r"[\d\s+()\[\]./-]+", re.ASCII)
_OPTIONAL_ZERO = re.compile(r"[(\[]\s*0\s*[)\]]")
_NO_DIGIT = re.compile(r"\D", re.ASCII)
# As is_valid_number looks through them.
_KINDS = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail", "fixed_line",
    "mobile",
)  # fmt: skip
_NONE = re.compile("(?!)")
_REGIONS = {str(code): regions for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()}

NO_NUMBER = "not a phone number"
NO_REGION = "not a phone number with a country code: write it with +49 or the like, or set CRM_PHONE_REGION"
NOT_THERE = "not a phone number that exists in its country"


class Doubt(ValueError):
    """It may be a number, and it is not certain which."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not a phone number for certain: {why}")


def e164(value: str | float, region: str | None) -> str:
    """`value`, not blank, in E.164 (`+12025550143`); `region` is the country of numbers without a country code.

    Raises ValueError, whose text names the fault or the kind of doubt and never the number.
    """
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= 10**_LONGEST_EXACT_FLOAT:
            raise Doubt("it is a number with a fraction, or of too many digits")
        value = f"{value:.1f}"
    if _E164.fullmatch(value):
        if (found := _existing(value, None)) is None:
            raise ValueError(NOT_THERE)
        return found
    written, cut = _without_fraction(_unwrapped(value))
    digits = _NO_DIGIT.sub("", written)
    if not digits or (len(digits) < _FEWEST_DIGITS and _PLAIN.fullmatch(written)):
        raise ValueError(NO_NUMBER)
    if written.startswith("-"):
        raise Doubt("it is a negative number")
    _check_characters(written)
    abroad = written.lstrip("([ ").startswith("+")
    if written.count("+") > abroad:
        raise Doubt("it may be more than one number")
    _check_slash(written, abroad=abroad or digits.startswith("00"))
    if abroad or digits.startswith("00"):
        return _international(written, region if not abroad else None, abroad=abroad)
    if region is None:
        raise ValueError(NO_REGION)
    return _national(digits, region, cut=cut)


def _unwrapped(text: str) -> str:
    """Without what spreadsheets, links and people put around a number, in ASCII where it is digits and dashes."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)
        text = "".join(
            str(unicodedata.decimal(one)) if one.isdecimal() else " " if one == "\u00a0" else one
            for one in text
            if unicodedata.category(one) != "Cf"
        )
    text = text.strip(_QUOTES).removeprefix("=").strip(_QUOTES)
    match = _LABEL.match(text)
    return text[match.end() :] if match else text


def _without_fraction(written: str) -> tuple[str, bool]:
    """A number that a program took for a float has `.0` at its end. And whether it was taken for a number at all."""
    if _EXPONENT.fullmatch(written):
        raise Doubt("it was made a number with an exponent, which may have lost digits")
    match = _DECIMAL.fullmatch(written)
    if match is None and written.count(".") == 1 and _LONE_DIGIT.search(written):
        raise Doubt("it was made a number with a fraction")
    if match is None:
        return written, _THOUSANDS.fullmatch(written) is not None
    whole, fraction = match.groups()
    if fraction in _ZEROS_OF_A_FLOAT:
        return whole, True
    if len(fraction) <= 2 or not fraction.strip("0") or (len(fraction) <= 4 and len(whole) > _BEFORE_A_SLASH):
        raise Doubt("it was made a number with a fraction")
    return written, False


def _check_characters(written: str) -> None:
    if _PLAIN.fullmatch(written) and "\n" not in written and "\r" not in written and "\t" not in written:
        return
    if _EXTENSION.search(written):
        raise Doubt("it has an extension, which cannot be sent")
    if _SEVERAL.search(written):
        raise Doubt("it may be more than one number")
    raise Doubt("it holds letters or other signs")


def _check_slash(written: str, *, abroad: bool) -> None:
    """`030/1234567` is one number, with a slash behind the area code; `1234567 / 7654321` are two."""
    before, slash, _ = written.rpartition("/")
    most = _BEFORE_A_SLASH_ABROAD if abroad else _BEFORE_A_SLASH
    if slash and len(_NO_DIGIT.sub("", before)) > most:
        raise Doubt("it may be more than one number")


def _international(written: str, region: str | None, *, abroad: bool) -> str:
    without_zero = _OPTIONAL_ZERO.sub("", written)
    texts = [written] if without_zero == written else [written, without_zero]
    readings = [_existing(f"+{_NO_DIGIT.sub('', text)[0 if abroad else 2 :]}", None) for text in texts]
    if region is not None:  # some countries dial more than 00 to get abroad, or have numbers of their own that begin so
        readings.append(_existing(_NO_DIGIT.sub("", written), region))
    found = {reading for reading in readings if reading}
    if not found:
        raise ValueError(NOT_THERE)
    if len(found) > 1:
        raise Doubt("it can be read in two ways")
    return found.pop()


def _national(digits: str, region: str, *, cut: bool) -> str:
    if (certain := _behind_the_zero(digits, region)) is not None:
        return certain
    number = _parsed(digits, region)
    if number is None:
        raise ValueError(NOT_THERE)
    found = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if digits.startswith("0"):
        return found
    # Somebody may have taken off a plus, or a zero: Excel does, and so does whoever makes a number of it.
    usual = _usual(region)
    own = digits.startswith(str(number.country_code))
    if own or cut or len(digits) > usual.length or _writes_prefix(number):
        other = _existing(f"+{digits}", None)
        if other not in {None, found}:
            if other and own and len(digits) > usual.length:
                return other
            raise Doubt("it is one with a plus before it, and another one without")
    lacks_zero = usual.may_begin_with_zero and (cut or len(digits) < usual.length)
    if lacks_zero and _existing(f"0{digits}", region) not in {None, found}:
        raise Doubt("it is one with a zero before it, and another one without")
    return found


def _existing(text: str, region: str | None) -> str | None:
    if region is None and _certainly_exists(text):
        return text
    number = _parsed(text, region)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if number else None


def _certainly_exists(text: str) -> bool:
    """Whether libphonenumber is known to find that number in these digits behind a plus, without being asked.

    False where it would have to be asked: for a number of a smaller country among those that share a code, say.
    """
    for length in (1, 2, 3):
        plan = _plan(text[1 : 1 + length])
        if plan is not None:
            return plan.fullmatch(text, 1 + length) is not None
    return False


def _behind_the_zero(digits: str, region: str) -> str | None:
    """The number that libphonenumber is known to find behind a 0 that is not written abroad, without being asked."""
    code = _code_without_zero(region) if digits.startswith("0") else None
    number = f"+{code}{digits[1:]}"
    return number if code is not None and _certainly_exists(number) else None


@lru_cache(maxsize=300)
def _code_without_zero(region: str) -> str | None:
    """The country code that stands abroad in the place of a 0; None where a 0 may mean anything else.

    By the steps of libphonenumber: what dials abroad goes first, then what is not written there. It looks through the
    kinds of numbers of the first of the regions that share a code.
    """
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None or _REGIONS[str(metadata.country_code)][0] != region:
        return None
    prefix = metadata.national_prefix_for_parsing or ""
    plain = prefix.partition("|")[0] == "0" and "(" not in prefix and not metadata.national_prefix_transform_rule
    return str(metadata.country_code) if plain and metadata.international_prefix == "00" else None


@lru_cache(maxsize=1000)
def _plan(country_code: str) -> re.Pattern[str] | None:
    """All numbers behind the code that libphonenumber takes as they are; None if there is no such code.

    By its own steps: what may begin with a prefix that is not written abroad, it takes apart first. Then it takes the
    first of the regions that share the code of which some kind of number has that pattern and that length; a region
    that it knows by leading digits is not looked at here.
    """
    regions = _REGIONS.get(country_code)
    if regions is None:
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(country_code), regions[0])
    if metadata is None or (len(regions) > 1 and metadata.leading_digits is not None):
        return _NONE
    general = metadata.general_desc
    if general is None:
        return _NONE
    kinds = [_pattern(kind) for name in _KINDS if (kind := getattr(metadata, name)) is not None]
    prefix = metadata.national_prefix_for_parsing
    refused = f"(?!0|{prefix})" if prefix else "(?!0)"
    return re.compile(f"{refused}(?={_pattern(general)}\\Z)(?:{'|'.join(kinds)})", re.ASCII)


def _pattern(kind: phonenumbers.PhoneNumberDesc) -> str:
    """Of a kind of number, with its lengths."""
    pattern = kind.national_number_pattern or "(?!)"
    lengths = "|".join(rf"\d{{{length}}}" for length in kind.possible_length)
    return rf"(?:(?=(?:{lengths})\Z)(?:{pattern}))" if lengths else f"(?:{pattern})"


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _writes_prefix(number: PhoneNumber) -> bool:
    """Whether people of its country write something before it, as a 0, which is not written abroad."""
    written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    return _NO_DIGIT.sub("", written) != phonenumbers.national_significant_number(number)


class _Usual(NamedTuple):
    """Of a region's numbers: how long they are, and whether some begin with a 0 that is written abroad, too."""

    length: int
    may_begin_with_zero: bool


@lru_cache(maxsize=300)
def _usual(region: str) -> _Usual:
    kinds = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    examples = [one for kind in kinds if (one := phonenumbers.example_number_for_type(region, kind))]
    return _Usual(
        length=max((len(phonenumbers.national_significant_number(one)) for one in examples), default=0),
        may_begin_with_zero=any(one.italian_leading_zero for one in examples),
    )
