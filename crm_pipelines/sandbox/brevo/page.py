"""The page for people."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from crm_pipelines.sandbox.brevo.quirks import QUIRKS
from crm_pipelines.sandbox.brevo.sandbox import Sandbox

_SHOWN_CONTACTS = 100
_SHOWN_REQUESTS = 50
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _clock(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC):%H:%M:%S}"


_environment.filters["clock"] = _clock


def page(sandbox: Sandbox) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of `/`: the newest contacts and requests, lists, faults and quirks."""
    template = _environment.get_template("page.html")

    async def show(request: Request) -> Response:
        account = sandbox.account
        contacts = islice(reversed(account.contacts.values()), _SHOWN_CONTACTS)
        text = template.render(
            base_url=f"http://{request.headers['host']}/v3",
            contacts=[account.as_json(contact) for contact in contacts],
            organization=account.organization,
            contact_count=len(account.contacts),
            lists=account.lists.values(),
            attributes=account.attributes.values(),
            processes=list(islice(reversed(account.processes.values()), _SHOWN_REQUESTS)),
            requests=list(islice(reversed(sandbox.journal.entries), _SHOWN_REQUESTS)),
            request_count=sandbox.journal.count,
            faults=sandbox.faults.rules,
            held=sandbox.held,
            quirks=QUIRKS,
        )
        return HTMLResponse(text, headers={"content-security-policy": _POLICY, "cache-control": "no-store"})

    return show
