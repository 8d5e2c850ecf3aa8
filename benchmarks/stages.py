"""Where the time of a run with imports goes: CPU time and waiting by stage, as the threads themselves spend it.

Costs some microseconds per call, so nothing else is measured in the same run.
"""

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.delivery.bulk import filling
from crm_pipelines.delivery.bulk.sending import BulkSender
from crm_pipelines.delivery.pace.pacing import Pacer
from crm_pipelines.queue.bulk_imports import BulkImports
from crm_pipelines.queue.claims import Queue

STAGES: list[tuple[Any, str, str]] = [
    (BulkImports, "claim", "claiming"),
    (Queue, "load", "reading the contacts' data"),
    (filling, "prepare", "mapping, normalizing, hashing"),
    (filling.Filler, "_row", "rows of the import, and their proof"),
    (BulkImports, "note", "writing down what is sent (COPY)"),
    (Queue, "intend", "noting what may be at the CRM (intent)"),
    (filling.Filler, "fill", "putting the import together, the rest"),
    (BulkSender, "_submit", "sending the import"),
    (Pacer, "wait", "waiting for a turn at the gate"),
    (BrevoImports, "read", "reading from the CRM"),
    (BulkImports, "expected", "looking up what was sent"),
    (BrevoImports, "proof", "comparing with what was sent"),
    (BulkImports, "record_proved", "entries in the ledger"),
    (Queue, "apply", "states of the contacts"),
]


class Stopwatch:
    """Measures all stages from now on. `seconds`: CPU time and waiting by stage, what is within another left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._lock = threading.Lock()
        self._thread = threading.local()
        for owner, name, stage in STAGES:
            setattr(owner, name, self._timed(getattr(owner, name), stage))

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            outer = getattr(self._thread, "within", None)
            self._thread.within = within = [0.0, 0.0]
            cpu, clock = time.thread_time(), time.monotonic()
            try:
                return function(*args, **kwargs)
            finally:
                cpu = time.thread_time() - cpu
                waiting = time.monotonic() - clock - cpu
                self._thread.within = outer
                with self._lock:
                    self.seconds[stage][0] += cpu - within[0]
                    self.seconds[stage][1] += waiting - within[1]
                if outer is not None:
                    outer[0] += cpu
                    outer[1] += waiting

        return timed
