"""How deliveries might stand, made up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from crm_pipelines.destinations.gates import Gate
from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import AlertSettings
from crm_pipelines.statistics.failures import FailureFigures, LastDay


def a_gate(**changes: Any) -> Gate:
    """An open one unless told otherwise."""
    return Gate(
        **{
            **dict.fromkeys(Gate.__dataclass_fields__),
            "crm": "brevo",
            "paused": False,
            "probing": False,
            "consecutive_failures": 0,
            "changed_at": datetime.now(UTC),
            **changes,
        }
    )


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
