"""The address in a cell, as people and programs write it. Pure.

Whatever is certain is taken: the edges that nobody sees, `mailto:`, brackets and quotation marks around, a name beside
the address in brackets, a comma, semicolon or full stop behind it. Of several addresses none is.
"""

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

LONGEST_ADDRESS = 254
"""Characters of an e-mail address (RFC 5321, erratum 1690)."""

# Blanks of every kind, and what nobody sees at an edge: what a delivery strips, too.
_EDGE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2800\u3164\ufeff" + "".join(
    filter(str.isspace, map(chr, range(0x3001)))
)
_PAIRS = {"<": ">", '"': '"', "'": "'", "(": ")", "[": "]"}
_MAILTO = re.compile(r"mailto:([^?]*)(\?.*)?", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"[^<>@]*<([^<>]*)>", re.DOTALL)
# What every check of an address accepts before the @: nearly all of them, and looking closer takes its time.
_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_LONGEST_PLAIN = 64
_SEVERAL = re.compile(r"@[^@]*[\s;,/|][^@]*@", re.DOTALL)


class NoAddress(ValueError):
    """The text is no address; the message is the reason, without the text."""


def usable_address(text: str) -> str:
    """The address as it stands, without the edges that nobody sees. Raises NoAddress."""
    text = text.strip(_EDGE)
    if not text:
        raise NoAddress("it is blank")
    if len(text) > LONGEST_ADDRESS:
        raise NoAddress(f"the address is longer than {LONGEST_ADDRESS} characters")
    local, at, domain = text.rpartition("@")
    if problem := (_domain_problem(domain) if at and domain.isascii() else None):
        raise NoAddress(problem)
    # The domain was looked at already; most addresses of a file share a few.
    known = at and domain.isascii()
    if known and len(local) <= _LONGEST_PLAIN and _PLAIN.fullmatch(local):
        return text
    try:
        validate_email(f"{local}@example.com" if known else text, check_deliverability=False)
    except EmailNotValidError as error:
        raise NoAddress(str(error)) from None
    return text


@lru_cache(maxsize=10_000)
def _domain_problem(domain: str) -> str | None:
    try:
        validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return None


def address_within(text: str) -> tuple[str, str | None]:
    """The one address in a text, and a remark on what beside it was not taken. Raises NoAddress."""
    try:
        return usable_address(text), None
    except NoAddress as reason:
        bare = _bare(text)
        if _SEVERAL.search(bare):
            raise NoAddress("it holds several addresses: leave one of them") from None
        if bare == text:
            raise reason from None
    return usable_address(bare), "what stands beside the address was left out"


def _bare(text: str) -> str:
    """The text without what people and programs put around an address."""
    before = None
    while text != before:
        before = text
        text = text.strip(_EDGE).rstrip(",;.").strip(_EDGE)
        if match := _MAILTO.fullmatch(text) or _NAMED.fullmatch(text):
            text = match[1]
        if len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1]
    return text
