"""Stop signals that wait until what is under way has come to its end."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_LISTEN_SECONDS = 0.5

T = TypeVar("T")


def undisturbed(work: Callable[[], T], halt: Callable[[], None]) -> T:
    """The result of `work`, within which nothing is raised from outside: what would interrupt it calls `halt` instead.

    `halt` lets it come to its end. Then the handlers of signals hear of theirs, and any other interruption is raised.
    """
    # In a thread of its own: what interrupts is raised in the main thread, wherever that is just then, and nothing may
    # be raised between an answer and its record.
    interruption: BaseException | None = None
    with deferred(halt), ThreadPoolExecutor(1, thread_name_prefix="deliver") as pool:
        working = pool.submit(work)
        while not working.done():
            try:
                # A signal that comes right before the wait, or to another thread, is heard of only after it.
                wait([working], timeout=_LISTEN_SECONDS)
            except BaseException as error:  # noqa: BLE001 - raised again, once what is known is written down
                halt()
                interruption = error
    if interruption is not None:
        raise interruption
    return working.result()


@contextmanager
def deferred(at_once: Callable[[], None]) -> Iterator[None]:
    """In the block, SIGINT and SIGTERM raise nothing, however often they come: the first one calls `at_once`.

    Their handlers hear of it at the end. An exception could be raised anywhere, also while another one is being dealt
    with, and then nobody would stop what goes on in other threads. Signals come to the main thread only; in others the
    block is as any.
    """
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        first = not noted  # asked ahead: the next signal may come between any two of these lines
        noted.append(number)
        if first:  # `at_once` itself may be interrupted by the next one, and holds locks
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
