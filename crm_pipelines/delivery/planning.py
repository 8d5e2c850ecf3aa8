"""Pure arithmetic of a run: how much to claim, how to split it, how long to wait before a retry."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from crm_pipelines.queue.bulk_imports import ImportEnd
from crm_pipelines.queue.model import Pace, RetryPolicy

T = TypeVar("T")

MAX_RUNTIME = timedelta(minutes=15)
"""After this Dagster ends the run (tag dagster/max_runtime)."""

FORCED_STOP = timedelta(minutes=10)
"""The longest that a run's process may live on after Dagster wants it ended."""

CLAIM_LEASE = MAX_RUNTIME + FORCED_STOP
"""How long a claim waits for its delivery to begin: longer than its run can take to get there."""

TRUST = timedelta(seconds=15)
"""How long a renewal of a lease allows requests to be begun (see fence.py)."""

DELIVERY_LEASE = timedelta(seconds=90)
"""A delivery that has begun is renewed every few seconds. Without a renewal for this long nobody can be sending: a
request begins within TRUST of one and takes 20 s at most; the rest is margin. A dead worker's contacts are free
then."""

IMPORT_SILENCE = timedelta(minutes=3)
"""An import that is on its way to the CRM gives a sign of life every second or so, and its request takes 60 s at most.
Without one for this long nobody can be sending it."""

IMPORT_DEADLINE = timedelta(minutes=30)
"""What of an import is not confirmed this long after it was sent goes singly."""

IMPORT_LEASE = IMPORT_DEADLINE + timedelta(minutes=15)
"""How long an import's claims are safe from rescue: they need no renewal, what is done with them is decided earlier."""

IMPORT_PATIENCE = timedelta(seconds=45)
"""How long a run waits for the imports that it has sent. Later ones are the next run's."""

LONGEST_SCAN = timedelta(minutes=5)
"""How long a run reads an account in search of blocked contacts: some three million at 10 requests a second."""

SCAN_TRUST = LONGEST_SCAN + timedelta(minutes=5)
"""How long after its begin a scan of the account allows imports to be sent; who unsubscribes in between is not seen."""

BULK_REST = timedelta(hours=1)
"""For how long contacts go singly once imports have failed: each try costs a scan of the account."""

_FAILED_IN_A_ROW = 2
_TOO_BIG = frozenset({"timed_out", "too_large"})

_MOST_HALVINGS = 4

MAX_BATCHES = 12
"""Each batch is two steps in Dagster's pages and some 25 events in its storage."""

# Between two batches nothing is sent for some tenths of a second; over so many seconds that is half a percent.
_BATCH_SECONDS = 60

# Contacts, where several go in one request. Each batch is held in memory, and all its leases are renewed together.
_LARGE_BATCH = 5000
_MOST_CLAIMED = 10 * _LARGE_BATCH

# In requests: of a page of contacts, and of an import's own requests and its wait.
_PAGE_COST = 2
_IMPORT_COST = 20

# Seconds; what was done within fewer says little about the rest.
_SHORTEST_MEASURE = 5

# Of the contacts that the account's rate allows, if one request each were enough. Where many go in one, up to three are
# needed; whoever was slower than this was at rest.
_BUSY_SHARE = 0.25

# A look at the contact, the delivery, and the list.
_REQUESTS_ALONE = 3

# Suspects go one at a time, so a long queue gives them a small part of a run; but it always gives them that.
_PER_SUSPECT = 10

# The rest of the interval is for starting Python, for claiming and for writing back.
_SENDING_SHARE = 0.8


def sending_budget(interval: timedelta) -> timedelta:
    """How long a run plans to send: most of the time until the next tick, and well within MAX_RUNTIME."""
    return min(interval * _SENDING_SHARE, MAX_RUNTIME * 2 / 3)


def importing_budget(interval: timedelta) -> timedelta:
    """How long a run begins further imports: half of its sending time, since they are also to be confirmed."""
    return sending_budget(interval) / 2


