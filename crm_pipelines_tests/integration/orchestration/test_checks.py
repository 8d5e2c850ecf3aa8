"""The asset checks: what makes each red, that runs and a sensor evaluate them, and fidelity to what was sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration import checks
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.checks import SUMS_ADD_UP, checks_sensor, standing_checks, standing_evaluations
from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.orchestration.watching.fidelity import fidelity_schedule, last_look
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import load_settings
from crm_pipelines.statistics.failures import FailureFigures
from crm_pipelines_tests.fixtures.gates import a_gate
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, schedule_context
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.standings import a_standing

STANDING_CHECKS = standing_checks("brevo")
QUEUE = dg.AssetKey(["brevo", "queue"])


def red(standing: DestinationStanding) -> set[str]:
    return {one.check_name for one in standing_evaluations(standing) if not one.passed}


def figures(**changes: Any) -> FailureFigures:
    given = {"failed": 0, "attempts": 0, "failed_attempts": 0, **changes}
    return FailureFigures(**given)


def test_all_is_green_when_all_is_well() -> None:
    assert red(a_standing()) == set()
    assert [one.asset_check_key for one in standing_evaluations(a_standing())] == STANDING_CHECKS


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (a_standing(stuck=1), {"nothing_stuck"}),
        (a_standing(backlog=Backlog(due=1, oldest_due=None, oldest_due_seconds=3600)), {"oldest_due"}),
        (a_standing(figures=figures(failed=50)), {"error_backlog"}),
        (a_standing(figures=figures(attempts=20, failed_attempts=10)), {"attempts_succeed"}),
        (a_standing(gate=a_gate(paused=True, pause_kind="credentials", pause_reason="no")), {"gate_is_open"}),
        (a_standing(gate=a_gate(paused=True, pause_kind="outage", pause_reason="no")), {"gate_is_open"}),
        (a_standing(gate=a_gate(paused=True, pause_kind="rejects", pause_reason="no")), {"gate_is_open"}),
        (a_standing(gate=a_gate(paused=True, pause_kind="manual", pause_reason="no")), {"gate_is_open"}),
        (a_standing(gate=a_gate(paused=True, pause_kind="restored", pause_reason="no")), {"gate_is_open"}),
    ],
)
def test_each_check_is_red_for_its_own_state_only(standing: DestinationStanding, expected: set[str]) -> None:
    assert red(standing) == expected


@pytest.mark.parametrize(
    "standing",
    [
        a_standing(gate=a_gate(paused=True, pause_kind="rate_limit", pause_reason="slowly")),
        a_standing(figures=figures(attempts=19, failed_attempts=19)),
        a_standing(
            backlog=Backlog(due=1, oldest_due=None, oldest_due_seconds=36_000),
            gate=a_gate(open_for=timedelta(minutes=3)),
        ),
    ],
    ids=["a limit that was reached", "a share of few attempts", "time in which nothing was sent"],
)
def test_what_is_no_fault_is_not_red(standing: DestinationStanding) -> None:
    assert red(standing) == set()


def test_claims_that_wait_for_a_closed_gate_are_not_called_stuck() -> None:
    for kind in ("credentials", "settings"):
        closed = a_gate(paused=True, pause_kind=kind, pause_reason="no")
        assert red(a_standing(stuck=5, gate=closed)) == {"gate_is_open"}


@pytest.mark.usefixtures("brevo_environment")
def test_each_may_be_executed_from_its_page(people: People, in_memory: dg.DagsterInstance) -> None:
    people.add(1)
    result = (
        build_definitions(load_settings())
        .get_repository_def()
        .get_implicit_global_asset_job_def()
        .get_subset(asset_check_selection={key for key in STANDING_CHECKS if key.asset_key == QUEUE})
        .execute_in_process(instance=in_memory)
    )
    assert {one.check_name for one in result.get_asset_check_evaluations() if one.passed} == {
        "nothing_stuck",
        "oldest_due",
        "gate_is_open",
    }


def test_every_run_evaluates_every_cheap_check_with_its_evidence(people: People, pipeline: Pipeline) -> None:
    people.add(2)
    evaluations = pipeline.run().result.get_asset_check_evaluations()
    assert {one.asset_check_key for one in evaluations} == {
        *STANDING_CHECKS,
        dg.AssetCheckKey(dg.AssetKey(["brevo", "contacts"]), SUMS_ADD_UP),
    }
    assert all(one.passed and one.metadata for one in evaluations)


class ChecksSensor:
    """Ticks of brevo_checks_sensor, whose reports are stored as the daemon would."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._sensor = checks_sensor(load_settings().destination("brevo"))

    def tick(self) -> dict[str, bool]:
        """Reported verdicts by check; `(queue)`: the queue was reported."""
        context = dg.build_sensor_context(instance=self._instance)
        result = self._sensor.evaluate_tick(context)
        for event in result.asset_events:
            self._instance.report_runless_asset_event(event)
        return {
            getattr(event, "check_name", "(queue)"): getattr(event, "passed", True) for event in result.asset_events
        }


