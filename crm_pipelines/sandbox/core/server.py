"""Serves the sandbox over HTTP, on 127.0.0.1 unless told otherwise."""

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.sandbox.core.control import Control
from crm_pipelines.sandbox.core.gateway import Gateway
from crm_pipelines.sandbox.core.page import page, switches
from crm_pipelines.sandbox.core.persistence import StateFile
from crm_pipelines.sandbox.core.sandbox import Sandbox

HOST = "127.0.0.1"
SANDBOX_HEADER = ("X-Sandbox", "crm-pipelines")
"""On every answer, so that nobody mistakes the sandbox for the CRM."""

_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}


class PortTakenError(CrmPipelinesError):
    """The port of the sandbox is in use."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Who can reach the sandbox: the address that it listens at, and names that are not this machine's loopback."""

    host: str = HOST
    names: frozenset[str] = frozenset()


LOOPBACK = Reach()


def create_app(sandbox: Sandbox, state_file: Path | None = None, reach: Reach = LOOPBACK) -> Starlette:
    """The ASGI application. Raises CrmPipelinesError when the state file cannot be used."""
    kept = StateFile(state_file, sandbox) if state_file else None
    if kept:
        kept.load()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        saving = asyncio.create_task(kept.keep_saving()) if kept else None
        yield
        sandbox.close()
        if saving and kept:
            saving.cancel()
            kept.save()

    app = Starlette(
        routes=[
            Mount("/_sandbox", routes=Control(sandbox).routes()),
            *sandbox.routes(),
            Route("/", page(sandbox)),
            *switches(sandbox),
            Mount(sandbox.prefix, Gateway(sandbox)),
        ],
        middleware=[Middleware(_KnownNamesOnly, names=_LOOPBACK_NAMES | reach.names)],
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def serve(sandbox: Sandbox, *, port: int, state_file: Path | None = None, reach: Reach = LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT; prints the URL once it listens. Port 0: any free one.

    Raises PortTakenError, or CrmPipelinesError when the state file cannot be used.
    """
    app = create_app(sandbox, state_file, reach)
    listener = _listen(reach.host, port)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[SANDBOX_HEADER],
        timeout_keep_alive=60,
    )
    with _stopped_by_signals():
        click.echo(f"{sandbox.name} sandbox: http://{reach.host}:{listener.getsockname()[1]}")
        _Server(config).run(sockets=[listener])


class _Protocol(HttpToolsProtocol):
    """Hands its connection to the application, which may have to break it off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Stops at once: whoever still waits for an answer is cut off, as by a server that dies."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await super().shutdown(sockets)


class _KnownNamesOnly:
    """Refuses requests under a name that is not this machine's: a foreign page may point its own name here."""

    def __init__(self, app: ASGIApp, *, names: Set[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
            if host.rpartition(":")[0] not in self._names and host not in self._names:
                refusal = PlainTextResponse("The sandbox answers only under the names of this machine.", 403)
                return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise CrmPipelinesError(f"The sandbox cannot listen on {host}:{port}: {error.strerror}.") from None
        raise PortTakenError(
            f"Port {port} on {host} is in use by another program: stop that, or choose another port with --port."
        ) from None
    return listener


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT end the server in an orderly way, and are no failure of the program."""
    # uvicorn gives the signal back to the previous handler when it has stopped.
    on_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler) if on_main_thread else None
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        if on_main_thread:
            signal.signal(signal.SIGTERM, previous)
