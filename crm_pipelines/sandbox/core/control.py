"""Control, under /_sandbox: what tests and people use to look into the sandbox and to steer it. No part of the CRM."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crm_pipelines.sandbox.core.answers import RefusalError
from crm_pipelines.sandbox.core.faults import Fault
from crm_pipelines.sandbox.core.sandbox import Sandbox

Handler = Callable[[Request], Awaitable[Response]]

_FAULTS = TypeAdapter(list[Fault])
_LONGEST_WAIT_SECONDS = 60.0


class Control:
    """The endpoints of control for one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def routes(self) -> list[Route]:
        """All endpoints; those that change something want a JSON content type."""
        reading = {"/state": self.state, "/requests": self.requests}
        changing = {
            "/faults": self.add_faults,
            "/release": self.release,
            "/reset": self.reset,
            "/config": self.configure,
            "/contacts": self.seed,
            **{path: _ordered(order) for path, order in self.sandbox.orders().items()},
        }
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in reading.items()),
            *(Route(path, _changing(handler), methods=["POST"]) for path, handler in changing.items()),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
        ]

    async def state(self, request: Request) -> Response:
        """GET /_sandbox/state."""
        return JSONResponse(
            {
                **self.sandbox.state(request.headers["host"]),
                "faults": [fault.model_dump(mode="json") for fault in self.sandbox.faults.rules],
                "held": self.sandbox.held,
            }
        )

    async def requests(self, request: Request) -> Response:
        """GET /_sandbox/requests: `method`, `path` (regular expression), `finished=true`.

        With `at_least` it answers as soon as there are that many, or after `timeout` seconds.
        """
        query = request.query_params
        try:
            entries = await self.sandbox.journal.wait(
                int(query.get("at_least", 0)),
                min(float(query.get("timeout", 10)), _LONGEST_WAIT_SECONDS),
                method=query.get("method"),
                path=query.get("path"),
                finished=query.get("finished") == "true",
            )
        except (ValueError, re.error) as error:
            return _refused(f"Wrong query: {error}")
        return JSONResponse([entry.as_json() for entry in entries])

    async def add_faults(self, request: Request) -> Response:
        """POST /_sandbox/faults: a list of rules, added after those there are."""
        rules = _FAULTS.validate_python(await request.json())
        self.sandbox.faults.rules.extend(rules)
        return Response(status_code=204)

    async def clear_faults(self, _: Request) -> Response:
        """DELETE /_sandbox/faults."""
        self.sandbox.faults.rules.clear()
        return Response(status_code=204)

    async def release(self, _: Request) -> Response:
        """POST /_sandbox/release: what is held goes on; answers with how many there were."""
        return JSONResponse({"released": self.sandbox.release()})

    async def reset(self, _: Request) -> Response:
        """POST /_sandbox/reset: a new account, no faults, no log, the initial configuration."""
        self.sandbox.reset()
        return Response(status_code=204)

    async def configure(self, request: Request) -> Response:
        """POST /_sandbox/config: some settings; answers with all of them but the keys."""
        self.sandbox.configure(await request.json())
        return JSONResponse(self.sandbox.config.model_dump(mode="json", exclude={"keys", "revoked_keys"}))

    async def seed(self, request: Request) -> Response:
        """POST /_sandbox/contacts: a list of contacts, stored without any fault or limit; answers with their ids."""
        return JSONResponse({"ids": self.sandbox.seed(await request.json())})


def _ordered(order: Callable[[], dict[str, Any]]) -> Handler:
    async def carried_out(_: Request) -> Response:
        return JSONResponse(order())

    return carried_out


def _changing(handler: Handler) -> Handler:
    """Only for JSON: a foreign web page cannot send that content type without asking first, and is refused then."""

    async def checked(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused("Send the content type application/json.", 415)
        try:
            return await handler(request)
        except ValidationError as error:
            return JSONResponse({"errors": error.errors(include_url=False, include_context=False)}, 400)
        except RefusalError as error:
            return JSONResponse(error.content, 400)
        except (ValueError, TypeError, AttributeError):
            return _refused("The body is not the JSON that is expected here.")

    return checked


def _refused(message: str, status: int = 400) -> Response:
    content: dict[str, Any] = {"message": message}
    return JSONResponse(content, status)
