"""Of credentials and settings: what changes with them, and tells nothing about them."""

import hashlib

from crm_pipelines.errors import SettingsError


def credentials_fingerprint(kind: str, key: str, base_url: str) -> str:
    """16 hex digits that change with the key and with where it is sent."""
    return _of(f"crm-pipelines {kind} key {key} at {base_url}")


def settings_fingerprint(kind: str, credentials: str, rest: str) -> str:
    """16 hex digits that change with all that the settings put into requests; `credentials` is their fingerprint."""
    return _of(f"crm-pipelines {kind} {credentials} {rest}")


def require_key(key: str, variable: str) -> str:
    """The key. Raises SettingsError, without repeating it, where it can be none."""
    if not (key.isascii() and key.isprintable() and key.strip()):
        raise SettingsError(f"{variable} holds characters that no key has: copy the key again.")
    return key


def _of(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:16]
