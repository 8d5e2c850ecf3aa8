"""While a portion of an import is put together, the next one is read; pages are recorded two at a time."""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.bulk import ContactPage
from crm_pipelines.delivery.bulk import filling
from crm_pipelines.delivery.bulk.confirming import Confirmer
from crm_pipelines.delivery.bulk.filling import Filler
from crm_pipelines.delivery.bulk.progress import Progress
from crm_pipelines.queue.bulk_imports import BulkImports, ImportLost, ToldRow
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    monkeypatch.setattr(filling, "_PORTION", 10)
    monkeypatch.setattr(BrevoImports, "page_size", 10)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[threading.Event]:
    """Set one after the other, as portions are taken."""
    events = [threading.Event() for _ in range(20)]
    unset = iter(events)
    take = Filler._take

    def told(self: Filler, *arguments: Any) -> Any:
        try:
            return take(self, *arguments)
        finally:
            next(unset).set()

    monkeypatch.setattr(Filler, "_take", told)
    return events


def test_a_portion_is_read_while_the_former_one_is_put_together(
    people: People, pipeline: Pipeline, taken: list[threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_together: list[bool] = []
    portion = Filler._portion

    def after_the_next(self: Filler, *arguments: Any) -> Any:
        put_together.append(True)
        if len(put_together) == 2:  # of the first it is not known how much room it takes
            assert taken[2].wait(PATIENCE), "the third portion was not read"
        return portion(self, *arguments)

    monkeypatch.setattr(Filler, "_portion", after_the_next)
    people.add(40)
    assert pipeline.run().counts == {"claimed": 40, "synced": 40}


def test_no_more_are_taken_ahead_than_the_run_may_take(people: People, pipeline: Pipeline) -> None:
    people.add(60)
    assert pipeline.run(limit=45).counts == {"claimed": 45, "synced": 45}
    assert people.states() == {"synced": 45, "queued": 15}


def test_what_was_taken_ahead_is_queued_again_when_the_import_is_given_up(
    people: People, pipeline: Pipeline, taken: list[threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = BulkImports.note

    def given_up(self: BulkImports, import_id: UUID, rows: list[ToldRow]) -> None:
        if taken[1].is_set():
            assert taken[2].wait(PATIENCE)
            raise ImportLost
        note(self, import_id, rows)

    monkeypatch.setattr(BulkImports, "note", given_up)
    people.add(60)
    counts = pipeline.run().counts
    assert counts.keys() == {"claimed", "released"}
    assert counts["claimed"] == counts["released"] >= 30
    assert people.states() == {"queued": 60}
    assert people.all("SELECT count(*) AS n FROM crm_syncs WHERE bulk_ok") == [{"n": 60}]


def test_what_went_singly_is_not_counted_again_when_the_import_is_given_up(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two contacts with the same phone cannot be in one import."""

    def given_up(*_: Any, **__: Any) -> None:
        raise ImportLost

    monkeypatch.setattr(BulkImports, "begin_submitting", given_up)
    people.add(30)
    people.add(2, phone_number="+4915112345678")
    assert pipeline.run().counts == {"claimed": 32, "released": 32}
    assert people.states() == {"queued": 32}
    assert people.all("SELECT count(*) AS n FROM crm_syncs WHERE NOT bulk_ok") == [{"n": 1}]


def test_for_whom_there_is_no_room_after_all_goes_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are ten times as long as those before them."""
    monkeypatch.setattr(BrevoImports, "most_bytes", 12_000)
    people.add(20)
    people.add(30, name=f"Ada {'A' * 1500}")
    counts = pipeline.run().counts
    assert counts["claimed"] == counts["synced"] + counts["released"]
    assert 0 < counts["released"] < 30
    while people.states() != {"synced": 50}:
        counts = pipeline.run().counts
        assert counts["synced"] > 0
    assert brevo_sandbox.requests(method="POST", path="/contacts$")


def test_two_pages_are_recorded_at_once_and_count_in_their_order(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    pages: list[str] = []
    added: list[str] = []
    confirm, add_page = Confirmer._confirm, Progress.add

    def first_after_the_second(self: Confirmer, imports: Callable[[], Iterable[UUID]], page: ContactPage) -> set[str]:
        pages.append(page.contacts[0].remote_id)
        if len(pages) == 1:
            assert second.wait(PATIENCE), "the second page was not looked at meanwhile"
            return confirm(self, imports, page)
        recorded = confirm(self, imports, page)
        second.set()
        return recorded

    def noted(self: Progress, page: ContactPage, recorded: Collection[str]) -> None:
        added.append(page.contacts[0].remote_id)
        add_page(self, page, recorded)

    monkeypatch.setattr(Confirmer, "_confirm", first_after_the_second)
    monkeypatch.setattr(Progress, "add", noted)
    people.add(60)
    assert pipeline.run().counts == {"claimed": 60, "synced": 60}
    assert len(added) >= 5
    assert added == sorted(set(pages), key=int)[: len(added)]


def test_contacts_that_are_there_before_the_answer_to_their_import_are_recorded_where_they_are_read(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all that was read ahead would be read again."""
    monkeypatch.setattr(BrevoImports, "most_bytes", 5000)
    answered: list[UUID] = []
    looked_for = threading.Event()
    passed_over: set[str] = set()
    accepted, confirm = BulkImports.accepted, Confirmer._confirm

    def once_they_are_looked_for(self: BulkImports, import_id: UUID, process_id: str) -> bool:
        answered.append(import_id)
        if len(answered) == 2:
            assert looked_for.wait(PATIENCE), "nobody read its contacts meanwhile"
        return accepted(self, import_id, process_id)

    def told(self: Confirmer, imports: Callable[[], Iterable[UUID]], page: ContactPage) -> set[str]:
        if len(answered) != 2:
            return confirm(self, imports, page)
        rows = people.all("SELECT key FROM crm_bulk_rows WHERE import_id = :id", id=answered[1])
        there = {row["key"] for row in rows} & {one.key for one in page.contacts}
        if there:
            looked_for.set()
        recorded = confirm(self, imports, page)
        passed_over.update(there - recorded)
        return recorded

    monkeypatch.setattr(BulkImports, "accepted", once_they_are_looked_for)
    monkeypatch.setattr(Confirmer, "_confirm", told)
    people.add(60)
    assert pipeline.run().counts == {"claimed": 60, "synced": 60}
    assert looked_for.is_set()
    assert not passed_over
