"""Which account is meant: n8n tells nothing of itself to a webhook's caller, so the address stands for it."""

import hashlib
from urllib.parse import urlsplit

from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.transport import is_loopback

SANDBOX_PATH = "/webhook/crm-pipelines-sandbox"
"""Where our stand-in has its webhook, on this machine."""


def identity_of(url: str) -> Identity:
    """The host, and a digest of the whole address, which is nobody's business. Pure."""
    parts = urlsplit(url)
    digest = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:12]
    return Identity(
        account=f"{parts.hostname} {digest}", sandbox=is_loopback(url) and parts.path.rstrip("/") == SANDBOX_PATH
    )
