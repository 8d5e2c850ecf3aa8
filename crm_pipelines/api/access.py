"""Who is asking, and whether they may: bearer tokens with scopes, and how often somebody may ask."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from crm_pipelines.access import sessions, tokens
from crm_pipelines.access.tokens import Bearer, TokenRefused
from crm_pipelines.api.errors import ApiError

FAILURES_PER_MINUTE = 10
"""Wrong tokens that one address may try."""

LOOKS_PER_MINUTE = 30
"""Looks at what one CRM holds, by everybody together: each takes turns at the gate that deliveries would have."""

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token made by `crm-pipelines tokens create`."
)


class Authenticator:
    """Tells whose token or session it is, and keeps guesses and floods away.

    Only failures are throttled, by the address that they come from: whoever is behind the same proxy, or on the same
    machine, must not be able to lock a working application out. That takes a look at the table for each guess; as a
    guess at 256 random bits it is hopeless however often it is made.
    """

    def __init__(
        self, engine: sa.Engine, *, requests_per_minute: int, failures_per_minute: int = FAILURES_PER_MINUTE
    ) -> None:
        self._engine = engine
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute)
        self._failures = RateLimitItemPerMinute(failures_per_minute)
        self._looks = RateLimitItemPerMinute(LOOKS_PER_MINUTE)

    def authenticate(self, token: str | None, *, client: str) -> Bearer:
        """Whose token it is; `client` is the address that the request came from.

        Raises ApiError: 401 for a token that is missing, unknown, revoked or expired, 429 for too many requests or
        failures.
        """
        if token is None:
            raise unauthorized("Send a token: `Authorization: Bearer …`. `crm-pipelines tokens create` makes one.")
        try:
            identity = tokens.authenticate(self._engine, token)
        except TokenRefused as error:
            self.count_failure(client)
            raise unauthorized(str(error)) from None
        return self._counted(identity)

    def find_session(self, value: str) -> Bearer:
        """Whose session of the status page it is. Raises SessionEnded, and ApiError for too many requests."""
        return self._counted(sessions.find_session(self._engine, value))

    def _counted(self, identity: Bearer) -> Bearer:
        self.count_request(identity.token_id)
        return identity

    def count_failure(self, client: str) -> None:
        """A wrong token or secret came from this address. Raises ApiError (429) after too many."""
        if not self._limiter.hit(self._failures, "failures", client):
            raise _too_many(self._failures, "Too many wrong tokens came from this address.") from None

    def count_request(self, who: str) -> None:
        """Raises ApiError (429) after too many of `who`, the id of a token or the name of a webhook."""
        if not self._limiter.hit(self._requests, "requests", who):
            raise _too_many(self._requests, "Too many requests were made with this token.")

    def allow_look(self, crm: str) -> None:
        """Raises ApiError when the CRM was looked at too often."""
        if not self._limiter.hit(self._looks, "looks", crm):
            raise _too_many(self._looks, "The CRM was asked too often: deliveries need its rate limit.")


def _too_many(limit: RateLimitItem, message: str) -> ApiError:
    return ApiError(
        429,
        "too_many_requests",
        f"{message} At most {limit.amount} a minute are allowed.",
        headers={"Retry-After": str(limit.get_expiry())},
    )


def unauthorized(message: str) -> ApiError:
    """The answer to a token or secret that is missing or wrong."""
    return ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


class AuthenticatedRoute(APIRoute):
    """Finds out who is asking before the body is read: what a stranger sends takes no memory and no parsing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def authenticate_and_handle(request: Request) -> Response:
            credentials = await _BEARER(request)
            authenticator: Authenticator = request.app.state.authenticator
            request.state.identity = await run_in_threadpool(
                authenticator.authenticate,
                credentials.credentials if credentials else None,
                client=request.client.host if request.client else "",
            )
            return await handle(request)

        return authenticate_and_handle


def requires(scope: str) -> Callable[..., Bearer]:
    """A dependency of an AuthenticatedRoute: who is asking, if their token allows `scope`; else 403."""

    # The second parameter puts the token into the OpenAPI document.
    def identity(request: Request, _: Annotated[object, Depends(_BEARER)]) -> Bearer:
        found: Bearer = request.state.identity
        if scope not in found.scopes:
            raise ApiError(403, "scope_missing", f"This token does not allow that: it lacks the scope {scope!r}.")
        return found

    return identity


Reader = Annotated[Bearer, Depends(requires("read"))]
Writer = Annotated[Bearer, Depends(requires("write"))]
