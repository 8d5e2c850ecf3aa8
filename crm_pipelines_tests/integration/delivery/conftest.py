"""A courier of a test's own, on connections that a test can tell apart and cut."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.crms import transport
from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.database import connecting
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.pace import session
from crm_pipelines.delivery.pace.rates import RateLimit
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.planning import CLAIM_LEASE, retry_policy
from crm_pipelines.delivery.single.courier import Courier
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Claim
from crm_pipelines.settings import BrevoSettings, load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE

RUN = "run-1"
POLICY = retry_policy(3, 5, exponential=True)
_CONNECTION = "courier under test"


def brevo(base_url: str) -> Brevo:
    """A client that waits for a held answer as long as tests wait for anything."""
    return Brevo(
        api_key="xkeysib-test",
        base_url=base_url,
        mapping=load_mapping(None),
        longest_request=timedelta(seconds=PATIENCE),
    )


class Delivery:
    """What one run needs to deliver contacts; its database connections are apart from those of the test."""

    def __init__(self, engine: sa.Engine, crm: Crm) -> None:
        self.engine = engine
        self.queue = Queue(engine, crm.name)
        self.gate = GateKeeper(engine, crm.name)
        self.crm = crm

    @property
    def account(self) -> Account:
        """Of a destination with a rate that no test waits for."""
        settings = load_settings()
        return Account(
            settings=settings,
            destination=BrevoSettings(rate_limit_per_second=500),
            engine=self.engine,
            queue=self.queue,
            gate=self.gate,
            crm=self.crm,
        )

    def claim(self, count: int = 100, run_id: str = RUN) -> list[Claim]:
        return self.queue.claim(run_id, limit=count, lease=CLAIM_LEASE)

    def session(self, *, rate: float = 500, **replaced: Any) -> CrmSession:
        parts: dict[str, Any] = {"gate": self.gate, "crm": self.crm, "limit": RateLimit(rate, is_ceiling=True)}
        return CrmSession(**{**parts, **replaced})

    def courier(self, *, run_id: str = RUN, queue: Queue | None = None, **session: Any) -> Courier:
        return Courier(queue=queue or self.queue, session=self.session(**session), run_id=run_id)

    def apply(self, run_id: str = RUN) -> dict[str, int]:
        """Carry the outcomes over; returns how many contacts came to which state."""
        states: dict[str, int] = {}
        for row in self.queue.apply(run_id, POLICY):
            states[row.state] = states.get(row.state, 0) + row.contacts
        return states

    def waiting(self, people: People) -> int:
        """How many of its connections wait for a lock."""
        return len(
            people.all(
                "SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = :name AND wait_event_type = 'Lock'",
                name=_CONNECTION,
            )
        )

    def cut(self, people: People) -> int:
        """Terminate all its connections; returns how many there were."""
        return len(
            people.all(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = :name",
                name=_CONNECTION,
            )
        )


@pytest.fixture
def delivery(database_url: str, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Delivery]:
    monkeypatch.setattr(transport, "READ_SECONDS", PATIENCE)
    monkeypatch.setattr(session, "_PATIENCE_TO_SEND", timedelta(seconds=PATIENCE))
    engine = connecting.create_engine(database_url, application_name=_CONNECTION)
    crm = brevo(brevo_sandbox.url)
    yield Delivery(engine, crm)
    crm.close()
    engine.dispose()
