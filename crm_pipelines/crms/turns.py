"""Waiting for one's turn before a request."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from crm_pipelines.crms.payloads import Sendable

Turn = Callable[[], None]
"""Called before each single HTTP request: waits for its turn, and raises when the request must not be made."""

DeliveryTurn = Callable[[Sequence[Sendable]], Sequence[Sendable]]
"""Called before each single HTTP request of a delivery with the contacts that it is about.

Waits for its turn and returns those of them that may be in it, in the same order; none when nothing more is sent. Never
raises.
"""

Leave = Callable[[], AbstractContextManager[None]]
"""Holds a request back where its bytes leave, and takes note of when they did."""


class _Next(threading.local):
    leave: Leave | None = None


_next = _Next()


def leave_by(leave: Leave) -> None:
    """Whoever gives a turn says how the next request of this thread leaves. One that is never made leaves no trace."""
    _next.leave = leave


def leaving() -> AbstractContextManager[None]:
    """To be put around the first bytes of a request of this thread; of one without a turn it does nothing."""
    leave, _next.leave = _next.leave, None
    return nullcontext() if leave is None else leave()
