"""The way in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import COOKIE, Sender, SignedOut, forget, of_this_site, open_session, remember

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name in the URL
    """Asks for a token."""
    try:
        open_session(request, request.cookies.get(COOKIE))
    except SignedOut:
        response = page("sign-in.html", request, next=_inside(next), problem=None)
        # A token that is refused, sent again with every request, would use up the failures that this address may make.
        forget(response)
        return response
    return see(_inside(next))


@router.post("/sign-in")
def sign_in(
    request: Request,
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the name in the form
) -> Response:
    """Takes a token from a form of this site alone: nobody is to be signed in as somebody else unawares."""
    of_this_site(request)
    try:
        open_session(request, token.strip())
    except SignedOut:
        problem = "This token is unknown or was revoked." if token.strip() else "Paste a token."
    except ApiError as error:
        problem = error.message
    else:
        response = see(_inside(next))
        remember(request, response, token.strip())
        return response
    return page("sign-in.html", request, next=_inside(next), problem=problem, status=401)


@router.post("/sign-out")
def sign_out(_session: Sender) -> Response:
    """Forgets the token."""
    response = see("/sign-in")
    forget(response)
    return response


def _inside(path: str) -> str:
    """A path of this site; anything else leads to the first page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"
