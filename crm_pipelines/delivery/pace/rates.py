"""How fast an account may be asked: the setting, and what the account's answers say. Knows no CRM."""

from datetime import timedelta

from crm_pipelines.crms.outcomes import RateHeaders
from crm_pipelines.settings import CrmSettings

LONGEST_PAUSE = timedelta(days=1)
"""For rate: no CRM counts over more than a day, whatever its answer says."""

# Shorter ones are handled by spacing the requests; waiting for each to end would halve the rate.
_SHORT_WINDOW = timedelta(seconds=2)
# What is on its way counts as used of a window this long. In a shorter one, evenly spaced requests leave so little at
# its end that a pause would come with every window.
_LONG_WINDOW = timedelta(minutes=1)


class RateLimit:
    """The rate in force. `configured` is a ceiling when the user set it, else only what to assume until told.

    `reserved` is the share (0 to 1) of the account's limit that is left to its other tools.
    """

    def __init__(
        self, configured: float, *, is_ceiling: bool, observed: float | None = None, reserved: float = 0.0
    ) -> None:
        self._configured = configured
        self._is_ceiling = is_ceiling
        self._observed = observed
        self._reserved = reserved
        # By window, since an answer tells of one: an account may allow 20 a second, and 36,000 an hour.
        self._by_window: dict[timedelta, float] = {}

    @property
    def per_second(self) -> float:
        """Requests per second."""
        limit = self._configured if self._observed is None else self._observed
        ours = limit * (1 - self._reserved)
        return min(self._configured, ours) if self._is_ceiling else ours

    @property
    def threads(self) -> int:
        """Enough to keep the rate with answers that take a second; requests are made one per thread."""
        return max(4, min(32, round(self.per_second)))

    def learn(self, rate: RateHeaders) -> float | None:
        """Note a reported limit; returns the narrowest one, in requests per second, when it is news.

        A limit without its window says nothing: it could be of a second or of a day.
        """
        if not rate.limit or rate.limit < 0 or not rate.window or rate.window < timedelta():
            return None
        self._by_window[rate.window] = rate.limit / rate.window.total_seconds()
        observed = min(self._by_window.values())
        if observed == self._observed:
            return None
        self._observed = observed
        return observed

    def used_up_for(self, rate: RateHeaders) -> timedelta | None:
        """How long no request is allowed, when a long window has none left beside those that are on their way.

        That is until it resets, and never longer than the window is.
        """
        if rate.remaining is None or rate.reset_seconds is None:
            return None
        longest = min(rate.window or LONGEST_PAUSE, LONGEST_PAUSE)
        pause = timedelta(seconds=min(rate.reset_seconds, longest.total_seconds()))
        on_their_way = self.threads if rate.window is not None and rate.window >= _LONG_WINDOW else 0
        return pause if pause > _SHORT_WINDOW and rate.remaining <= on_their_way else None


def rate_limit_of(destination: CrmSettings, observed: float | None) -> RateLimit:
    """The rate that the settings and what the account has reported allow."""
    return RateLimit(
        destination.rate_limit_per_second,
        is_ceiling="rate_limit_per_second" in destination.model_fields_set,
        observed=observed,
        reserved=destination.rate_limit_reserve_percent / 100,
    )
