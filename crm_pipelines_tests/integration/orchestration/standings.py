"""How deliveries might stand, made up."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from crm_pipelines.alerts.states import AlertCondition
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.orchestration.watching.findings import standing_finding
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import AlertSettings, load_settings
from crm_pipelines.statistics.failures import FailureFigures
from crm_pipelines.statistics.history import LastDay
from crm_pipelines_tests.fixtures.gates import a_gate


def a_standing(**changes: Any) -> DestinationStanding:
    """All is well, and seven contacts are due."""
    given: dict[str, Any] = {
        "crm": "brevo",
        "title": "Brevo",
        "gate": a_gate(),
        "backlog": Backlog(due=7, oldest_due=None, oldest_due_seconds=1.25),
        "figures": FailureFigures(failed=1, attempts=100, failed_attempts=3),
        "last_day": LastDay(attempts=200, failed_attempts=50),
        "delivered_in_all": 291,
        "stuck": 0,
        "stuck_after": timedelta(minutes=15),
        "limit_per_second": 10.0,
        "thresholds": AlertSettings(),
        **changes,
    }
    return DestinationStanding(**given)


def alert_on(engine: sa.Engine, crm: str) -> AlertCondition | None:
    """What people are told of how deliveries to this destination stand."""
    return standing_finding(standing_at(engine, load_settings(), crm), GateKeeper(engine, crm).read())
