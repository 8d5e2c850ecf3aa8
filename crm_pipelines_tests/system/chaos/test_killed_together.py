"""A worker is killed while many contacts are in its request."""

import os
import signal
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.postbox import Postbox
from crm_pipelines_tests.worker import Worker, started


@pytest.mark.parametrize("point", ["before_send", "after_send", "before_record", "after_record"])
def test_nothing_is_lost_each_goes_alone_the_next_time_and_is_sent_twice_at_most(
    point: str, postbox_people: People, postbox: Postbox, in_memory: dg.DagsterInstance, tmp_path: Path
) -> None:
    postbox_people.add(120)
    variables = {name: value for name, value in os.environ.items() if name.startswith(("CRM_", "POSTBOX_"))}
    with started(Worker({**variables, "CRM_PIPELINES_TEST_CRM": "postbox"}, tmp_path, fault=f"{point}:kill")) as worker:
        assert worker.wait() == -signal.SIGKILL
    before = len(postbox.deliveries())
    known = {row["contact_id"] for row in postbox_people.all("SELECT contact_id FROM crm_attempts")}
    postbox_people.expire_leases()
    pipeline = Pipeline(in_memory, "postbox")
    for _ in range(3):
        pipeline.run()
    assert postbox_people.states() == {"synced": 120}
    assert len(postbox.contacts) == 120
    again = [one.addresses for one in postbox.deliveries()[before:]]
    assert [len(addresses) for addresses in again] == [1] * (120 - len(known)), "who is known is not sent again"
    sends = Counter(address for one in postbox.deliveries() for address in one.addresses)
    assert max(sends.values()) <= 2
    assert postbox_people.all("SELECT max(crashes) AS most FROM crm_syncs")[0]["most"] <= 1
