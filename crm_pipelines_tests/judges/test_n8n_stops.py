"""A real n8n that is stopped while a workflow is at work: the contact is sent again, or never by itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.receivers import HttpReceiver
from crm_pipelines_tests.judges.running import N8n
from crm_pipelines_tests.judges.workflows import Credentials, new_path, request, webhook, workflow
from crm_pipelines_tests.patience import wait_until


@contextmanager
def stopped_while_it_waits_for(n8n: N8n, service: HttpReceiver) -> Iterator[None]:
    """n8n is told to stop as soon as its workflow has asked the service, and has stopped in the end."""

    def stop() -> None:
        wait_until(lambda: service.received, "the workflow has asked")
        n8n.tell_to_stop()

    service.held = True
    stopping = threading.Thread(target=stop)
    stopping.start()
    yield
    stopping.join()
    n8n.wait_stopped()
    service.held = False


@pytest.fixture
def service(http_receiver: Callable[[], HttpReceiver]) -> HttpReceiver:
    """What the workflow asks; it is told the idempotency key."""
    return http_receiver()


@pytest.fixture
def path(n8n: N8n, bearer: Credentials, service: HttpReceiver) -> str:
    """Of a workflow that asks the service, and answers with its answer."""
    path = new_path()
    asking = request(service.url, idempotency_key="={{ $json.headers['idempotency-key'] }}")
    n8n.publish(workflow(webhook(path, bearer=bearer), asking))
    return path


def test_a_contact_whose_workflow_was_broken_off_is_sent_again_with_the_same_idempotency_key(
    n8n: N8n, path: str, service: HttpReceiver, told: People, pipeline_to: Callable[..., Pipeline]
) -> None:
    told.add()
    pipeline = pipeline_to(path)
    with stopped_while_it_waits_for(n8n, service):
        assert pipeline.run().counts == {"claimed": 1, "retrying": 1}
    told.make_due()
    assert pipeline.run().counts == {"claimed": 1, "retrying": 1}, "nobody is there yet"
    assert len(service.received) == 1
    n8n.start()
    told.make_due()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    first, second = (one.headers["idempotency-key"] for one in service.received)
    assert first == second


def test_where_nothing_must_be_sent_twice_a_contact_whose_workflow_was_broken_off_waits_for_a_person(
    n8n: N8n, path: str, service: HttpReceiver, told: People, pipeline_to: Callable[..., Pipeline]
) -> None:
    [contact] = told.add()
    pipeline = pipeline_to(path, AT_MOST_ONCE="true")
    with stopped_while_it_waits_for(n8n, service):
        assert pipeline.run().counts == {"claimed": 1, "failed": 1}
    row = told.sync(contact)
    assert (row["state"], row["last_error_kind"]) == ("failed", "unknown")
    told.make_due()
    assert pipeline.run().counts == {}
    assert len(service.received) == 1
