"""Under which addresses a CRM may hold a contact. Pure."""

from contextlib import suppress

from crm_pipelines.crms import normalize
from crm_pipelines.crms.payloads import Payload, Remembered


def known_addresses(payload: Payload, remote_key: str | None, remembered: Remembered) -> frozenset[str]:
    """The addresses under which the CRM may hold the contact.

    The present one, the one it was delivered under, and those that requests without a known answer may have given it.
    """
    return frozenset({payload.key, normal_address(remote_key), *map(normal_address, remembered.maybe_keys)} - {""})


def normal_address(given: str | None) -> str:
    """The address in the form in which ours are sent; one of old that would not pass today only in lower case."""
    with suppress(ValueError):
        return normalize.address(given or "") or ""
    return (given or "").strip().lower()
