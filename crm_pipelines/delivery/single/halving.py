"""Finds those of many contacts for whom a request was refused as a whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def send_apart(refused: Sequence[T], send: Callable[[Sequence[T]], Sequence[T]]) -> None:
    """Send in halves what was refused whole, down to single items; `send` returns those that are refused again.

    If nothing of the first half is refused, the fault is in the second, which is divided without being sent: at most 13
    further requests for one culprit of 100, whichever it is.
    """
    middle = len(refused) // 2
    first, second = refused[:middle], refused[middle:]
    again = send(first)
    if again or len(second) == 1:
        _divide(again, send)
        _divide(send(second), send)
    else:
        _divide(second, send)


def _divide(refused: Sequence[T], send: Callable[[Sequence[T]], Sequence[T]]) -> None:
    if len(refused) > 1:
        send_apart(refused, send)
