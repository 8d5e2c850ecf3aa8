"""Stop signals that wait until what is under way has come to its end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred(at_once: Callable[[], None]) -> Iterator[None]:
    """In the block, SIGINT and SIGTERM raise nothing, however often they come: the first one calls `at_once`.

    Their handlers hear of it at the end. An exception could be raised anywhere, also while another one is being dealt
    with, and then nobody would stop what goes on in other threads. Signals come to the main thread only; in others the
    block is as any.
    """
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)
        if len(noted) == 1:  # `at_once` itself may be interrupted by the next one, and holds locks
            at_once()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _STOPPING}
    try:
        for number in _STOPPING:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if noted:
            signal.raise_signal(noted[0])
