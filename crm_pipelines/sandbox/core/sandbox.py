"""One running sandbox: what every CRM's has in common, and what each has to say for itself."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.routing import Route

from crm_pipelines.sandbox.core.answers import Answer, Call, Header
from crm_pipelines.sandbox.core.config import CoreConfig
from crm_pipelines.sandbox.core.faults import Faults
from crm_pipelines.sandbox.core.journal import Entry, Journal


class Sandbox(ABC):
    """Everything that one server serves. `epoch` changes with every reset; what waits then has no effect any more.

    `name`: of the CRM, for people. `prefix`: of the paths of its API. `package`: page.html is among its templates.
    """

    name: str
    prefix: str
    package: str
    config: CoreConfig

    def __init__(self, journal: Journal | None = None) -> None:
        self._held: set[asyncio.Future[None]] = set()
        self.epoch = 0
        self.journal = journal or Journal()
        self.faults = Faults()

    def reset(self) -> None:
        """Back to a new account with the initial configuration; what is held is dropped."""
        self.epoch += 1
        self.release()
        self.faults = Faults()
        self.journal.clear()

    async def hold(self) -> None:
        """Wait until control releases, or until a new epoch begins."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.add(waiting)
        try:
            await waiting
        finally:
            self._held.discard(waiting)

    @property
    def held(self) -> int:
        """How many requests and imports wait to be released."""
        return len(self._held)

    def release(self) -> int:
        """Let everything go that is held; returns how many there were."""
        waiting = [future for future in self._held if not future.done()]
        for future in waiting:
            future.set_result(None)
        return len(waiting)

    def close(self) -> None:
        """Let nobody wait any longer: the server stops."""
        self.epoch += 1
        self.release()

    def routes(self) -> list[Route]:
        """Paths of the server besides the API, control and the page."""
        return []

    def has_key_in_body(self, _call: Call) -> bool:
        """Whether the body holds a secret, so that the log has none of it, whatever becomes of the request."""
        return False

    def orders(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """What control can do besides what every sandbox's can, by path; each tells what came of it."""
        return {}

    @abstractmethod
    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""

    @property
    @abstractmethod
    def revision(self) -> int:
        """Grows with every change of the account."""

    @abstractmethod
    def key(self, headers: Mapping[bytes, bytes]) -> str:
        """The key that a request brings, or ""."""

    def sender(self, key: str) -> str:
        """Who brings it, for the journal: the key itself, where it lasts."""
        return key

    @abstractmethod
    def describe(self, call: Call) -> dict[str, Any]:
        """What the journal tells of a request beyond its path and body."""

    @abstractmethod
    def answer(self, call: Call, entry: Entry) -> Answer:
        """What the API does and answers; `entry.applied` is set if it did anything."""

    @abstractmethod
    def signature(self) -> Header:
        """The header that tells the API's answers apart."""

    @abstractmethod
    def trouble(self) -> Any:
        """The body with which the API answers when it fails itself."""

    @abstractmethod
    def state(self, host: str) -> dict[str, Any]:
        """The account for control; `host` is the server's own name."""

    @abstractmethod
    def seed(self, rows: Sequence[Any]) -> list[int]:
        """Store contacts without any fault or limit; returns their ids. Raises RefusalError for what cannot be."""

    @abstractmethod
    def shown(self) -> dict[str, Any]:
        """What the page's template asks for besides what every sandbox has."""

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """The account for its file."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Take the account over from its file. Raises ValueError, KeyError or TypeError when it is no such file."""


async def pause(seconds: float) -> None:
    """Wait; without even a turn of the loop when there is nothing to wait for."""
    if seconds:
        await asyncio.sleep(seconds)
