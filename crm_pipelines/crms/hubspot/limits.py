"""What HubSpot's answers say of how fast the account may be asked (usage guidelines). Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from crm_pipelines.crms.answers import number_in, seconds_to_wait
from crm_pipelines.crms.outcomes import RateHeaders

DAY = timedelta(days=1)
WINDOW = timedelta(seconds=10)
"""Of the limit per app, where an answer does not tell another one."""
LOCKED = timedelta(seconds=2)
"""How long a lock lasts (423) at least."""
UNKNOWN_RESET = timedelta(minutes=90)
"""After that the daily limit is tried again, where the account's time zone is not known."""

# HubSpot's clock and ours.
_SLACK = timedelta(minutes=1)


def rate_headers(headers: Mapping[str, str], until_reset: timedelta) -> RateHeaders:
    """What an answer says of the rate limits: that of the day once less of it is left than of the 10 seconds.

    The 10 seconds roll, so nothing is said of when they end. `until_reset` is how long the day of the quota lasts.
    """
    limit, remaining, interval, daily = (
        number_in(headers.get(f"x-hubspot-ratelimit-{name}"))
        for name in ("max", "remaining", "interval-milliseconds", "daily-remaining")
    )
    if daily is not None and daily <= (remaining or 0):
        return RateHeaders(window=DAY, remaining=int(daily), reset_seconds=until_reset.total_seconds())
    return RateHeaders(
        limit=None if limit is None else int(limit),
        window=None if limit is None else WINDOW if not interval else timedelta(milliseconds=interval),
        remaining=None if remaining is None else int(remaining),
    )


def wait_of(
    headers: Mapping[str, str], now: datetime | None, *, default: timedelta | None, shortest: timedelta
) -> timedelta | None:
    """How long an answer asks to wait: what Retry-After says, else `default`; a day at most."""
    seconds = seconds_to_wait(headers, now)
    wait = default if seconds is None else timedelta(seconds=min(seconds, DAY.total_seconds()))
    return None if wait is None else min(max(wait, shortest), DAY)


def until_midnight(now: datetime, offset: timedelta | None) -> timedelta:
    """Until the daily quota begins anew, at midnight of the account; `now` is aware, `offset` that of its time zone."""
    if offset is None:
        return UNKNOWN_RESET
    there = now + offset
    passed = timedelta(hours=there.hour, minutes=there.minute, seconds=there.second)
    return DAY - passed + _SLACK
