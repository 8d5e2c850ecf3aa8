"""Sign-in by token, and the protection of forms against other sites.

The cookie holds the token itself: it is out of reach of scripts, ends with the browser's session, and a token that is
revoked is refused at the next request. Each form carries a digest made from the token, which no other site can know.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Form, Request, Response

from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.same_origin import has_foreign_origin, is_from_another_site
from crm_pipelines.contacts.tokens import Identity

COOKIE = "crm_pipelines_token"


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in, and what their forms must carry."""

    identity: Identity
    form_key: str

    @property
    def may_write(self) -> bool:
        return "write" in self.identity.scopes


class SignedOut(Exception):
    """Nobody is signed in, or the token is no longer accepted."""


def open_session(request: Request, token: str | None) -> Session:
    """Raises SignedOut, and ApiError for too many requests or failures."""
    if not token:
        raise SignedOut
    client = request.client.host if request.client else ""
    try:
        identity = request.app.state.authenticator.authenticate(token, client=client)
    except ApiError as error:
        if error.status == 401:
            raise SignedOut from None
        raise
    return Session(identity=identity, form_key=_form_key(token))


def remember(request: Request, response: Response, token: str) -> None:
    """Sign in. The cookie is for HTTPS alone where the page is; a proxy's word can only make that stricter."""
    forwarded = request.headers.get("x-forwarded-proto", "").casefold()
    secure = request.url.scheme == "https" or "https" in forwarded
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=secure)


def forget(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def of_this_site(request: Request) -> None:
    """Raises ApiError for a form that another site has sent."""
    if has_foreign_origin(request.headers) or is_from_another_site(request.headers):
        raise _forged()


def reader(request: Request) -> Session:
    """A dependency: whoever is signed in."""
    session = open_session(request, request.cookies.get(COOKIE))
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


def _form_key(token: str) -> str:
    return hmac.new(token.encode(), b"crm-pipelines form", hashlib.sha256).hexdigest()


def _forged() -> ApiError:
    return ApiError(403, "form_refused", "This form was not sent from this page. Go back, reload, and send it again.")