@pytest.mark.usefixtures("brevo_environment")
def test_between_runs_a_sensor_reports_a_verdict_when_it_changes_and_only_then(
    people: People, in_memory: dg.DagsterInstance
) -> None:
    sensor = ChecksSensor(in_memory)
    well = {**{key.name: True for key in STANDING_CHECKS}, "(queue)": True}
    assert sensor.tick() == well
    assert sensor.tick() == {}
    GateKeeper(people.engine, "brevo").close("The key was withdrawn.", "fingerprint")
    assert sensor.tick() == {**well, "gate_is_open": False}
    assert told_by_asset_and_checks(in_memory) == {
        "Brevo refuses us. Nothing is sent; contacts wait, and no try is used up."
    }
    assert sensor.tick() == {}
    GateKeeper(people.engine, "brevo").open()
    assert sensor.tick() == well
    assert told_by_asset_and_checks(in_memory) == {"Nothing is due for Brevo."}


def told_by_asset_and_checks(instance: dg.DagsterInstance) -> set[Any]:
    """What the asset's page says of how deliveries stand."""
    event = instance.get_latest_materialization_event(QUEUE)
    assert event is not None
    assert event.asset_materialization is not None
    checks = [dg.AssetCheckKey(QUEUE, name) for name in ("gate_is_open", "oldest_due")]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    told = [record.evaluation.description for record in latest.values() if record.evaluation]
    return {event.asset_materialization.metadata["sentence"].value, *told}


@pytest.mark.usefixtures("brevo_environment")
def test_a_green_check_says_no_more_that_something_ails_when_that_is_over(
    people: People, in_memory: dg.DagsterInstance
) -> None:
    gate = GateKeeper(people.engine, "brevo")
    gate.pause("rate_limit", "The day is used up.", timedelta(hours=5))
    sensor = ChecksSensor(in_memory)
    sensor.tick()
    assert all("allowance" in str(told) for told in told_by_asset_and_checks(in_memory))
    people.run("UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, pause_reason = NULL WHERE crm = 'brevo'")
    sensor.tick()
    assert told_by_asset_and_checks(in_memory) == {"Nothing is due for Brevo."}


