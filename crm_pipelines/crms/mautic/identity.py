"""Which account the credentials open: the instance itself, by its address.

Mautic tells no number or name of an instance, and whoever runs one has one. So the address stands for the account, once
an answer has shown that Mautic is there: what was delivered to another address is never taken for its own, and an
instance that moves is taken for another one, to which contacts are delivered anew, each found again by its address.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from crm_pipelines.crms.base import Identity

VERSION = "mautic-version"
"""The header of every answer of Mautic's API (FetchCommonApiController, view)."""
SANDBOX_VERSION = "sandbox"
"""What the version of our stand-in ends with."""


def identity_of(base_url: str, headers: Mapping[str, str]) -> Identity:
    """From the headers of an answer of the API. Pure."""
    url = urlsplit(base_url)
    host = (url.hostname or "").rstrip(".")
    port = "" if url.port in {None, 80, 443} else f":{url.port}"
    version = headers.get(VERSION, "")
    return Identity(account=f"{host}{port}{url.path.rstrip('/')}", sandbox=version.endswith(SANDBOX_VERSION))
