"""Where the time of a run goes: looks at its threads every 20 ms, and notes at which stage of a delivery each is.

A thread that waits for the interpreter's lock counts as working: several threads together show more than the clock.
"""

import sys
import threading
import time
from collections import defaultdict
from types import FrameType, TracebackType
from typing import Self

_SECONDS = 0.02

_STAGES = {
    "BulkImports.claim": "claiming",
    "Queue.load": "reading the contacts' data",
    "prepare": "mapping, normalizing, hashing",
    "Importer._row": "rows of the import, and their proof",
    "BulkImports.note": "writing down what is sent (COPY)",
    "Importer._take_in": "putting the import together, the rest",
    "Importer._submit": "sending the import",
    "Pacer.wait": "waiting for a turn at the gate",
    "BrevoImports.read": "reading from the CRM",
    "BulkImports.expected": "looking up what was sent",
    "BrevoImports.proof": "comparing with what was sent",
    "BulkImports.record_proved": "entries in the ledger",
    "Queue.apply": "states of the contacts",
}
_OTHER = "everything else, Dagster included"
_WAITING_IN = ("/threading.py", "/socket.py", "/ssl.py", "/psycopg/connection.py")


class Sampler:
    """Samples while the block runs. `stages`: the seconds at work and the seconds waiting, by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        main, own = threading.main_thread().ident, threading.get_ident()
        before = time.monotonic()
        while not self._over.wait(_SECONDS):
            now = time.monotonic()
            for thread, frame in sys._current_frames().items():
                stage = _stage(frame) or (_OTHER if thread == main else None)
                if stage is not None and thread != own:
                    self.stages[stage][frame.f_code.co_filename.endswith(_WAITING_IN)] += now - before
            before = now


def _stage(frame: FrameType | None) -> str | None:
    """The innermost one that the thread is in."""
    while frame is not None:
        if (found := _STAGES.get(frame.f_code.co_qualname)) is not None:
            return found
        frame = frame.f_back
    return None
