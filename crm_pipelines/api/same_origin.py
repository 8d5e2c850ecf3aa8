"""Whether a request was made under a name of ours and by a page of ours: what browsers tell and no page can change."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Of this machine, as they stand in a Host."""

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d+)?", re.ASCII)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def host_name(headers: Headers) -> str | None:
    """The name in the header Host, without the port and in lower case; None if that is no host."""
    return name_of(", ".join(headers.getlist("host")))


def name_of(host: str) -> str | None:
    """The name in `name:port`, in lower case; None if that is no host."""
    match = _HOST.fullmatch(host)
    return match["name"].casefold() if match else None


def has_foreign_origin(headers: Headers, *, own: Collection[str] = ()) -> bool:
    """Whether another origin is named than that which the request is for, and none of `own` (lower case).

    The scheme does not count, since a proxy may have taken off the TLS. Programs that are no browsers name none.
    """
    host = headers.get("host", "").casefold()
    return any(
        not _is_origin_of(origin.casefold(), host) and origin.casefold() not in own
        for origin in headers.getlist("origin")
    )


def is_from_another_site(headers: Headers) -> bool:
    """Whether the browser says that another origin caused it. To browsers, all ports of a name are one site."""
    return headers.get("sec-fetch-site") in {"cross-site", "same-site"}


def _is_origin_of(origin: str, host: str) -> bool:
    scheme, _, place = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme, "")
    return place != "" and place.removesuffix(port) == host.removesuffix(port)
