"""The figures of the delay from an edit to the CRM: which deliveries they are of, and what they cost."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from crm_pipelines.contacts.story import story_of
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.statistics.delays import _SQL, Delays, delays, lateness
from crm_pipelines.statistics.status import crm_status
from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.patience import PATIENCE


def deliver(
    people: People, seconds: Sequence[float | None], *, ago: str = "5 minutes", outcome: str = "synced"
) -> None:
    """A delivery of a contact of its own for each, which took so long; None: nobody waited for it."""
    ids = people.add(len(seconds))
    people.run(
        "INSERT INTO crm_attempts"
        " (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at, wanted_since)"
        " SELECT id, 'brevo', 1, 'run', 1, 'synced', t.at, t.at, t.at - took * interval '1 s'"
        " FROM unnest(CAST(:ids AS uuid[]), CAST(:seconds AS float8[])) given (id, took),"
        " LATERAL (SELECT now() - CAST(:ago AS interval) AS at) t",
        ids=ids,
        seconds=list(seconds),
        ago=ago,
    )


def deliver_a_hundred(people: People) -> None:
    """Within the last hour, which took 1 to 100 s, and others that do not count."""
    deliver(people, range(1, 101))
    deliver(people, [5000.0] * 50, ago="61 minutes")
    deliver(people, [None] * 50)


@pytest.fixture
def hundred(people: People) -> People:
    deliver_a_hundred(people)
    return people


def test_the_percentiles_are_of_the_last_hours_deliveries_that_somebody_waited_for(hundred: People) -> None:
    found = delays(hundred.engine, "brevo")
    assert found == Delays(contacts=100, p50_seconds=50, p95_seconds=95, p99_seconds=99)
    assert delays(hundred.engine, "hubspot") == Delays()


def test_without_a_delivery_there_is_no_percentile(engine: sa.Engine) -> None:
    assert delays(engine, "brevo") == Delays()
    assert Delays().by_percent == {}
    assert lateness(engine, "brevo", late=timedelta(minutes=1)).p95_seconds == 0


def test_a_clock_that_was_set_back_makes_no_delay_negative(people: People) -> None:
    deliver(people, [-30.0])
    assert delays(people.engine, "brevo").p50_seconds == 0


def test_the_ledger_sums_them_up_by_day_and_for_all_days(hundred: People) -> None:
    *_, overall = Ledger(hundred.engine, "brevo").delays(30)
    assert overall == {"day": None, "contacts": 150, "p50_seconds": 75, "p95_seconds": 5000, "p99_seconds": 5000}


def test_status_the_api_and_metrics_tell_the_same(api: Api) -> None:
    deliver_a_hundred(People(api.engine))
    figures = {"contacts": 100, "p50_seconds": 50.0, "p95_seconds": 95.0, "p99_seconds": 99.0}
    assert crm_status(api.engine, "brevo").as_dict()["delay"] == {"window_seconds": 3600, **figures}
    [told] = api.get("/crm/status/summary", crm="brevo")["crms"]
    assert told["delay"] == {"window_seconds": 3600, **figures}
    text = api.session.get(f"{api.root}/metrics", timeout=PATIENCE).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    delay = families["crm_delay_seconds"]
    assert delay.type == "summary"
    assert {sample.labels["quantile"]: sample.value for sample in delay.samples} == {"0.5": 50, "0.95": 95, "0.99": 99}
    assert {sample.labels["crm"] for sample in delay.samples} == {"brevo"}, "no figure where nothing was delivered"
    counted = {sample.labels["crm"]: sample.value for sample in families["crm_delay_deliveries"].samples}
    assert (counted["brevo"], counted["hubspot"]) == (100, 0)


def test_a_run_tells_them_and_the_story_of_a_contact_its_own(people: People, pipeline: Pipeline) -> None:
    [contact_id] = people.add()
    people.run("UPDATE crm_syncs SET wanted_since = now() - interval '100 seconds'")
    metadata = pipeline.run().metadata
    assert metadata["delay_deliveries_1h"] == 1
    for percent in (50, 95, 99):
        assert 100 <= metadata[f"delay_p{percent}_seconds_1h"] < 100 + PATIENCE
    [past] = story_of(people.engine, contact_id).attempts
    assert past.delay_seconds is not None
    assert 100 <= past.delay_seconds < 100 + PATIENCE


@pytest.mark.parametrize(("name", "given"), [("delays", {}), ("lateness", {"late": timedelta(minutes=1)})])
def test_neither_the_ledger_nor_the_queue_is_read_in_whole(people: People, name: str, given: dict[str, Any]) -> None:
    deliver(people, [1.0] * 200, ago="2 hours")
    deliver(people, [1.0] * 200)
    with people.engine.begin() as connection:
        limits = {"crm": "brevo", "window": timedelta(hours=1), "most": 50, **given}
        plan = connection.execute(sa.text(f"EXPLAIN (ANALYZE) {_SQL[name].text}"), limits).scalars().all()
    assert "crm_attempts_recent_idx" in "".join(plan)
    assert not [line for line in plan if "Seq Scan on crm_attempts" in line or "Seq Scan on crm_syncs" in line]
    read = [line for line in plan if re.search("(Index|Bitmap Heap) .*Scan.* on crm_(attempts|syncs)", line)]
    assert read
    assert all(float(re.findall(r"rows=([\d.]+) loops", line)[-1]) <= 50 for line in read)
