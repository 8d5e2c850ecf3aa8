"""What the headers of address books, CRMs and newsletters mean, in several languages. Pure.

A header is looked up by its key: small letters without accents, blanks, hyphens, dots and other marks.
"""

import re
import tomllib
import unicodedata
from pathlib import Path

from crm_pipelines.database.view import CRMS

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_RANKS = {
    key: (field, rank)
    for field, groups in _DATA["fields"].items()
    for rank, group in enumerate(groups)
    for key in group.split()
}
_OPTED_OUT = {kind: frozenset(words.split()) for kind, words in _DATA["opted_out"].items()}

WHOLE_OR_PART = "whole_or_part"
"""No field yet: which one it is depends on the other columns."""

SEVERAL = ("email", "phone_number")
"""Fields of which people have several; where the first is blank, the next one stands in."""

NAMEABLE = tuple(field for field in _DATA["fields"] if field not in {WHOLE_OR_PART, "custom_fields"})
"""Fields that a person may name for a column."""

_NUMBERED = re.compile(r"(\D+)(\d{1,2})(\D*)", re.ASCII)
_ASIDES = re.compile(
    r"(?<=.)(required|optional|mandatory|pflichtfeld|erforderlich|obligatoire|requis|facultatif|obligatorio|opcional|"
    r"obbligatorio|facoltativo|verplicht)$"
)
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i"})

# Columns of the view `contacts` that are kept by the database, and those of a file of rejects and of the API.
_CRMS = "|".join(CRMS)
_OURS = re.compile(
    r"id|createdat|updatedat|retrycount|nextretryat|lastretryat|lastfailedcrm|rejectedline|rejectedreason"
    rf"|({_CRMS})(syncstatus|processingstatus|processingerror|contactid|id)|syncstatus|processingstatus"
    r"|crms(\d*(crm|syncstatus|processingstatus|processingerror|remoteid))?"
)
# Words that others use too: bookkeeping only beside one of these.
_BESIDE = {
    "crm": ("syncstatus", "processingstatus"),
    "error": ("syncstatus", "processingstatus"),
    "revision": ("updatedat",),
    "contactid": ("extid", "addedtime"),
}
# What Brevo, HubSpot and Mailchimp keep for themselves.
_THEIRS = frozenset(
    ("recordid", "extid", "addedtime", "modifiedtime", "memberrating", "leid", "euid", "gmtoff", "dstoff")
)


def key_of(header: str) -> str:
    """What of a header tells its meaning: "E-Mail*", "e_mail" and "EMAIL (required)" are all "email"."""
    plain = unicodedata.normalize("NFKD", header.casefold().translate(_LETTERS))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _ASIDES.sub("", re.sub(r"[\W_]+", "", letters))


def field_of(key: str) -> tuple[str, int] | None:
    """The field, and a number: of several columns for one field the one with the lowest is taken."""
    numbered = _NUMBERED.fullmatch(key)
    for spelt in (key, key.replace("ae", "a").replace("oe", "o").replace("ue", "u")):
        if spelt in _RANKS:
            return _RANKS[spelt]
    if not numbered:
        return None
    number = int(numbered[2])
    field, rank = field_of(numbered[1] + numbered[3]) or ("", 0)
    return (field, rank if number <= 1 else rank + 10 * number) if field in SEVERAL else None


def known_keys() -> dict[str, str]:
    """The field of each key, where it is one by itself or beside others."""
    return {key: field for key, (field, _) in _RANKS.items()}


def is_bookkeeping(key: str, keys: frozenset[str]) -> bool:
    """Whether we, or the program that the file is from, keep this column; `keys` are those of the whole header."""
    return bool(_OURS.fullmatch(key)) or key in _THEIRS or any(beside in keys for beside in _BESIDE.get(key, ()))


def tells_of_opting_out(key: str) -> bool:
    """Whether a column says who does not want to be written to."""
    return is_about_opting_out_alone(key) or key in _OPTED_OUT["if_out"]


def is_about_opting_out_alone(key: str) -> bool:
    """Not a status, which may be about something else."""
    return key in _OPTED_OUT["unless_no"] or key in _OPTED_OUT["if_no"]


def has_opted_out(key: str, value: str) -> bool:
    """Whether this value of such a column, which is not blank, says so."""
    word = key_of(value)
    if key in _OPTED_OUT["unless_no"]:
        return word not in _OPTED_OUT["no"]
    return word in _OPTED_OUT["out"] or (key in _OPTED_OUT["if_no"] and word in _OPTED_OUT["no"])
