"""What Brevo's answers say of how fast the account may be asked. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from crm_pipelines.crms.allowances import Allowance
from crm_pipelines.crms.answers import number_in, seconds_to_wait
from crm_pipelines.crms.outcomes import RateHeaders

SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(hours=1)
"""An answer names at most the rest of an hour, Brevo's longest window. What is longer is a moment, or milliseconds."""

ASIDE = Allowance(most=30, refill=timedelta(hours=1) / 70, reserve=10)
"""Brevo allows 100 requests an hour to whatever is not about contacts (GET /account, GET /processes): the bucket and
what comes into it in an hour."""

# Assumption (Brevo does not document which of its windows the headers describe): a limit of a thousand or more is of an
# hour, a smaller one of a second. It fits every published tier: 10, 20, 60 per second; 36,000 and more per hour.
_HOURLY_FROM = 1000
_SECOND, _HOUR = timedelta(seconds=1), timedelta(hours=1)
# A window of a second that begins with the answer may be rounded up to this. What resets later is of another one.
_LATEST_RESET_OF_A_SECOND = 2.0


def rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """What an answer says of the rate limit; the reset is read as seconds (developers.brevo.com/docs/limit-headers)."""
    limit, remaining, reset = (
        number_in(headers.get(f"x-sib-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    return RateHeaders(
        limit=None if limit is None else int(limit),
        window=None if limit is None else _window(limit, reset),
        remaining=None if remaining is None else int(remaining),
        reset_seconds=None if reset is None else min(reset, LONGEST_WAIT.total_seconds()),
    )


def _window(limit: float, reset_seconds: float | None) -> timedelta | None:
    """None where limit and reset contradict each other."""
    if limit >= _HOURLY_FROM:
        return _HOUR
    return _SECOND if (reset_seconds or 0) <= _LATEST_RESET_OF_A_SECOND else None


def wait_of(headers: Mapping[str, str], now: datetime | None, *, refused_for_rate: bool) -> timedelta | None:
    """How long an answer asks to wait; that of a refusal for rate has a wait always. `now` as in `classify`."""
    seconds = seconds_to_wait(headers, now)
    if seconds is None and refused_for_rate:
        seconds = number_in(headers.get("x-sib-ratelimit-reset")) or 0.0
    if seconds is None:
        return None
    return min(max(timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds())), SHORTEST_WAIT), LONGEST_WAIT)
