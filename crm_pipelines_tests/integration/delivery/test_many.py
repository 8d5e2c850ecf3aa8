"""Many contacts in one request: who is at fault pays for it, and nobody else."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import database
from crm_pipelines.contacts.destinations import register
from crm_pipelines.crms import transport
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.postbox import Postbox, PostboxClient
from crm_pipelines_tests.integration.delivery.conftest import Delivery
from crm_pipelines_tests.patience import PATIENCE

Open = Callable[..., Delivery]


@pytest.fixture
def people(engine: sa.Engine) -> People:
    """Whose contacts go to the postbox."""
    register(engine, "postbox", "postbox")
    return People(engine, "postbox")


@pytest.fixture
def open_postbox(
    database_url: str, postbox: Postbox, people: People, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """A delivery to it, by a client with as much of the interface as the arguments say."""
    monkeypatch.setattr(transport, "READ_SECONDS", PATIENCE)
    engine = database.create_engine(database_url)
    opened: list[PostboxClient] = []

    def open_it(**settings: Any) -> Delivery:
        opened.append(PostboxClient(postbox.url, longest_request=timedelta(seconds=PATIENCE), **settings))
        return Delivery(engine, opened[-1])

    yield open_it
    for client in opened:
        client.close()
    engine.dispose()


@pytest.fixture
def delivery(open_postbox: Open) -> Delivery:
    return open_postbox()


def test_a_hundred_go_in_one_request(people: People, delivery: Delivery, postbox: Postbox) -> None:
    people.add(100)
    receipt = delivery.courier().deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 100}
    assert len(postbox.held()) == 100
    assert [len(one.addresses) for one in postbox.deliveries()] == [100]
    assert people.all("SELECT sum(requests) AS n, bool_and(answered) AS all_answered FROM crm_attempts") == [
        {"n": 1, "all_answered": True}
    ]


def test_the_real_job_delivers_many_in_a_request(
    postbox_people: People, postbox_environment: Postbox, in_memory: dg.DagsterInstance
) -> None:
    postbox_people.add(250)
    run = Pipeline(in_memory, "postbox").run()
    assert run.problem is None
    assert run.counts == {"claimed": 250, "synced": 250}
    assert sorted(len(one.addresses) for one in postbox_environment.deliveries()) == [50, 100, 100]
