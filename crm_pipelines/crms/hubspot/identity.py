"""Which account the credentials open: HubSpot's `portalId` (account-info), never the API's address."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crm_pipelines.crms.base import Identity

SANDBOX_PORTAL = "0"
"""What our stand-in answers unless it is told to be another account; no account of HubSpot's has that number."""

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def identity_of(details: Mapping[str, Any]) -> Identity | None:
    """From the body of GET /account-info/…/details. Pure."""
    portal = details.get("portalId")
    if isinstance(portal, bool) or not isinstance(portal, int | str) or not re.fullmatch(r"\d{1,19}", str(portal)):
        return None
    return Identity(account=str(portal), sandbox=str(portal) == SANDBOX_PORTAL)


def offset_of(details: Mapping[str, Any]) -> timedelta | None:
    """Of the account's time zone, from the same body. Pure."""
    said = details.get("utcOffset")
    found = _OFFSET.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -offset if found[1] == "-" else offset
