"""One running sandbox: the account, what control has set, and what is waiting."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from crm_pipelines.sandbox.brevo.account import Account, Process
from crm_pipelines.sandbox.brevo.attributes import Attribute, attributes_of_new_account
from crm_pipelines.sandbox.brevo.config import SandboxConfig
from crm_pipelines.sandbox.brevo.faults import Faults
from crm_pipelines.sandbox.brevo.journal import Journal
from crm_pipelines.sandbox.brevo.limits import RateLimiter


class Sandbox:
    """Everything that one server serves. `epoch` changes with every reset; what waits then has no effect any more."""

    def __init__(self, config: SandboxConfig) -> None:
        self._initial = config
        self._held: set[asyncio.Future[None]] = set()
        self._imports: dict[asyncio.Task[None], tuple[Process, Iterator[None]]] = {}
        self.epoch = 0
        self.journal = Journal()
        self.reset()

    def reset(self) -> None:
        """Back to a new account with the initial configuration; what is held is dropped."""
        self._drop_waiting()
        self.faults = Faults()
        self.journal.clear()
        self.config = self._initial
        self.limiter = RateLimiter(self.config.limits())
        self.account = Account(self.config.language, self._launch)
        self._describe_account()
        self._build_attributes()

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""
        self.config = SandboxConfig.model_validate({**self.config.model_dump(), **given})
        self.limiter = RateLimiter(self.config.limits())
        self._describe_account()
        if given.keys() & {"language", "attributes"}:
            self._build_attributes()

    def _describe_account(self) -> None:
        self.account.imports_unblock = self.config.import_unblocks
        self.account.organization, self.account.owner_email = self.config.organization, self.config.owner
        self.account.one_for_each_key = self.config.account_by_key
        self.account.imports_ignore_false = self.config.import_ignores_false
        self.account.habits = self.config.habits()

    def _build_attributes(self) -> None:
        own = attributes_of_new_account(self.config.language)
        more = {name: Attribute(name, "normal", kind) for name, kind in self.config.attributes.items()}
        self.account.attributes = {**own, **more}
        self.account.revision += 1

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

    def _drop_waiting(self) -> None:
        self.epoch += 1
        self.release()
        for task in self._imports:
            task.cancel()
        self._imports.clear()

    def _launch(self, process: Process, steps: Iterator[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._run_import(process, steps))
        self._imports[task] = (process, steps)
        task.add_done_callback(lambda done: self._imports.pop(done, None))

    async def _run_import(self, process: Process, steps: Iterator[None]) -> None:
        process.status = "in_process"
        await asyncio.sleep(self.config.import_seconds)
        if self.config.hold_imports:
            await self.hold()
        if self.config.import_status == "completed":
            for _ in steps:
                await asyncio.sleep(0)
        process.status = self.config.import_status
        self.account.revision += 1

    def close(self) -> None:
        """Let nobody wait any longer; finish the imports, as Brevo would without us."""
        unfinished = list(self._imports.values())
        self._drop_waiting()
        for process, steps in unfinished:
            if self.config.import_status == "completed":
                deque(steps, maxlen=0)
            process.status = self.config.import_status


async def pause(seconds: float) -> None:
    """Wait; without even a turn of the loop when there is nothing to wait for."""
    if seconds:
        await asyncio.sleep(seconds)
