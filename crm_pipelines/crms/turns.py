"""Waiting for one's turn before a request."""

from collections.abc import Callable, Sequence

from crm_pipelines.crms.payloads import Sendable

Turn = Callable[[], None]
"""Called before each single HTTP request: waits for its turn, and raises when the request must not be made."""

DeliveryTurn = Callable[[Sequence[Sendable]], Sequence[Sendable]]
"""Called before each single HTTP request of a delivery with the contacts that it is about.

Waits for its turn and returns those of them that may be in it, in the same order; none when nothing more is sent. Never
raises.
"""
