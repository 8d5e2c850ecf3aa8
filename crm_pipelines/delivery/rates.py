"""How fast an account may be asked: the setting, and what the account's answers say."""

from datetime import timedelta

from crm_pipelines.crms.base import RateHeaders
from crm_pipelines.settings import CrmSettings

# Assumption (no CRM documents which of its windows the headers describe): a limit of a thousand or more counts an hour,
# a smaller one a second. It fits every published tier of Brevo: 10, 20, 60 per second; 36,000 and more per hour.
_HOURLY_FROM = 1000
# Shorter windows are handled by spacing the requests; waiting for each to end would halve the rate.
_SHORT_WINDOW_SECONDS = 2.0


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
        self._by_window: dict[str, float] = {}

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
        """Note a reported limit; returns it, in requests per second, when it is news."""
        if not rate.limit or rate.limit < 0:
            return None
        if _is_hourly(rate):
            self._by_window["hour"] = rate.limit / 3600
        else:
            self._by_window["second"] = float(rate.limit)
        observed = min(self._by_window.values())
        if observed == self._observed:
            return None
        self._observed = observed
        return observed

    def used_up_for(self, rate: RateHeaders) -> timedelta | None:
        """How long no request is allowed, when a long window has none left beside those that are on their way."""
        if rate.remaining is None or rate.reset_seconds is None or rate.reset_seconds <= _SHORT_WINDOW_SECONDS:
            return None
        if rate.remaining > (self.threads if _is_hourly(rate) else 0):
            return None
        return timedelta(seconds=rate.reset_seconds)


def rate_limit_of(destination: CrmSettings, observed: float | None) -> RateLimit:
    """The rate that the settings and what the account has reported allow."""
    return RateLimit(
        destination.rate_limit_per_second,
        is_ceiling="rate_limit_per_second" in destination.model_fields_set,
        observed=observed,
        reserved=destination.rate_limit_reserve_percent / 100,
    )


def _is_hourly(rate: RateHeaders) -> bool:
    return rate.limit is not None and rate.limit >= _HOURLY_FROM
