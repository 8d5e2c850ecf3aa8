"""What every request passes before and after the application: its host, size, request id and headers."""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_pipelines.api.errors import LARGEST_BODY, ApiError, as_api_error, envelope
from crm_pipelines.api.same_origin import host_name

_log = logging.getLogger("crm_pipelines.api")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Perimeter:
    """Middleware around everything. Headers that an endpoint sets itself stay."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], observe: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._observe = observe
        self._hosts = {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope["path"]) > 1:
            scope["path"] = scope["path"].rstrip("/") or "/"  # a redirect loses the body in many an HTTP client
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, begun, status = time.perf_counter(), False, 500

        async def sending(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-ID"] = request_id
            await send(message)

        try:
            self._check(Headers(scope=scope))
            await self._app(scope, bounded(receive, LARGEST_BODY), sending)
        except Exception as error:  # noqa: BLE001 - nothing may leave here but the envelope
            foreseen = as_api_error(error)
            if foreseen is None:
                _log.error("%s %s", request_id, _place_of(error))
            if begun:
                return
            unforeseen = ApiError(500, "internal_error", "Something went wrong in the server. Its log says where.")
            await envelope(foreseen or unforeseen, request_id)(scope, receive, sending)
        finally:
            # Not the path, and no query: either may hold what belongs into no log.
            operation = getattr(scope.get("endpoint"), "__name__", "-")
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            seconds = time.perf_counter() - started
            self._observe(method, operation, status, seconds)
            _log.info("%s %s %s %d %.0f ms", request_id, method, operation, status, 1000 * seconds)

    def _check(self, headers: Headers) -> None:
        if host_name(headers) not in self._hosts:
            # A page of somebody else's can have its own name point here, and read the answers.
            raise ApiError(421, "unknown_host", "The API is not available under this host name: see API_ALLOWED_HOSTS.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            raise _too_large(LARGEST_BODY)


def bounded(receive: Receive, largest: int) -> Receive:
    """Counts the bytes of a body as they come in: its Content-Length may be missing."""
    read = 0

    async def receiving() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > largest:
            raise _too_large(largest)
        return message

    return receiving


def _too_large(largest: int) -> HTTPException:
    # No other kind of error passes through the reading of the body.
    return HTTPException(413, f"The body is larger than {largest:,} bytes: send several requests.")


def _place_of(error: BaseException) -> str:
    """Where an error came from. Its text is left out: it may quote a contact."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/crm_pipelines/" in frame.filename]
    places = [f"{frame.filename.rpartition('/crm_pipelines/')[2]}:{frame.lineno}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {' < '.join(places)}"