@pytest.mark.usefixtures("brevo_environment")
def test_the_sensor_reports_the_queue_once_an_hour_and_every_verdict_with_it(
    people: People, in_memory: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(2)
    sensor = ChecksSensor(in_memory)
    sensor.tick()
    monkeypatch.setattr(checks, "_REPORT_SECONDS", -1)
    assert sensor.tick() == {**{key.name: True for key in STANDING_CHECKS}, "(queue)": True}
    event = in_memory.get_latest_materialization_event(QUEUE)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["due"].value == 2


@pytest.mark.usefixtures("brevo_environment")
def test_a_claim_whose_lease_is_long_over_is_stuck(people: People, pipeline: Pipeline) -> None:
    people.add()
    people.run(
        "UPDATE crm_syncs SET state = 'claimed', claim_no = 1, claimed_by = 'nobody', lease_until = now() - :ago",
        ago=timedelta(minutes=11),
    )
    sensor = ChecksSensor(pipeline.instance)
    assert sensor.tick()["nothing_stuck"], "two ticks may be missed"
    people.run("UPDATE crm_syncs SET lease_until = now() - interval '16 min'")
    assert [name for name, passed in sensor.tick().items() if not passed] == ["nothing_stuck"]
    pipeline.run()
    assert people.states() == {"synced": 1}, "a run frees it"


def look(pipeline: Pipeline, sample: int = 50) -> dg.AssetCheckEvaluation:
    """A run of brevo_fidelity."""
    job = build_definitions(load_settings()).get_repository_def().get_job("brevo_fidelity")
    config = {"ops": {"brevo__read_back_fidelity": {"config": {"sample": sample}}}}
    result = job.execute_in_process(instance=pipeline.instance, run_config=config)
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def numbers(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {
        name: value.value
        for name, value in evaluation.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }


def test_contacts_that_are_at_brevo_as_they_were_sent_pass(people: People, pipeline: Pipeline) -> None:
    people.add(2)
    people.add(1, phone_number="+4915112345678")
    pipeline.run()
    evaluation = look(pipeline)
    assert evaluation.passed
    assert numbers(evaluation) == {
        "compared": 3,
        "edited_meanwhile": 0,
        "not_readable": 0,
        "lowest_match_percent": 100.0,
    }


def test_a_field_that_brevo_dropped_is_named_and_no_value_is(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"SHOE_SIZE": "text"})
    people.add(2, custom_fields='{"Shoe size": "Zanzibar"}')
    pipeline.run()
    brevo_sandbox.delete_attribute("SHOE_SIZE")
    evaluation = look(pipeline)
    assert not evaluation.passed
    assert evaluation.description == "Below 95 %: SHOE_SIZE 0 %."
    told = f"{evaluation.description} {evaluation.metadata}"
    assert "| SHOE_SIZE | 2 | 0.0 % |" in told
    assert "Zanzibar" not in told
    assert "@" not in told
    assert not any("@" in one["path"] or "%40" in one["path"] for one in brevo_sandbox.requests(method="GET"))


def test_a_contact_that_is_gone_from_brevo_is_told(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1)
    pipeline.run()
    brevo_sandbox.reset()
    assert look(pipeline).description == "Below 95 %: (contact) 0 %."


def test_a_contact_that_was_edited_meanwhile_is_not_counted_as_different(people: People, pipeline: Pipeline) -> None:
    ids = people.add(2)
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = 'Somebody Else' WHERE id = :id", id=ids[0])
    evaluation = look(pipeline)
    assert evaluation.passed
    assert numbers(evaluation)["compared"] == 1


def test_a_contact_that_is_edited_while_it_is_read_does_not_count(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(1)
    pipeline.run()
    edit = "UPDATE crm_contacts SET name = 'Somebody Else'"
    monkeypatch.setattr(CrmSession, "heed", lambda self, outcome: people.run(edit))
    found = numbers(look(pipeline))
    assert (found["compared"], found["edited_meanwhile"]) == (0, 1)


def test_a_contact_that_would_be_sent_otherwise_by_now_does_not_count(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    pipeline.run()
    people.run("UPDATE crm_syncs SET payload_hash = 'under another mapping'")
    found = numbers(look(pipeline))
    assert (found["compared"], found["edited_meanwhile"]) == (0, 1)


def test_the_next_look_begins_where_the_last_one_ended(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    pipeline.run()
    before = datetime.now(UTC)
    assert numbers(look(pipeline))["compared"] == 1
    assert last_look(pipeline.instance, "brevo") >= before.replace(microsecond=0)
    assert numbers(look(pipeline))["compared"] == 0


def test_a_paused_gate_ends_the_reading_and_the_next_look_makes_up_for_it(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    pipeline.run()
    gate = GateKeeper(people.engine, "brevo")
    gate.pause("outage", "down", timedelta(minutes=9))
    evaluation = look(pipeline)
    assert (evaluation.passed, numbers(evaluation)["compared"]) == (True, 0)
    assert evaluation.description == "Reading ended early: sending is paused."
    gate.open()
    assert numbers(look(pipeline))["compared"] == 1


def test_an_answer_that_asks_to_slow_down_reaches_the_gate(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1)
    pipeline.run()
    brevo_sandbox.fault("status", status=429, method="GET", headers={"x-sib-ratelimit-reset": "600"})
    assert numbers(look(pipeline))["not_readable"] == 1
    assert GateKeeper(people.engine, "brevo").read().pause_kind == "rate_limit"


@pytest.mark.usefixtures("brevo_environment")
def test_the_hourly_look_skips_when_nothing_was_delivered(people: People, instance: dg.DagsterInstance) -> None:
    schedule = fidelity_schedule(load_settings().destination("brevo"))
    pipeline = Pipeline(instance)

    def reason() -> str | None:
        return schedule.evaluate_tick(schedule_context(instance)).skip_message

    assert reason() == "Nothing was delivered since the last look."
    people.add(1)
    pipeline.run()
    assert reason() is None
    look(pipeline)
    assert reason() == "Nothing was delivered since the last look."
    GateKeeper(people.engine, "brevo").close("The key was withdrawn.", "fingerprint")
    assert reason() == "Sending is paused."