def claim_limit(budget: timedelta, rate_per_second: float, limit: int | None, *, together: int = 1) -> int:
    """How many contacts the rate allows within the budget, at least one; at most `limit`.

    `together` contacts go in one request. Where that is more than one, a run takes no more than ten large batches: a
    long queue is worked on by one run after the other.
    """
    possible = max(1, math.floor(budget.total_seconds() * rate_per_second * together))
    if together > 1:
        possible = min(possible, _MOST_CLAIMED)
    return possible if limit is None else min(possible, limit)


def limit_alone(budget: timedelta, rate_per_second: float, limit: int | None) -> int:
    """The same for contacts of which each goes alone, with all the requests that it may take."""
    return claim_limit(budget, rate_per_second / _REQUESTS_ALONE, limit)


def least_for_bulk(threshold: int, *, account: int, page_size: int) -> int:
    """From how many due contacts on an import is cheaper: `threshold`, and more for an account of many contacts.

    Before it the whole account is read, afterwards what was sent; a page counts as two deliveries, by the time that it
    takes. A full page overlaps its neighbour.
    """
    step = page_size - 1
    reading = _PAGE_COST * (math.ceil(account / step) + 1) + _IMPORT_COST
    return max(threshold, math.ceil(reading / (1 - _PAGE_COST / step)))


def bulk_held_up(ends: Sequence[ImportEnd]) -> timedelta | None:
    """For how long no import is tried, since the latest ones came to nothing; None when one may be. Newest first."""
    latest = ends[:_FAILED_IN_A_ROW]
    if len(latest) < _FAILED_IN_A_ROW or any(end.ended_as == "proved" for end in latest):
        return None
    left = BULK_REST - latest[0].age
    return left if left > timedelta() else None


def body_bytes(most: int, ends: Sequence[ImportEnd]) -> int:
    """How large an import may be: half after each that was too large or too slow, down to a sixteenth of `most`.

    Each that arrives doubles it again. `ends`: newest first.
    """
    halvings = 0
    for end in reversed(ends):
        if end.ended_as in _TOO_BIG:
            halvings = min(halvings + 1, _MOST_HALVINGS)
        elif end.ended_as == "proved":
            halvings = max(halvings - 1, 0)
    return most >> halvings


def suspects_share(limit: int) -> int:
    """How many of the contacts of a run may be crash suspects while others are due: one of ten; of two and more, one.

    Who asks for a single contact gets one that is under no suspicion.
    """
    return 0 if limit < 2 else max(1, limit // _PER_SUSPECT)


def smallest_batch(configured: int, rate_per_second: float, processes: int = 1, *, together: int = 1) -> int:
    """The setting, or what is sent in a minute by each of the processes that share the rate, where that is more.

    `together` contacts go in one request. A batch is read and prepared as a whole, so where many go in one request a
    minute's worth is too much.
    """
    in_a_minute = round(rate_per_second * together * _BATCH_SECONDS / processes)
    return max(configured, together, min(in_a_minute, max(_LARGE_BATCH, round(rate_per_second * _BATCH_SECONDS))))


def split(items: Sequence[T], smallest: int, most: int = MAX_BATCHES, *, together: int = 1) -> list[Sequence[T]]:
    """Consecutive batches of at least `smallest` items (but for the last) and at most `most` of them.

    Each is a multiple of `together`, so that no request but the last is half empty.
    """
    size = together * math.ceil(max(smallest, math.ceil(len(items) / most)) / together)
    return [items[start : start + size] for start in range(0, len(items), size)]


def time_to_empty(due: int, pace: Pace, rate_per_second: float, *, together: int = 1) -> timedelta:
    """In how long nothing of this backlog will be due: at the pace of late or, after a rest, at the account's rate.

    `together` contacts go in one request.
    """
    measured = pace.contacts / pace.seconds if pace.seconds >= _SHORTEST_MEASURE else 0.0
    possible = rate_per_second * together
    return timedelta(seconds=due / (measured if measured >= possible * _BUSY_SHARE else possible))


def retry_policy(max_retries: int, delay_minutes: float, *, exponential: bool) -> RetryPolicy:
    """5, 10, 20 minutes when exponential, else 5, 10, 15. At most a week, where doubling would pass it."""
    base = timedelta(minutes=delay_minutes)
    factors = [2**retry if exponential else retry + 1 for retry in range(max_retries)]
    return RetryPolicy(delays=tuple(min(base * factor, timedelta(weeks=1)) for factor in factors))
