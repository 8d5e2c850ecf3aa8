"""What a run says about the contacts in the CRM, and the check of its sums."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from crm_pipelines.contacts.gates import Gate
from crm_pipelines.contacts.queue import Backlog
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.orchestration import ops
from crm_pipelines.orchestration.assets import brevo_contacts, describe, events_of_run, in_words, sums_add_up
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline

NUMBERS = [
    *("claimed", "synced", "unchanged", "retrying", "failed", "skipped", "released", "superseded", "requests"),
    *("queue_depth", "oldest_due_seconds", "duration_seconds", "requests_per_second"),
]


def a_gate(**changes: Any) -> Gate:
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


def report(totals: Totals, gate: Gate | None = None, seconds: float = 2) -> tuple[dict[str, Any], bool]:
    """The metadata of the one materialization, and whether the one check passed."""
    backlog = Backlog(due=7, oldest_due=None, oldest_due_seconds=1.25)
    materialization, check = events_of_run("brevo", totals, backlog, gate or a_gate(), seconds)
    assert isinstance(materialization, dg.AssetMaterialization)
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert materialization.asset_key == check.asset_key == brevo_contacts.key
    return {name: value.value for name, value in materialization.metadata.items()}, check.passed


def test_a_run_reports_figures_that_can_be_plotted() -> None:
    metadata, _ = report(Totals(claimed=5, synced=4, failed=1, requests=6, reasons={"rejected": 1}))
    assert all(isinstance(metadata[name], int | float) for name in NUMBERS)
    assert (metadata["queue_depth"], metadata["requests_per_second"]) == (7, 3.0)
    assert metadata["gate"] == "open"


def test_a_run_of_no_time_divides_by_nothing() -> None:
    assert report(Totals(), seconds=0)[0]["requests_per_second"] == 0


def test_a_paused_gate_is_reported_with_its_reason() -> None:
    metadata, _ = report(Totals(), a_gate(paused=True, pause_kind="credentials", pause_reason="Key not found"))
    assert metadata["gate"] == "paused (credentials): Key not found"


def test_reasons_are_a_table_with_the_commonest_first() -> None:
    table = describe(Totals(reasons={"outage": 1, "rejected": 5, "invalid_phone": 1}))["reasons"].value
    assert table.splitlines()[2:] == ["| rejected | 5 |", "| invalid_phone | 1 |", "| outage | 1 |"]
    assert "reasons" not in describe(Totals())


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        (Totals(), "0 claimed: nothing to do."),
        (Totals(claimed=2, synced=2, requests=3), "2 claimed: 2 synced."),
        (
            Totals(claimed=50, synced=48, failed=2, reasons={"duplicate_address": 2}),
            "50 claimed: 48 synced, 2 failed (2 duplicate_address).",
        ),
    ],
)
def test_a_run_in_one_line(totals: Totals, words: str) -> None:
    assert in_words(totals) == words


def test_sums_that_do_not_add_up_fail_the_check() -> None:
    assert report(Totals(claimed=3, synced=2, released=1))[1]
    assert not report(Totals(claimed=3, synced=2))[1]
    assert not report(Totals(claimed=3, synced=4))[1], "nor do contacts with two fates"


def test_a_run_whose_sums_do_not_add_up_fails_and_says_how_many(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    monkeypatch.setattr(ops, "totals_of", lambda applied, **counts: totals_of(applied[:0], **counts))
    run = pipeline.run()
    assert not run.success
    assert "The fate of 3 of 3 claimed contacts is unknown, a defect." in (run.problem or "")
    [check] = run.result.get_asset_check_evaluations()
    assert not check.passed


@pytest.mark.parametrize(
    ("totals", "passed"), [(None, True), (Totals(claimed=1, synced=1), True), (Totals(claimed=1), False)]
)
def test_launched_by_hand_the_check_looks_at_the_latest_run_again(totals: Totals | None, passed: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        if totals is not None:
            backlog = Backlog(due=0, oldest_due=None, oldest_due_seconds=0)
            for event in events_of_run("brevo", totals, backlog, a_gate(), 1):
                if isinstance(event, dg.AssetMaterialization):
                    instance.report_runless_asset_event(event)
        result = dg.materialize(
            [brevo_contacts, sums_add_up], instance=instance, selection=dg.AssetSelection.checks(sums_add_up)
        )
        assert [check.passed for check in result.get_asset_check_evaluations()] == [passed]
