"""Brevo's client as one of a CRM at which nothing must be sent twice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable


def at_most_once(patch: pytest.MonkeyPatch) -> None:
    """From now on every client of Brevo is so: what was asked, and not answered, may have been applied."""
    deliver = Brevo.deliver

    def deliver_once(self: Brevo, contacts: Sequence[Sendable], **more: Any) -> list[Outcome | None]:
        return [outcome and _as_known(outcome) for outcome in deliver(self, contacts, **more)]

    patch.setattr(Brevo, "repeatable", False)
    patch.setattr(Brevo, "deliver", deliver_once)


def _as_known(outcome: Outcome) -> Outcome:
    unanswered = outcome.result is Result.RETRY and outcome.answered and outcome.http_status is None
    return replace(outcome, result=Result.UNKNOWN) if unanswered else outcome
