"""Times as Mautic writes them."""

import time
from datetime import UTC, datetime
from functools import lru_cache


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=10_000)
def as_time(milliseconds: int) -> str:
    """In UTC, to the second, with +00:00."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat(timespec="seconds")
