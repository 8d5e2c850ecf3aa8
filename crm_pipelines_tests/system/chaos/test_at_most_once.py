"""A worker is killed around its requests to a CRM at which nothing must be sent twice."""

import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from crm_pipelines.contacts.story import story_of
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.at_most_once import at_most_once
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.system.chaos.conftest import StartWorker, until_quiet
from crm_pipelines_tests.system.chaos.test_kill_matrix import EARLIER, at

AT_MOST_ONCE = {"CRM_PIPELINES_TEST_AT_MOST_ONCE": "1"}
# From here on requests were begun whose outcome is in no ledger when the worker dies.
LEAVES_SOME_UNKNOWN = {"before_send", "after_send", "before_record"}
NOTHING_IS_SENT_YET = {"after_intend"}
NO_MATTER = {"before_fence", "after_record", "before_apply"}  # other threads may be sending, or all have ended


@pytest.mark.parametrize("point", sorted(LEAVES_SOME_UNKNOWN | NOTHING_IS_SENT_YET | NO_MATTER))
def test_killed_at_any_step_nobody_is_sent_twice_and_who_may_have_arrived_is_parked(
    point: str,
    people: People,
    queue: Queue,
    crew: list[Any],
    account: BrevoSandbox,
    start_worker: StartWorker,
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue.claim(EARLIER, limit=2, lease=timedelta(minutes=25))  # so that there is something to be rescued
    people.expire_leases()
    assert start_worker(AT_MOST_ONCE, fault=at(point, "kill")).wait() == -signal.SIGKILL
    begun = people.all("SELECT contact_id FROM crm_syncs WHERE state = 'claimed' AND sending_claim_no = claim_no")
    known = people.all("SELECT contact_id FROM crm_attempts WHERE outcome = 'synced'")
    at_most_once(monkeypatch)
    until_quiet(people, pipeline, account)
    unknown = {one["contact_id"] for one in begun} - {one["contact_id"] for one in known}
    rows = people.all("SELECT contact_id, state, last_error_kind FROM crm_syncs")
    assert {row["contact_id"] for row in rows if row["last_error_kind"] == "unknown"} == unknown
    assert {row["state"] for row in rows if row["contact_id"] not in unknown} <= {"synced"}
    assert unknown or point not in LEAVES_SOME_UNKNOWN
    assert not unknown or point not in NOTHING_IS_SENT_YET
    arrived = Counter(entry["ext_id"] for entry in account.requests() if entry["applied"])
    assert all(arrived[str(one)] == 1 for one in crew if one not in unknown)
    assert all(arrived[str(one)] <= 1 for one in unknown)
    for one in unknown:
        assert story_of(people.engine, one).crms[0].next.startswith("Not sent again by itself: it may have arrived.")
