"""The forms in which one address may be met: as somebody wrote it, and as a delivery sends it."""

from crm_pipelines.crms import normalize
from crm_pipelines.errors import UsageError


def spellings(address: str) -> frozenset[str]:
    """In lower case and without blanks around, the domain as written, as `xn--…`, and in its own script.

    Raises UsageError for what is no address; its text does not quote it.
    """
    written = address.strip().lower()
    if "@" not in written:
        raise UsageError("An e-mail address must have an @-sign.")
    return forms_of(written)


def forms_of(address: str | None) -> frozenset[str]:
    """The same of whatever stands in a contact; nothing, if nothing does."""
    written = (address or "").strip().lower()
    if not written:
        return frozenset()
    try:
        sent = normalize.address(written) or written
        return frozenset((written, sent, normalize.in_its_script(sent)))
    except ValueError:  # an address that can never be sent may still be one that comes in
        return frozenset((written,))
