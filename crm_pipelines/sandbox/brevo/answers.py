"""What the API reads and answers: one call in, one answer or one error out."""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs

Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    """A complete HTTP answer; `body` is empty where the status allows none."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ((b"content-type", b"application/json"),)


def reply(status: int, content: Any = None) -> Answer:
    """An answer in JSON, or an empty one when there is no content."""
    return Answer(status) if content is None else Answer(status, json.dumps(content).encode())


class ApiError(Exception):
    """A refusal in Brevo's words: `{"code", "message"}`, with `metadata` where a contact was refused for a conflict."""

    def __init__(self, status: int, code: str, message: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.content: dict[str, Any] = {"code": code, "message": message}
        if metadata is not None:
            self.content["metadata"] = metadata


def invalid(message: str) -> ApiError:
    """The usual 400."""
    return ApiError(400, "invalid_parameter", message)


def not_found(message: str) -> ApiError:
    """The usual 404."""
    return ApiError(404, "document_not_found", message)


class Call:
    """One request to the API. `path` is without the prefix /v3."""

    __slots__ = ("_body", "_parsed", "client_host", "host", "key", "method", "path", "query_string", "raw_body")

    def __init__(
        self, method: str, path: str, query_string: str, raw_body: bytes, *, host: str, client_host: str, key: str = ""
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.raw_body = raw_body
        self.host = host
        self.client_host = client_host
        self.key = key
        self._parsed = False
        self._body: Any = None

    def json(self) -> Any:
        """The parsed body, or None where it is empty or no JSON."""
        if not self._parsed:
            self._parsed = True
            try:
                self._body = json.loads(self.raw_body) if self.raw_body else None
            except ValueError:
                self._body = None
        return self._body

    def body(self) -> dict[str, Any]:
        """The body as a JSON object, or ApiError 400."""
        body = self.json()
        if not isinstance(body, dict):
            raise ApiError(400, "bad_request", "Input must be a valid JSON object")
        return body

    def query(self) -> dict[str, list[str]]:
        """The query's values by name. Names that no handler asks for have no effect, as at Brevo."""
        return parse_qs(self.query_string)

    def page(self, default: int, maximum: int) -> tuple[int, int]:
        """`limit` and `offset`, or ApiError 400."""
        query = self.query()
        try:
            limit = int(query.get("limit", [str(default)])[-1])
            offset = int(query.get("offset", ["0"])[-1])
        except ValueError:
            raise invalid("limit and offset should be type number") from None
        if not 0 <= limit <= maximum or offset < 0:
            raise ApiError(400, "out_of_range", f"Limit exceeds max value {maximum}")
        return limit, offset

    def newest_first(self) -> bool:
        """Whether `sort` asks for descending order, which is the default everywhere."""
        sort = self.query().get("sort", ["desc"])[-1]
        if sort not in ("asc", "desc"):
            raise invalid("sort should be asc or desc")
        return sort == "desc"
