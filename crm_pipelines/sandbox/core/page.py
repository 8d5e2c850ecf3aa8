"""The page for people."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import islice

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from crm_pipelines.sandbox.core.sandbox import Sandbox

_SHOWN_REQUESTS = 50
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page(sandbox: Sandbox) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of `/`: what the account holds, the newest requests, faults and quirks."""
    template = _environment(sandbox).get_template("page.html")

    async def show(request: Request) -> Response:
        text = template.render(
            name=sandbox.name,
            base_url=f"http://{request.headers['host']}{sandbox.prefix}",
            requests=list(islice(reversed(sandbox.journal.entries), _SHOWN_REQUESTS)),
            request_count=sandbox.journal.count,
            faults=sandbox.faults.rules,
            held=sandbox.held,
            **sandbox.shown(),
        )
        return HTMLResponse(text, headers={"content-security-policy": _POLICY, "cache-control": "no-store"})

    return show


def _environment(sandbox: Sandbox) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(sandbox.package), jinja2.PackageLoader(__package__)],
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = _clock
    return environment


def _clock(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%H:%M:%S}"
