"""The log of every request to the API."""

import asyncio
import re
import time
from collections import deque
from typing import Any


class Entry:
    """One request. Times are in seconds: unix time, and the machine's monotonic clock for intervals.

    `about`: what the CRM's folder tells of it.
    """

    __slots__ = (
        "about",
        "applied",
        "arrived",
        "arrived_monotonic",
        "body",
        "client_port",
        "fault",
        "finished",
        "finished_monotonic",
        "key",
        "method",
        "path",
        "query",
        "seq",
        "status",
        "user_agent",
    )

    def __init__(self, method: str, path: str, query: str) -> None:
        self.seq = 0
        self.method = method
        self.path = path
        self.query = query
        self.arrived = time.time()
        self.arrived_monotonic = time.monotonic()
        self.finished: float | None = None
        self.finished_monotonic: float | None = None
        self.status: int | None = None
        self.applied = False
        self.about: dict[str, Any] = {}
        self.key: str | None = None
        self.user_agent: str | None = None
        self.client_port = 0
        self.fault: str | None = None
        self.body = b""

    def as_json(self) -> dict[str, Any]:
        """All fields by name, and what `about` has."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name != "about"}
        fields["body"] = self.body.decode(errors="replace")
        return {**fields, **self.about}


class Journal:
    """The latest requests in the order in which they arrived, `kept` of them; of a long body only the beginning."""

    def __init__(self, *, kept: int = 50_000, longest_body: int = 4096) -> None:
        self.entries: deque[Entry] = deque(maxlen=kept)
        self._longest_body = longest_body
        self.count = 0
        self._changed: asyncio.Event | None = None

    def arrive(self, entry: Entry, body: bytes) -> None:
        """Take up a request that has been read whole."""
        self.count += 1
        entry.seq = self.count
        entry.body = body[: self._longest_body]
        self.entries.append(entry)
        self._wake()

    def finish(self, entry: Entry, status: int | None) -> None:
        """Note the end of a request; a status of None: it was never answered."""
        entry.finished = time.time()
        entry.finished_monotonic = time.monotonic()
        entry.status = status
        self._wake()

    def clear(self) -> None:
        """Forget everything and count from 1 again."""
        self.entries.clear()
        self.count = 0

    def select(self, *, method: str | None, path: str | None, finished: bool) -> list[Entry]:
        """Entries of a method, of a path (a regular expression, searched), or that have ended."""
        return [
            entry
            for entry in self.entries
            if (method is None or entry.method == method)
            and (path is None or re.search(path, entry.path))
            and (not finished or entry.finished is not None)
        ]

    async def wait(
        self, at_least: int, timeout_seconds: float, *, method: str | None, path: str | None, finished: bool
    ) -> list[Entry]:
        """`select` as soon as it has that many entries, or when the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = self.select(method=method, path=path, finished=finished)
            left = deadline - time.monotonic()
            if len(found) >= at_least or left <= 0:
                return found
            self._changed = self._changed or asyncio.Event()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                continue

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
