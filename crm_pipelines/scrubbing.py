"""Takes addresses, phone numbers and secrets out of words that are not ours: a CRM's message may quote a contact.

The one place for it: answers of CRMs pass `without_secrets` before they are kept, and `scrub` before they leave for a
log, Dagster or an alert.
"""

import re

REMOVED = "…"

_ADDRESS = re.compile(r"\S*(?:@|%40)\S*", re.IGNORECASE)
_DIGITS = re.compile(
    r"(?P<ipv4>\b(?:\d{1,3}\.){3}\d{1,3}\b)|(?<!\w)(?:%2B|\+)?\d[\d ()./-]{5,}\d(?!\w)|\d{9,}", re.IGNORECASE
)
_SHORT = 12  # characters; every key is longer
_KEY = re.compile(r"xkeysib-[\w-]+")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def scrub(text: str, hide: tuple[str, ...] = ()) -> str:
    """As `without_addresses`, and without what may be a phone number: for words of a CRM.

    A machine's IPv4 address stays: the remedy for one that the CRM does not know needs it.
    """
    text = without_addresses(text, hide)
    return _DIGITS.sub(lambda found: found["ipv4"] or REMOVED, text)


def without_addresses(text: str, hide: tuple[str, ...] = ()) -> str:
    """As `without_secrets`, and without e-mail addresses."""
    return _ADDRESS.sub(REMOVED, without_secrets(text, hide)).strip()


def without_secrets(text: str, hide: tuple[str, ...] = ()) -> str:
    """`text` on one line, without control characters, without any API key and without the texts in `hide`.

    They go wherever they stand; short words only where they stand by themselves.
    """
    for secret in sorted(filter(None, hide), key=len, reverse=True):
        text = re.sub(_pattern(secret), "***", text)
    return _KEY.sub("***", _UNPRINTABLE.sub(" ", text)).strip()


def _pattern(hidden: str) -> str:
    """A short word only where it stands by itself: an option "red" is no part of "required"."""
    text = re.escape(hidden)
    short_word = len(hidden) <= _SHORT and hidden.isascii() and hidden.isalpha()
    return rf"(?<![^\W_]){text}(?![^\W_])" if short_word else text
