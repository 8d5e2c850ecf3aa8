"""Accounts at their sandboxes, as a storm troubles them and the checker judges them: one module for each kind."""

from collections.abc import Callable

from crm_pipelines_tests.ends.brevo import BrevoEnd
from crm_pipelines_tests.ends.end import End
from crm_pipelines_tests.ends.hubspot import HubspotEnd
from crm_pipelines_tests.ends.mautic import MauticEnd

ENDS: dict[str, Callable[[str], End]] = {
    "brevo": BrevoEnd.at,
    "hubspot": HubspotEnd.at,
    "mautic": MauticEnd.at,
}
"""By kind: a new account at the sandbox with this root URL."""

__all__ = ["ENDS", "BrevoEnd", "End", "HubspotEnd", "MauticEnd"]
