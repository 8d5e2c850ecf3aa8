"""Which destinations there are: what CRM_DESTINATIONS says, and what holds without it."""

import re

from crm_pipelines.settings.crms import KINDS
from crm_pipelines.settings.values import listed

FIRST = "brevo"
"""Always a destination unless CRM_DESTINATIONS says otherwise: `make up` has a sandbox for it."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


def is_name(text: str) -> bool:
    """Whether a destination may be named so."""
    return _NAME.fullmatch(text) is not None


def destination_names(value: str) -> str:
    """The list in its usual form. Raises ValueError."""
    return ",".join(name if name == kind else f"{name}:{kind}" for name, kind in kinds_of(value).items())


def kinds_of(value: str) -> dict[str, str]:
    """The kind of each destination by its name, in the order given. Raises ValueError."""
    found: dict[str, str] = {}
    for one in listed(value.casefold()):
        name, _, kind = (part.strip() for part in one.partition(":"))
        kind = kind or name
        if not is_name(name):
            raise ValueError(
                "expected names of small letters, digits and _ (a letter first, 30 at most), such as brevo, or "
                "brevo_eu:brevo"
            )
        if kind not in KINDS:
            raise ValueError(f"expected NAME or NAME:KIND; known kinds are {', '.join(KINDS)}")
        if name in KINDS and name != kind:
            raise ValueError("a destination that is named like a CRM is an account of that CRM")
        if name in found:
            raise ValueError("a destination is named twice")
        found[name] = kind
    if not found:
        raise ValueError("expected at least one destination, such as brevo")
    return found
