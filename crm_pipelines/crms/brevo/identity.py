"""Which account the credentials open: Brevo's `organization_id` (GET /account), never the API's address.

A proxy, another name of the same host or a loopback address tell nothing about whose contacts are behind them.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.base import OWNER, Identity
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.turns import Turn

SANDBOX_ORGANIZATION = "crm-pipelines-sandbox"
"""What our stand-in answers unless it is told to be another account."""


def identify(api: BrevoApi, turn: Turn) -> tuple[Outcome, Identity | None]:
    """One request of the 100 an hour. SYNCED and None: the answer does not tell.

    Without the rate headers: their limit is not that of the contacts.
    """
    outcome, answer = api.ask("GET", "/account", turn)
    told = identity_of(json_object(answer) or {}) if outcome.result is Result.SYNCED else None
    return replace(outcome, rate=RateHeaders()), told


def identity_of(account: Mapping[str, Any]) -> Identity | None:
    """From the body of GET /account. Without an organization a digest of the owner's address stands in for it. Pure."""
    organization, owner = account.get("organization_id"), account.get("email")
    if isinstance(organization, int) and not isinstance(organization, bool):
        organization = str(organization)
    if isinstance(organization, str) and re.fullmatch(r"[\w.:-]{1,100}", organization):
        return Identity(account=organization, sandbox=organization == SANDBOX_ORGANIZATION)
    if isinstance(owner, str) and owner.strip():
        digest = hashlib.sha256(b"crm-pipelines brevo owner " + owner.strip().lower().encode("utf-8", "replace"))
        return Identity(account=f"{OWNER}{digest.hexdigest()[:24]}")
    return None
