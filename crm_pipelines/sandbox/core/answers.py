"""What an API reads and answers: one call in, one answer or one error out."""

import json
from collections.abc import Mapping
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


class RefusalError(Exception):
    """The API refuses a request: `content` is the body of its answer, in the CRM's own form."""

    def __init__(self, status: int, message: str, content: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.content = content


class Call:
    """One request to the API. `path` is without the prefix under which the API is served; `key` came with it."""

    __slots__ = (
        "_body",
        "_headers",
        "_parsed",
        "client_host",
        "host",
        "key",
        "method",
        "path",
        "query_string",
        "raw_body",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query_string: str,
        raw_body: bytes,
        *,
        host: str,
        client_host: str,
        key: str = "",
        headers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.raw_body = raw_body
        self.host = host
        self.client_host = client_host
        self.key = key
        self._headers = headers or {}
        self._parsed = False
        self._body: Any = None

    def header(self, name: str) -> str:
        """Of this name in small letters, or ""."""
        return self._headers.get(name.encode(), b"").decode("latin-1")

    def json(self) -> Any:
        """The parsed body, or None where it is empty or no JSON."""
        if not self._parsed:
            self._parsed = True
            try:
                self._body = json.loads(self.raw_body) if self.raw_body else None
            except ValueError:
                self._body = None
        return self._body

    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(self.query_string)
