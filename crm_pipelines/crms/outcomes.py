"""What a request to a CRM came to, in words that are the same for all."""

import enum
from dataclasses import dataclass, field
from datetime import timedelta


class Result(enum.StrEnum):
    """What one delivery came to; what follows for the contact and for the gate is `delivery`'s business."""

    SYNCED = "synced"
    RETRY = "retry"  # outage: counted as an attempt, tried again later
    SNOOZED = "snoozed"  # the CRM asks to wait: not counted
    REJECTED = "rejected"  # permanent for this payload
    UNKNOWN = "unknown"  # may have been applied, and must not be sent twice: a person decides
    REFUSED = "refused"  # the credentials, the account or a setting, not the contact: closes the gate


SETTINGS = "settings"
"""Kind of a refusal of what our settings, or the way to the CRM, put into every request."""


@dataclass(frozen=True, kw_only=True)
class RateHeaders:
    """What the CRM's answer said about its rate limit; None where it said nothing.

    `limit` requests are allowed in each `window`, of which `remaining` are left until it ends in `reset_seconds`. An
    answer that tells of several windows is reported by the one that is nearest to being used up. Where only what
    remains matters, and nobody wants a day's limit spread over the day, the CRM's module leaves `limit` out.
    """

    limit: int | None = None
    window: timedelta | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one delivery.

    `kind` is a stable word for grouping (such as `outage`, `rate_limit`, `rejected`, `credentials`,
    `ip_not_authorised`, `consent`, `duplicate_phone`); `code` and `message` are the CRM's own words without secrets,
    `message` at most 500 characters. `retry_after` is how long the CRM asks us to wait. `sent_attributes` are the
    names that the CRM now holds a value of ours for; `left_out` those that it refused, so that the rest was sent;
    `warnings` are those of the delivery, beside the payload's own. `lists` and `remote_mark` are to be remembered as
    `Remembered`. `whole`: a request of several contacts was refused as a whole, without effect, and which of them is
    meant is not known.

    Of a delivery, `answered` is whether the CRM was asked about this contact, so that the result is its answer, or that
    none came; `requests` are HTTP requests. Of contacts that shared requests, one carries their number and the others
    0, so that each request counts once: the first of which the CRM told something, so that its result is neither RETRY
    nor UNKNOWN, if there is one, else the first.

    Of a probe, `untried`: the CRM does not tell whether the credentials are accepted unless it is sent a contact.
    """

    result: Result
    kind: str | None = None
    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    retry_after: timedelta | None = None
    remote_key: str | None = None
    remote_id: str | None = None
    remote_mark: str | None = None
    lists: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    sent_attributes: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    requests: int = 0
    answered: bool = False
    whole: bool = False
    untried: bool = False
    rate: RateHeaders = field(default_factory=RateHeaders)

    @property
    def shared(self) -> bool:
        """Whether another contact carries the number of its requests."""
        return self.answered and not self.requests
