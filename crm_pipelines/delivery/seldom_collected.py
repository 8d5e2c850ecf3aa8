"""Python's collector of cyclic garbage, held back while many contacts are read, mapped and sent.

By itself it looks at every object of the process again and again: those of Dagster, which stay, and those of thousands
of contacts, which go by counting references. That took a third of the CPU time of a bulk delivery.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# New objects before the youngest are looked at. Python's own are 700, 10 and 10.
_THRESHOLDS = (20_000, 20, 20)

_lock = threading.Lock()
_blocks = 0
_usual = gc.get_threshold()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """In the block, what is there is not looked at, and the rest more rarely. Blocks may overlap, in threads."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _blocks, _usual
    with _lock:
        _blocks += 1
        if _blocks == 1:
            _usual = gc.get_threshold()
            gc.freeze()
            gc.set_threshold(*_THRESHOLDS)


def _leave() -> None:
    global _blocks
    with _lock:
        _blocks -= 1
        if not _blocks:
            gc.set_threshold(*_usual)
            gc.unfreeze()
