"""The way in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import (
    Sender,
    SignedOut,
    is_behind_tls,
    of_this_site,
    open_session,
    sign_in_with,
    sign_out_from,
)
from crm_pipelines.api.same_origin import LOOPBACK_NAMES, host_name
from crm_pipelines.settings import STATUS_PAGE_NAME, Settings

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/", unsent: bool = False) -> Response:  # noqa: A002 - name in the URL
    """Asks for a token. `unsent`: a form came in after the session had ended."""
    try:
        open_session(request)
    except SignedOut:
        response = _door(request, next, unsent=unsent)
        sign_out_from(request, response)
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
    if not token.strip():
        return _door(request, next, problem="Paste a token.")
    response = see(_inside(next))
    try:
        sign_in_with(request, response, token.strip())
    except ApiError as error:
        return _door(request, next, problem=error.message)
    return response


@router.post("/sign-out")
def sign_out(request: Request, _session: Sender) -> Response:
    """Ends the session."""
    response = see("/sign-in")
    sign_out_from(request, response)
    return response


def _door(request: Request, next_: str, *, problem: str | None = None, unsent: bool = False) -> Response:
    return page(
        "sign-in.html",
        request,
        next=_inside(next_),
        problem=problem,
        unsent=unsent,
        own_url=_own_url(request),
        status=401 if problem else 200,
    )


def _own_url(request: Request) -> str | None:
    """Where the page has a name of its own, for who has opened it under one that other programs share."""
    settings: Settings = request.app.state.settings
    name = host_name(request.headers)
    if name not in LOOPBACK_NAMES or STATUS_PAGE_NAME not in settings.api.hosts or is_behind_tls(request):
        return None
    return f"http://{STATUS_PAGE_NAME}{request.headers['host'].casefold().removeprefix(name)}"


def _inside(path: str) -> str:
    """A path of this site; anything else leads to the first page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"
