"""What Mautic's answers say of how fast the instance may be asked. Pure.

Mautic limits nothing unless its owner says so (`api_rate_limiter_limit`); then so many requests are allowed in an hour
(app/config/config.php). The names of the headers, and that the reset is a moment in seconds since 1970, are those of
the bundle that does it (noxlogic/ratelimit-bundle): an assumption, since no Mautic was seen to send them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from crm_pipelines.crms.answers import number_in, seconds_to_wait
from crm_pipelines.crms.outcomes import RateHeaders

HOUR = timedelta(hours=1)
SHORTEST_WAIT = timedelta(seconds=1)
UNTOLD_WAIT = timedelta(minutes=1)
"""After a refusal for rate that does not say how long: a proxy's, or an hour of which nobody knows when it ends."""


def rate_headers(headers: Mapping[str, str], now: datetime) -> RateHeaders:
    """What an answer says of the rate limit; `now` (aware) is the moment of the answer."""
    limit, remaining, reset = (
        number_in(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    if limit is None:
        return RateHeaders()
    left = None if reset is None else min(max(0.0, reset - now.timestamp()), HOUR.total_seconds())
    return RateHeaders(
        limit=int(limit),
        window=HOUR,
        remaining=None if remaining is None else int(remaining),
        reset_seconds=left,
    )


def wait_of(headers: Mapping[str, str], now: datetime, *, refused_for_rate: bool) -> timedelta | None:
    """How long an answer asks to wait, an hour at most; that of a refusal for rate has a wait always."""
    seconds = seconds_to_wait(headers, now)
    if seconds is None and refused_for_rate:
        seconds = rate_headers(headers, now).reset_seconds
        seconds = UNTOLD_WAIT.total_seconds() if seconds is None else seconds
    if seconds is None:
        return None
    return min(max(timedelta(seconds=min(seconds, HOUR.total_seconds())), SHORTEST_WAIT), HOUR)
