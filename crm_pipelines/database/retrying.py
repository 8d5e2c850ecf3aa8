"""Repeats a database call that failed, or left rows out, for a passing reason: a lost connection, say, or a lock."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import sqlalchemy as sa

from crm_pipelines.errors import interruption_behind

T = TypeVar("T")

# Deadlock, serialization failure, lock time-out: the statement had no effect and may simply be repeated.
_PASSING_SQLSTATES = {"40001", "40P01", "55P03"}
_LONGEST_PAUSE = 5.0

PAUSES_FOR_LOCKS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between tries of what somebody's transaction holds up. After the last, one goes on without the row."""


def is_passing(error: BaseException) -> bool:
    """True when the same call may succeed a little later."""
    if not isinstance(error, sa.exc.DBAPIError) or interruption_behind(error) is not None:
        return False
    sqlstate = getattr(error.orig, "sqlstate", None)
    return (
        error.connection_invalidated
        or sqlstate in _PASSING_SQLSTATES
        # 08: connection; 57P: the server is shutting down or starting; 53: out of disk, memory or connections.
        or (sqlstate is not None and sqlstate[:2] in {"08", "53"})
        or (sqlstate is not None and sqlstate.startswith("57P"))
        or (sqlstate is None and isinstance(error, sa.exc.OperationalError))
    )


def with_retries(call: Callable[[], T], *, patience: timedelta, sleep: Callable[[float], object] = time.sleep) -> T:
    """Run `call`, again and again with growing, jittered pauses, until it succeeds or `patience` is over.

    `call` must be one transaction that is harmless to repeat. Raises its last error.
    """
    give_up = time.monotonic() + patience.total_seconds()
    pause = 0.05
    while True:
        try:
            return call()
        except sa.exc.DBAPIError as error:
            if not is_passing(error) or time.monotonic() + pause > give_up:
                raise
        sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, _LONGEST_PAUSE)


def tries() -> Iterator[None]:
    """Once, and again after short pauses: most transactions that hold a row are soon over."""
    yield
    for seconds in PAUSES_FOR_LOCKS:
        time.sleep(seconds)
        yield
