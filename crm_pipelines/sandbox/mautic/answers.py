"""How Mautic answers, and what it reads: errors, PHP's arrays, bodies, numbers of the query."""

from collections.abc import Mapping
from typing import Any

from crm_pipelines.sandbox.core.answers import Call, RefusalError

NOT_FOUND = "Item was not found."
ACCESS_DENIED = "You do not have access to the requested area/action."
BAD_REQUEST = "This is a bad request."
_GENERIC = (
    "Looks like I encountered an error (error #500). If I do it again, please report me to the system administrator!"
)
_LONGEST_NUMBER = 18


class ApiError(RefusalError):
    """A refusal in Mautic's form: one entry of `errors`."""

    def __init__(self, status: int, message: str, *, details: Any = (), kind: str | None = None) -> None:
        error: dict[str, Any] = {"code": status, "message": message, "details": details or [], "type": kind}
        super().__init__(status, message, {"errors": [error]})
        self.error = error


class ShortError(RefusalError):
    """A refusal before any controller: without details."""

    def __init__(self, status: int, message: str, kind: str | None) -> None:
        super().__init__(status, message, {"errors": [{"message": message, "code": status, "type": kind}]})


class CrashError(ShortError):
    """An exception that nobody catches ends the request; what was saved before stays."""

    def __init__(self) -> None:
        super().__init__(500, _GENERIC, None)


class InvalidError(ApiError):
    """Values that do not pass the form: one message for each field."""

    def __init__(self, problems: Mapping[str, str], status: int = 400) -> None:
        message = ", ".join(f"{alias}: {said}" for alias, said in problems.items())
        super().__init__(status, message, details={alias: [said] for alias, said in problems.items()})


def not_found() -> ApiError:
    """404: there is no such thing."""
    return ApiError(404, NOT_FOUND)


def row_error(status: int, message: str) -> dict[str, Any]:
    """What a batch tells of a row that never came to its form."""
    return {"message": message, "code": status, "type": "api"}


def php_array(rows: Mapping[Any, Any]) -> Any:
    """As PHP writes an array: a JSON list if its keys are 0, 1, 2 and so on in this order, else an object."""
    if list(rows) == list(range(len(rows))):
        return list(rows.values())
    return {str(key): row for key, row in rows.items()}


def read_body(call: Call) -> dict[str, Any]:
    """The body as a JSON object, an empty one when there is none, or ShortError 400."""
    if not call.raw_body:
        return {}
    body = call.json()
    # PHP makes one kind of array of lists and objects.
    if body == []:
        return {}
    if not isinstance(body, dict):
        raise ShortError(400, "Invalid json message received", None)
    return body


def read_rows(call: Call) -> dict[Any, Any]:
    """The rows of a batch by their keys, which are numbers for a list, or ShortError 400."""
    if not call.raw_body:
        return {}
    body = call.json()
    if isinstance(body, list):
        return dict(enumerate(body))
    if isinstance(body, dict):
        return {int(key) if key.isdecimal() else key: row for key, row in body.items()}
    raise ShortError(400, "Invalid json message received", None)


def read_id(text: object) -> int | None:
    """An id as Mautic casts it: the digits at the beginning, or None for zero and what has none."""
    digits = ""
    for letter in str(text).strip():
        if letter not in "0123456789":
            break
        digits += letter
    return int(digits) or None if 0 < len(digits) <= _LONGEST_NUMBER else None


def read_page(call: Call, default_limit: int) -> tuple[int, int]:
    """`start` and `limit` of the query; a limit of 0 is none."""
    query = call.query()
    start = read_id(query.get("start", ["0"])[-1]) or 0
    text = query.get("limit", [str(default_limit)])[-1]
    return start, read_id(text) or 0


def is_on(call: Call, name: str) -> bool:
    """Whether the query switches something on."""
    return call.query().get(name, ["0"])[-1] not in ("", "0")
