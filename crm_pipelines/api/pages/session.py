"""Sign-in by token, and the protection of forms against other sites.

The cookie holds the value of a session that opens these pages alone, since browsers send a cookie to every port of a
name: to any other program of this machine, where the name is 127.0.0.1. It is out of reach of scripts, ends with the
browser's session, after some hours, by signing out, and with its token. Each form carries a digest made from it, which
no other site can know.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Form, Request, Response

from crm_pipelines.access import api_writes
from crm_pipelines.access.sessions import SessionEnded, begin_session, end_session
from crm_pipelines.access.tokens import Bearer
from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.same_origin import has_foreign_origin, is_from_another_site

COOKIE = "crm_pipelines_session"
"""Its name where there is no TLS. With TLS browsers hold to the prefix: from this host alone, and for it alone."""

_COOKIE_BEHIND_TLS = f"__Host-{COOKIE}"
_FORMER_COOKIE = "crm_pipelines_token"  # versions up to 0.1.0 kept the token itself there


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in, and what their forms must carry."""

    identity: Bearer
    form_key: str
    request_id: str

    @property
    def may_write(self) -> bool:
        return "write" in self.identity.scopes

    def record(
        self, connection: sa.Connection, action: str, crm: str, contacts: int, contact_ids: Sequence[UUID] = ()
    ) -> None:
        """Write down in the audit log what they did, for which destination, and to how many."""
        api_writes.record(
            connection,
            token_id=self.identity.token_id,
            request_id=self.request_id,
            action=action,
            contacts=contacts,
            crms=[crm],
            contact_ids=contact_ids,
        )


class SignedOut(Exception):
    """Nobody is signed in, or no longer."""


def open_session(request: Request) -> Session:
    """The session of the cookie. Raises SignedOut, and ApiError for too many requests."""
    value = request.cookies.get(_cookie(request))
    if not value:
        raise SignedOut
    try:
        identity = request.app.state.authenticator.find_session(value)
    except SessionEnded:
        raise SignedOut from None
    return Session(identity=identity, form_key=_form_key(value), request_id=request.state.request_id)


def sign_in_with(request: Request, response: Response, token: str) -> None:
    """Begin a session, and end the one of this browser, if any. Raises ApiError for a token that is not accepted."""
    client = request.client.host if request.client else ""
    identity = request.app.state.authenticator.authenticate(token, client=client)
    sign_out_from(request, response)
    value = begin_session(request.app.state.engine, identity)
    response.set_cookie(_cookie(request), value, httponly=True, samesite="lax", secure=is_behind_tls(request))


def sign_out_from(request: Request, response: Response) -> None:
    """End the session of this browser, if any, here and there."""
    if value := request.cookies.get(_cookie(request)):
        end_session(request.app.state.engine, value)
    secure = is_behind_tls(request)
    for name in (_cookie(request), _FORMER_COOKIE):
        if name in request.cookies:
            response.delete_cookie(name, httponly=True, samesite="lax", secure=secure)


def _cookie(request: Request) -> str:
    return _COOKIE_BEHIND_TLS if is_behind_tls(request) else COOKIE


def is_behind_tls(request: Request) -> bool:
    """A proxy's word, or whoever says it in its place, can only make it stricter."""
    return request.url.scheme == "https" or "https" in request.headers.get("x-forwarded-proto", "").casefold()


def of_this_site(request: Request) -> None:
    """Raises ApiError for a form that another site has sent."""
    if has_foreign_origin(request.headers) or is_from_another_site(request.headers):
        raise _forged()


def reader(request: Request) -> Session:
    """A dependency: whoever is signed in."""
    session = open_session(request)
    if "read" not in session.identity.scopes:
        raise ApiError(403, "scope_missing", "This token does not allow reading.")
    return session


def sender(
    request: Request, session: Annotated[Session, Depends(reader)], form_key: Annotated[str, Form()] = ""
) -> Session:
    """A dependency: whoever has sent a form of ours."""
    of_this_site(request)
    if not hmac.compare_digest(form_key.encode(), session.form_key.encode()):
        raise _forged()
    return session


def writer(session: Annotated[Session, Depends(sender)]) -> Session:
    """A dependency: whoever has sent a form of ours and may change something."""
    if not session.may_write:
        raise ApiError(403, "scope_missing", "This token allows reading only: sign in with one that may write.")
    return session


Reader = Annotated[Session, Depends(reader)]
Sender = Annotated[Session, Depends(sender)]
Writer = Annotated[Session, Depends(writer)]


def _form_key(value: str) -> str:
    return hmac.new(value.encode(), b"crm-pipelines form", hashlib.sha256).hexdigest()


def _forged() -> ApiError:
    return ApiError(403, "form_refused", "This form did not come from this page. Go back, reload, and send it again.")
