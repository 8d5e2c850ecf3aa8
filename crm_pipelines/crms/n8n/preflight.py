"""Looks whether n8n would take contacts, without running a workflow."""

from collections.abc import Callable
from urllib.parse import urlsplit

from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.n8n.api import N8nWebhook
from crm_pipelines.crms.n8n.identity import identity_of
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.schema import Finding
from crm_pipelines.crms.transport import is_loopback
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings.values import origin_of

_TEST = "/webhook-test/"


def check(
    webhook: N8nWebhook, url: str, *, variable: str, turn: Turn, judge: Callable[[Identity | None], Finding] | None
) -> list[Finding]:
    """One finding per thing that was looked at; `variable` holds the address. One request."""
    outcome = webhook.look(turn)
    if outcome.result is not Result.SYNCED:
        return [
            *_address(url, variable),
            Finding(ok=False, subject="Webhook", detail=outcome.message or "", about="key"),
        ]
    return [
        *_address(url, variable),
        Finding(ok=True, subject="Webhook", detail=f"a workflow takes POST at {origin_of(url)}", about="key"),
        *([judge(identity_of(url))] if judge else []),
        Finding(
            ok=True,
            subject="Secret",
            detail="not tried: n8n tells whether it is right only to a request that runs the workflow, so the first "
            "contact will tell",
            blocking=False,
        ),
    ]


def _address(url: str, variable: str) -> list[Finding]:
    found = []
    if _TEST in urlsplit(url).path:
        detail = (
            "is a test address, which works for one request after somebody has pressed Execute workflow. "
            f"Publish the workflow and set {variable} to the production URL."
        )
        found.append(Finding(ok=False, subject="Address", detail=detail, about="setting"))
    if urlsplit(url).scheme == "http" and not is_loopback(url):
        detail = (
            "is plain http, so whoever is on the way reads the secret and the contacts. "
            f"Set {variable} to an https address, unless n8n is in a network of your own."
        )
        found.append(Finding(ok=False, subject="Encryption", detail=detail, blocking=False))
    return found
