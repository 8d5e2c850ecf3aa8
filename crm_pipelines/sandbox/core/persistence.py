"""The account in a file, so that a local set-up survives a restart. Keys and settings are not kept."""

import asyncio
import json
import time
from pathlib import Path

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.sandbox.core.sandbox import Sandbox


class StateFile:
    """Reads the account at the start, and writes it a second after changes and at the end."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self._path = path
        self._sandbox = sandbox
        self._saved: tuple[int, int] | None = None

    def load(self) -> None:
        """Take over what the file holds, if there is one. Raises CrmPipelinesError when it cannot be used."""
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            self._sandbox.restore(state)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CrmPipelinesError(
                f"The sandbox cannot use its state file {self._path} ({type(error).__name__}): "
                "delete it, or name another one with --state."
            ) from None
        self._saved = self._version()

    def save(self) -> None:
        """Write the account if it has changed; a reader sees the old file or the new one, never a part."""
        version = self._version()
        if version == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        part.touch(mode=0o600)
        with part.open("w", encoding="utf-8") as file:
            json.dump(self._sandbox.snapshot(), file, separators=(",", ":"))
        part.replace(self._path)
        self._saved = version

    async def keep_saving(self) -> None:
        """Save in the background. Writing a large account takes seconds: then it is done more rarely."""
        pause_seconds = 1.0
        while True:
            await asyncio.sleep(pause_seconds)
            started = time.monotonic()
            self.save()
            pause_seconds = max(1.0, 10 * (time.monotonic() - started))

    def _version(self) -> tuple[int, int]:
        return self._sandbox.epoch, self._sandbox.revision
