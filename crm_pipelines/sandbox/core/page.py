"""The page for people."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import compress, islice
from urllib.parse import parse_qsl

import jinja2
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from crm_pipelines.sandbox.core.faults import WHAT_HAPPENS, Fault
from crm_pipelines.sandbox.core.sandbox import Sandbox

_SHOWN_REQUESTS = 50
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


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
            what_happens=WHAT_HAPPENS,
            held=sandbox.held,
            **sandbox.shown(),
        )
        return HTMLResponse(text, headers={"content-security-policy": _POLICY, "cache-control": "no-store"})

    return show


def switches(sandbox: Sandbox) -> list[Route]:
    """What the forms of the page do: switch a fault on, one or all off, release what is held."""

    async def switch_on(form: Mapping[str, str]) -> None:
        sandbox.faults.rules.append(Fault.model_validate({name: value for name, value in form.items() if value}))

    async def switch_off(form: Mapping[str, str]) -> None:
        stay = [str(number) != form.get("number", str(number)) for number in range(len(sandbox.faults.rules))]
        sandbox.faults.rules = list(compress(sandbox.faults.rules, stay))

    async def release(_: Mapping[str, str]) -> None:
        sandbox.release()

    return [
        Route("/faults/on", _form(switch_on), methods=["POST"]),
        Route("/faults/off", _form(switch_off), methods=["POST"]),
        Route("/faults/release", _form(release), methods=["POST"]),
    ]


def _form(handle: Callable[[Mapping[str, str]], Awaitable[None]]) -> Callable[[Request], Awaitable[Response]]:
    """For a form of this page alone: browsers say where a form stands, and a foreign page is to steer nothing."""

    async def handled(request: Request) -> Response:
        if request.headers.get("origin") != f"http://{request.headers['host']}":
            return PlainTextResponse("Send this form from the page of the sandbox.", 403)
        fields = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        try:
            await handle(fields)
        except ValidationError as error:
            wrong = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_url=False))
            return PlainTextResponse(f"No fault was switched on. {wrong}.", 400)
        return RedirectResponse("/#faults", 303)

    return handled


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
