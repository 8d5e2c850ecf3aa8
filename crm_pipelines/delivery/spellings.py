"""The forms in which one address may be met: as somebody wrote it, and as a delivery sends it."""

from contextlib import suppress

from crm_pipelines.crms import normalize
from crm_pipelines.errors import UsageError


def spellings(address: str) -> frozenset[str]:
    """In lower case and without blanks around, the domain as written and as `xn--…`.

    Raises UsageError for what is no address; its text does not quote it.
    """
    written = address.strip().lower()
    if "@" not in written:
        raise UsageError("An e-mail address must have an @-sign.")
    forms = {written}
    with suppress(ValueError):  # an address that can never be sent may still be one that comes in
        forms.add(normalize.address(written) or written)
    return frozenset(forms)
