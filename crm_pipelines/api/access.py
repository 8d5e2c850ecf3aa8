"""Who is asking, and whether they may: bearer tokens with scopes, and how often somebody may ask."""

from collections.abc import Callable
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from crm_pipelines.api.errors import ApiError
from crm_pipelines.contacts import tokens
from crm_pipelines.contacts.tokens import Identity, TokenRefused

FAILURES_PER_MINUTE = 10
"""Wrong tokens that one address may try."""

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token made by `crm-pipelines tokens create`."
)


class Authenticator:
    """Tells whose token it is, and keeps guesses and floods away.

    An address that was wrong too often in a minute is no longer listened to, but for tokens that were right before:
    somebody behind the same proxy must not be able to lock a working application out.
    """

    def __init__(
        self, engine: sa.Engine, *, requests_per_minute: int, failures_per_minute: int = FAILURES_PER_MINUTE
    ) -> None:
        self._engine = engine
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests_per_minute)
        self._failures = RateLimitItemPerMinute(failures_per_minute)
        self._right_before: set[int] = set()

    def authenticate(self, token: str | None, *, client: str) -> Identity:
        """Whose token it is; `client` is the address that the request came from.

        Raises ApiError: 401 for a token that is missing, unknown or revoked, 429 for too many requests or failures.
        """
        if token is None:
            raise _unauthorized("Send a token: `Authorization: Bearer …`. `crm-pipelines tokens create` makes one.")
        known = hash(token) in self._right_before
        if not known and not self._limiter.test(self._failures, "failures", client):
            raise _too_many(self._failures, "Too many wrong tokens came from this address.")
        try:
            identity = tokens.authenticate(self._engine, token)
        except TokenRefused:
            self._right_before.discard(hash(token))
            self._limiter.hit(self._failures, "failures", client)
            raise _unauthorized("The token is unknown or was revoked.") from None
        self._right_before.add(hash(token))
        if not self._limiter.hit(self._requests, "requests", identity.token_id):
            raise _too_many(self._requests, "Too many requests were made with this token.")
        return identity


def _too_many(limit: RateLimitItem, message: str) -> ApiError:
    return ApiError(
        429,
        "too_many_requests",
        f"{message} At most {limit.amount} a minute are allowed.",
        headers={"Retry-After": str(limit.get_expiry())},
    )


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


def requires(scope: str) -> Callable[..., Identity]:
    """A dependency: the identity of a request whose token allows `scope`; else 401, 403 or 429."""

    def identity(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Identity:
        authenticator: Authenticator = request.app.state.authenticator
        client = request.client.host if request.client else ""
        found = authenticator.authenticate(credentials.credentials if credentials else None, client=client)
        if scope not in found.scopes:
            raise ApiError(403, "scope_missing", f"This token does not allow that: it lacks the scope {scope!r}.")
        return found

    return identity


Reader = Annotated[Identity, Depends(requires("read"))]
Writer = Annotated[Identity, Depends(requires("write"))]
