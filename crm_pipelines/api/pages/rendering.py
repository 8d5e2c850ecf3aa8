"""Templates, and errors as pages."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from markupsafe import Markup

from crm_pipelines.api.errors import ApiError, as_api_error
from crm_pipelines.api.pages.session import Session, SignedOut
from crm_pipelines.api.perimeter import bounded
from crm_pipelines.settings import Settings
from crm_pipelines.vocabulary import OUTCOME_WORDS, STATUS_WORDS, in_brief

FOLDER = Path(__file__).parent
LARGEST_FORM = 200_000
"""Bytes. A form is read before it is known who sends it, so that there may be one to sign in with."""

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Without a referrer, browsers send forms with the origin "null", which tells nothing.
    "Referrer-Policy": "same-origin",
}

_VERSION = version("crm-pipelines")

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    template: str, request: Request, *, session: Session | None = None, status: int = 200, **values: Any
) -> Response:
    """A template as an answer. `title_of` tells people which destination is meant."""
    settings: Settings = request.app.state.settings
    text = _environment.get_template(template).render(
        session=session,
        path=request.url.path,
        now=datetime.now(UTC),
        title_of=settings.title_of,
        version=_VERSION,
        glossary=settings.channels.glossary_url,
        **values,
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def error_page(request: Request, error: ApiError) -> Response:
    """What went wrong, and the way back. It needs neither a session nor the database, which may be what is wrong."""
    response = page("error.html", request, status=error.status, error=error)
    response.headers.update(error.headers)
    return response


def see(path: str) -> Response:
    """Go on there, by GET."""
    return RedirectResponse(path, status_code=303)


class PageRoute(APIRoute):
    """Answers what goes wrong with a page: who is signed out is shown the way in, an error says what to do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(Request(request.scope, bounded(request.receive, LARGEST_FORM)))
            except SignedOut:
                there = request.url.path
                if request.method == "GET" and there != "/":
                    return see(f"/sign-in?{urlencode({'next': there})}")
                is_lost = request.method != "GET" and there != "/sign-out"
                return see("/sign-in?unsent=1" if is_lost else "/sign-in")
            except Exception as error:
                foreseen = as_api_error(error)
                if foreseen is None:
                    raise
                return error_page(request, foreseen)

        return handle_or_explain


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _ago(moment: datetime, now: datetime) -> str:
    """ "4 min ago", "in 2 h"."""
    passed = now - moment
    if abs(passed) < timedelta(seconds=1):
        return "just now"
    return f"{_span(passed)} ago" if passed > timedelta() else f"in {_span(-passed)}"


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s" if seconds else f"{length / timedelta(milliseconds=1):.0f} ms"


def _number(value: int) -> str:
    """With thin spaces: 12 345."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _codes(text: str) -> Markup:
    """What stands between backticks as code."""
    parts = text.split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _shown(value: object) -> str:
    """A value of a contact, for people."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _filled(text: str | None) -> str | None:
    """None for a text of which nobody would see anything, nor could press it."""
    return text if text and any(one.isprintable() and not one.isspace() for one in text) else None


_environment.filters |= {
    "clock": _clock,
    "ago": _ago,
    "span": _span,
    "brief": in_brief,
    "number": _number,
    "shown": _shown,
    "codes": _codes,
    "filled": _filled,
    "worded": {**STATUS_WORDS, **OUTCOME_WORDS}.__getitem__,
}
