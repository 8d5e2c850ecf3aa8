"""Dagster's web page, which has no login and may launch and stop anything, for its own pages alone.

A browser that can open it is open to whatever page it shows besides: Dagster runs a mutation that comes by GET, as an
image of a foreign page is fetched; one that comes as plain text, as a foreign form sends it; one under any host name,
so that a page whose name points here reads every answer; and web sockets of any origin. The guard refuses all of these.
"""

import logging
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_pipelines.api.same_origin import LOOPBACK_NAMES, has_foreign_origin, host_name, is_from_another_site, name_of
from crm_pipelines.orchestration.instance import dagster_instance

_log = logging.getLogger("crm_pipelines.api.dagster_page")

# As dagster-webserver has them: milliseconds, seconds, connections, milliseconds.
_STATEMENT_TIMEOUT, _POOL_RECYCLE, _POOL_OVERFLOW, _LIVE_DATA_POLL = 15_000, 3600, 20, 2000
_GRAPHQL = "/graphql"
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
# Beside the policy that Dagster sends: a browser keeps to both.
_NO_FOREIGN_FRAME = "frame-ancestors 'self'"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is refused: an HTTP status and a sentence."""

    status: int
    reason: str


class Guard:
    """Middleware around Dagster's page: lets in what its own pages, links to it, and programs send.

    `hosts` are the names, without ports, under which it is served; `origins` those of its pages that a proxy serves
    under another name than it passes on.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = {host.casefold() for host in hosts}
        self._origins = {origin.casefold() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self.objection(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)
            return
        _log.warning("%d %s", refusal.status, refusal.reason)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
            return
        await PlainTextResponse(refusal.reason, refusal.status)(scope, receive, _with_headers(send))

    def objection(self, scope: Scope) -> Refusal | None:
        """Why this request or web socket is refused; None: it is let in."""
        headers = Headers(scope=scope)
        if host_name(headers) not in self._hosts:
            return Refusal(
                status=421,
                reason="Dagster's page is not available under this name: set DAGSTER_UI_URL to its address.",
            )
        if has_foreign_origin(headers, own=self._origins):
            return Refusal(status=403, reason="A page of another origin has no access to Dagster.")
        if is_from_another_site(headers) and not _is_plain_navigation(scope, headers):
            return Refusal(status=403, reason="A page of another site has no access to Dagster.")
        return None if scope["type"] == "websocket" else _objection_to_method(scope, headers)


def _is_plain_navigation(scope: Scope, headers: Headers) -> bool:
    """Whether somebody follows a link to here, in a tab: what a page does that embeds us or sends a form is none."""
    return (
        scope.get("method") == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _objection_to_method(scope: Scope, headers: Headers) -> Refusal | None:
    match scope["method"]:
        case "GET" | "HEAD":
            # Dagster answers with its playground who wants HTML, and runs the query of everybody else. The pattern of
            # its route lets a line feed follow the path.
            if scope["path"].startswith(_GRAPHQL) and "text/html" not in headers.get("accept", ""):
                return Refusal(status=405, reason="GraphQL is accepted by POST only.")
        case "POST":
            # Dagster is content with any type that has these words in it; no page may send exactly this one unasked.
            types = [value.partition(";")[0].strip().casefold() for value in headers.getlist("content-type")]
            if types != ["application/json"]:
                return Refusal(status=415, reason="The body must be JSON: send Content-Type: application/json.")
        case _:
            return Refusal(status=405, reason="Dagster's page does not answer this method.")
    return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.append("Content-Security-Policy", _NO_FOREIGN_FRAME)
        await send(message)

    return sending


def serve(*, host: str, port: int, workspace: Path, allowed_hosts: Iterable[str] = (), pages_url: str | None) -> None:
    """Serve it until SIGTERM or Ctrl-C, with the code locations of the file `workspace`.

    It is served under the names of this machine's loopback, `allowed_hosts`, and that of `pages_url`, where people open
    it. Raises DagsterHomeUnusable or DagsterStorageUnreachable.
    """
    hosts, origins = names_and_origins(allowed_hosts, pages_url)
    with dagster_instance() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT, _POOL_RECYCLE, _POOL_OVERFLOW)
        target = WorkspaceFileTarget([str(workspace)])
        with WorkspaceProcessContext(instance, version=__version__, workspace_load_target=target) as context:
            app = create_app_from_workspace_process_context(context, live_data_poll_rate=_LIVE_DATA_POLL)
            # uvicorn hands the signal on when it has stopped: SIGTERM is then an orderly end, as Ctrl-C is.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            uvicorn.run(
                Guard(app, hosts=hosts, origins=origins),
                host=host,
                port=port,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )


def names_and_origins(allowed_hosts: Iterable[str], pages_url: str | None) -> tuple[set[str], set[str]]:
    """What a Guard is to let in."""
    scheme, _, rest = (pages_url or "").casefold().partition("://")
    place = rest.partition("/")[0]
    name = name_of(place)
    of_pages = {name} if name else set()
    return {*LOOPBACK_NAMES, *allowed_hosts, *of_pages}, {f"{scheme}://{place}"} if name else set()
