"""Requests that a CRM counts apart from those about contacts."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """A bucket of requests: it holds `most`, and gets another one after each `refill`.

    So in any hour it gives `most` and an hour's refill. Its last `reserve` are left to what a person or a run cannot do
    without; looks at imports, which may come later as well, take none of them.
    """

    most: int
    refill: timedelta
    reserve: int
