"""Times as HubSpot writes them."""

import time
from datetime import UTC, datetime
from functools import lru_cache


def now_ms() -> int:
    """Milliseconds since the epoch, the precision of HubSpot's times."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=10_000)
def as_time(milliseconds: int) -> str:
    """In UTC, with a Z."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
