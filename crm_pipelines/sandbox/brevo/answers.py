"""How Brevo's API reads a request, and how it refuses one."""

from typing import Any

from crm_pipelines.sandbox.core.answers import Call, RefusalError


class ApiError(RefusalError):
    """A refusal in Brevo's words: `{"code", "message"}`, with `metadata` where a contact was refused for a conflict."""

    def __init__(self, status: int, code: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        content: dict[str, Any] = {"code": code, "message": message}
        if metadata is not None:
            content["metadata"] = metadata
        super().__init__(status, message, content)


def invalid(message: str) -> ApiError:
    """The usual 400."""
    return ApiError(400, "invalid_parameter", message)


def not_found(message: str) -> ApiError:
    """The usual 404."""
    return ApiError(404, "document_not_found", message)


def read_body(call: Call) -> dict[str, Any]:
    """The body as a JSON object, or ApiError 400."""
    body = call.json()
    if not isinstance(body, dict):
        raise ApiError(400, "bad_request", "Input must be a valid JSON object")
    return body


def read_page(call: Call, default: int, maximum: int) -> tuple[int, int]:
    """`limit` and `offset`, or ApiError 400."""
    query = call.query()
    try:
        limit = int(query.get("limit", [str(default)])[-1])
        offset = int(query.get("offset", ["0"])[-1])
    except ValueError:
        raise invalid("limit and offset should be type number") from None
    if not 0 <= limit <= maximum or offset < 0:
        raise ApiError(400, "out_of_range", f"Limit exceeds max value {maximum}")
    return limit, offset


def newest_first(call: Call) -> bool:
    """Whether `sort` asks for descending order, which is the default everywhere."""
    sort = call.query().get("sort", ["desc"])[-1]
    if sort not in ("asc", "desc"):
        raise invalid("sort should be asc or desc")
    return sort == "desc"
