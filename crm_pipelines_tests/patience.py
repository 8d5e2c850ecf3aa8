"""How long tests wait for what must happen. They wait for an event; only a test that fails waits to the end.

No guarantee depends on these numbers, so they are generous. `CRM_PIPELINES_TEST_PATIENCE=3` makes them all three times
as long, for a machine on which even that is too short.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 150.0 * float(os.environ.get("CRM_PIPELINES_TEST_PATIENCE", "1"))
"""Seconds that one event may take."""

LONGEST_TEST = 4 * PATIENCE
"""Seconds after which a test is ended: it hangs."""

_POLL_SECONDS = 0.02


def wait_until(
    condition: Callable[[], T | None], what: str | Callable[[], str], *, poll_seconds: float = _POLL_SECONDS
) -> T:
    """The first true value of `condition()`; fails, saying what was waited for, when patience is over."""
    give_up = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < give_up, f"this did not happen: {what if isinstance(what, str) else what()}"
        time.sleep(poll_seconds)
    return value
