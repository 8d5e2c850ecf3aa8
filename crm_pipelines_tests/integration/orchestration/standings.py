"""How deliveries might stand, made up."""

from datetime import timedelta
from typing import Any

from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import AlertSettings
from crm_pipelines.statistics.failures import FailureFigures, LastDay
from crm_pipelines_tests.fixtures.gates import a_gate


def a_standing(**changes: Any) -> DestinationStanding:
    """All is well, and seven contacts are due."""
    given: dict[str, Any] = {
        "crm": "brevo",
        "gate": a_gate(),
        "backlog": Backlog(due=7, oldest_due=None, oldest_due_seconds=1.25),
        "figures": FailureFigures(failed=1, open_for=timedelta(days=9), attempts=100, failed_attempts=3),
        "last_day": LastDay(attempts=200, failed_attempts=50),
        "stuck": 0,
        "stuck_after": timedelta(minutes=15),
        "limit_per_second": 10.0,
        "thresholds": AlertSettings(),
        **changes,
    }
    return DestinationStanding(**given)
