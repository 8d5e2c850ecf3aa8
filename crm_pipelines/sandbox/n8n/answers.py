"""What n8n answers beside what a workflow says."""

from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, reply

_TEXT = ((b"content-type", b"text/plain"),)

WRONG_SECRET = Answer(403, b"Authorization data is wrong!", _TEXT)
WRONG_ADDRESS = Answer(403, b"IP is not whitelisted to access the webhook!", _TEXT)
NOT_JSON = reply(422, {"code": 422, "message": "Failed to parse request body", "hint": "", "stacktrace": "…"})
STARTED = reply(200, {"message": "Workflow was started"})
NODE_FAILED = reply(500, {"message": "Error in workflow"})
NO_SUCH_PAGE = Answer(404, b"<!DOCTYPE html><pre>Cannot answer this path</pre>", ((b"content-type", b"text/html"),))
BROKEN_OFF: dict[str, Any] = {"code": 0, "message": "There was a problem executing the workflow"}

_PUBLISH = (
    "The workflow must be active for a production URL to run successfully. You can activate the workflow using the "
    "toggle in the top-right of the editor."
)
_LISTEN = "Click the 'Execute workflow' button on the canvas, then try again."


def not_registered(method: str, path: str, others: list[str], *, test: bool = False) -> Answer:
    """404: no workflow takes this method at this path; `others` are those that one takes."""
    if others:
        message = f"This webhook is not registered for {method} requests. "
        message += f"Did you mean to make a {' or '.join(others)} request?"
        hint = ""
    else:
        asked = path if test else f"{method} {path}"
        message = f'The requested webhook "{asked}" is not registered.'
        hint = _LISTEN if test else _PUBLISH
    return reply(404, {"code": 404, "message": message, "hint": hint, "stacktrace": "WebhookNotFoundError: …"})


def preflight(methods: list[str]) -> Answer:
    """204: for which methods a workflow is registered."""
    allowed = ", ".join(["OPTIONS", *methods]).encode()
    return Answer(204, b"", ((b"access-control-allow-methods", allowed), (b"access-control-allow-origin", b"*")))
