"""Rows that the CRM refuses cost a look at its imports, of which it allows few: when it is made, and when not."""

import threading
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.allowances import Allowance
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.bulk import ImportTarget
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bulk import filling, sending
from crm_pipelines.delivery.bulk.filling import Filler
from crm_pipelines.delivery.bulk.progress import Progress
from crm_pipelines.delivery.bulk.sending import BulkSender
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.reading import PageReader
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.test_bulk import add, imports, poll_again, wait_until_ended
from crm_pipelines_tests.patience import PATIENCE

OTHERS = timedelta(hours=1) / 6


@pytest.fixture(autouse=True)
def _small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch, brevo_sandbox: BrevoSandbox) -> list[float]:
    """The pauses of runs, in seconds. Time passes only in them, and in each the CRM does all its imports."""
    waited: list[float] = []
    pause = CrmSession.pause

    def wait_for_the_crm(self: CrmSession, seconds: float) -> None:
        pause(self, 0.01)
        wait_until_ended(brevo_sandbox)
        waited.append(seconds)

    monkeypatch.setattr(CrmSession, "pause", wait_for_the_crm)
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: sum(waited)))
    monkeypatch.setattr(sending, "elapsed_clock", lambda: sum(waited))
    return waited


def looks(sandbox: BrevoSandbox) -> list[dict[str, Any]]:
    return sandbox.requests(path="/processes")


def allow(monkeypatch: pytest.MonkeyPatch, allowance: Allowance) -> None:
    monkeypatch.setattr(Brevo, "aside", allowance)


def test_refused_rows_are_found_by_one_look_a_second_after_the_last_contact_has_arrived(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, waited: list[float]
) -> None:
    brevo_sandbox.configure(import_refuses=0.1)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}
    assert sum(waited) <= 1
    assert len(looks(brevo_sandbox)) == 1
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    [row] = people.all("SELECT DISTINCT message FROM crm_attempts WHERE kind = 'unproved'")
    assert row["message"].endswith("The CRM's report says: invalid_emails.")


def read_all_ahead(monkeypatch: pytest.MonkeyPatch, sandbox: BrevoSandbox, contacts: int) -> None:
    """The CRM holds its imports until all are sent; then so many contacts arrive at once."""
    confirm_ahead = BulkSender._confirm_ahead

    def until_all_are_seen(self: BulkSender, target: ImportTarget, over: threading.Event) -> None:
        def is_over() -> bool:
            assert over.wait(PATIENCE)
            sandbox.release()
            wait_until_ended(sandbox)
            return self.confirmer.seen == contacts

        seen: Any = SimpleNamespace(is_set=is_over, wait=lambda _: None)
        confirm_ahead(self, target, seen)

    monkeypatch.setattr(BulkSender, "_confirm_ahead", until_all_are_seen)


def test_of_imports_of_which_all_was_read_ahead_nothing_is_waited_for(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    read_all_ahead(monkeypatch, brevo_sandbox, 30)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert not waited
    assert not looks(brevo_sandbox)


def test_the_time_in_which_pages_are_read_ahead_counts_as_waiting_for_more(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brevo_sandbox.configure(import_refuses=0.1, hold_imports=True)
    read_all_ahead(monkeypatch, brevo_sandbox, 27)
    wait_for_all = BulkSender._wait_for_all
    second = 1.0

    def a_second_later(self: BulkSender, target: ImportTarget) -> None:
        waited.append(second)
        wait_for_all(self, target)

    monkeypatch.setattr(BulkSender, "_wait_for_all", a_second_later)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}
    assert sum(waited) == second
    assert len(looks(brevo_sandbox)) == 1


def test_the_time_in_which_an_import_is_put_together_does_not(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    fill, settle = Filler.fill, BulkSender._settle
    filling_seconds, patience = 20.0, 15.0
    asked_at: list[float] = []

    def slowly(self: Filler, *given: Any) -> bool:
        waited.append(filling_seconds)
        return fill(self, *given)

    def noted(self: BulkSender) -> bool:
        if self._open:
            asked_at.append(sum(waited))
        return settle(self)

    monkeypatch.setattr(Filler, "fill", slowly)
    monkeypatch.setattr(BulkSender, "_settle", noted)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}
    assert asked_at[0] >= filling_seconds + patience


def test_what_came_between_the_count_and_the_pages_is_not_read_again_nor_waited_for(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brevo_sandbox.configure(import_refuses=0.1)
    count = PageReader.count

    def somebody_comes_afterwards(self: PageReader, since: datetime | None) -> int | None:
        counted = count(self, since)
        if counted == 27:
            brevo_sandbox.seed({"email": "late@example.com"})
        return counted

    monkeypatch.setattr(PageReader, "count", somebody_comes_afterwards)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}
    assert sum(waited) <= 1
    [look] = looks(brevo_sandbox)
    read = [one for one in brevo_sandbox.requests(method="GET", path="/contacts$") if one["seq"] < look["seq"]]
    assert len([one for one in read if "limit=1000&" in one["query"] and "modifiedSince" in one["query"]]) == 1


def test_an_import_of_which_nothing_arrives_is_looked_at_a_few_times_and_left_to_the_next_run(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, waited: list[float]
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}
    assert sum(waited) <= planning.IMPORT_PATIENCE.total_seconds()
    assert len(looks(brevo_sandbox)) == 2
    brevo_sandbox.release()
    wait_until_ended(brevo_sandbox)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(looks(brevo_sandbox)) == 3, "at once, although the latest was a moment ago"


def test_what_was_read_ahead_is_not_read_again_for_the_sake_of_refused_rows(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    monkeypatch.setattr(BrevoImports, "most_bytes", 8000)
    monkeypatch.setattr(filling, "_PORTION", 10)
    brevo_sandbox.configure(import_refuses=0.05)
    add(people, 300)
    read: list[int] = []
    confirmed_ahead = BulkSender._confirm_ahead

    def noted(self: BulkSender, *given: Any) -> None:
        confirmed_ahead(self, *given)
        assert self._progress is not None
        read.append(self._progress.contacts)

    monkeypatch.setattr(BulkSender, "_confirm_ahead", noted)
    run = pipeline.run()
    refused = run.counts["released"]
    assert run.counts == {"claimed": 300, "synced": 300 - refused, "released": refused}
    assert 0 < refused < 20
    [ahead] = read
    last_look = looks(brevo_sandbox)[-1]["seq"]
    pages = [one for one in brevo_sandbox.requests(method="GET", path="/contacts$") if "limit=10&" in one["query"]]
    assert len([one for one in pages if one["seq"] > last_look]) <= (300 - ahead) // 10 + 2
    assert {row["bulk_ok"] for row in people.all("SELECT bulk_ok FROM crm_syncs WHERE state = 'queued'")} == {False}


@pytest.mark.parametrize(
    "spoil",
    [
        {"last": "another contact"},
        {"others": {f"bulk{n}@example.com" for n in range(1, 31)}},
        {"contacts": 1000},
        {"since": timedelta(minutes=-1)},
    ],
    ids=["another contact is at its place", "one of ours was not as sent", "some are gone", "since another moment"],
)
def test_nobody_is_given_up_who_was_not_looked_for(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    spoil: dict[str, Any],
) -> None:
    """As if something had changed among the contacts that were read ahead."""
    brevo_sandbox.configure(import_refuses=0.1)
    wait_for_all = BulkSender._wait_for_all

    def after_a_change(self: BulkSender, target: ImportTarget) -> None:
        wait_until_ended(brevo_sandbox)
        twentieth = self.reader.one(target.moment, 19)
        assert twentieth is not None
        known: dict[str, Any] = {"since": target.moment, "contacts": 20, "last": twentieth.remote_id}
        if "since" in spoil:
            spoil["since"] = target.moment + spoil["since"]
        self._progress = Progress(**known | spoil)
        wait_for_all(self, target)

    monkeypatch.setattr(BulkSender, "_wait_for_all", after_a_change)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}


def test_a_contact_that_somebody_held_when_its_page_was_read_is_read_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    brevo_sandbox.configure(import_refuses=0.1)
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    add(people, 30)
    wait_for_all = BulkSender._wait_for_all

    def held_meanwhile(self: BulkSender, target: ImportTarget) -> None:
        wait_until_ended(brevo_sandbox)
        self._progress = Progress(since=target.moment)
        page = self.reader.page(target.moment, 0)
        with engine.connect() as somebody:
            hold = sa.text("SELECT 1 FROM crm_contacts WHERE email = :email FOR UPDATE")
            assert somebody.execute(hold, {"email": page.contacts[0].key}).all()
            [(_, recorded)] = self.confirmer.confirm(partial(list, self._open), [page])
            self._progress.add(page, recorded)
        wait_for_all(self, target)

    monkeypatch.setattr(BulkSender, "_confirm_ahead", lambda *_: None)
    monkeypatch.setattr(BulkSender, "_wait_for_all", held_meanwhile)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}


def test_in_a_long_backlog_with_refused_rows_the_crm_is_not_asked_more_often_than_it_allows(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's allowance is used up by runs that follow each other; those behind them wait, and nobody is left out."""
    allow(monkeypatch, Allowance(most=6, refill=OTHERS, reserve=2))
    brevo_sandbox.configure(import_refuses=0.1, others_per_hour=12)
    for number in range(7):
        add_more(people, number)
        pipeline.run()
    asked = looks(brevo_sandbox)
    assert [one["status"] for one in asked] == [200] * 4, "the last two are for others"
    assert len([end for _, end in imports(people) if end is None]) == 3
    assert people.states().keys() == {"synced", "claimed"}
    poll_again(people)
    for _ in range(2):
        pipeline.run()
    assert people.states() == {"synced": 7 * 30}
    assert 429 not in {one["status"] for one in brevo_sandbox.requests()}


def add_more(people: People, number: int) -> None:
    people.run(
        "INSERT INTO crm_contacts (email) SELECT 'more' || :number || '.' || n || '@example.com' "
        "FROM generate_series(1, 30) n",
        number=number,
    )
    people.run(
        "SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts WHERE email LIKE :like", like=f"more{number}.%"
    )


def test_when_others_have_used_up_the_allowance_nobody_looks_before_it_is_there_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, waited: list[float]
) -> None:
    assert Brevo.aside is not None
    brevo_sandbox.configure(import_refuses=0.1, others_per_hour=Brevo.aside.reserve + 1)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}
    add_more(people, 1)
    before = sum(waited)
    assert pipeline.run().counts == {"claimed": 33, "synced": 30, "importing": 3}
    assert len(looks(brevo_sandbox)) == 1
    assert sum(waited) - before <= 1, "nor does the run wait for that"
    poll_again(people)
    assert pipeline.run().counts["claimed"] == 3
    assert len(looks(brevo_sandbox)) == 2


def test_a_refusal_for_rate_of_a_look_holds_up_looks_alone(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    headers = {"x-sib-ratelimit-reset": "1800"}
    brevo_sandbox.fault("status", path="/processes", status=429, headers=headers)
    brevo_sandbox.configure(import_refuses=0.1)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "importing": 3, "synced": 27}
    people.add(3)
    assert pipeline.run().counts == {"claimed": 6, "importing": 3, "synced": 3}
    assert len(looks(brevo_sandbox)) == 1
    [row] = people.all(
        "SELECT paused_until, next_poll_at > now() + interval '25 min' AS later FROM crm_gates WHERE crm = 'brevo'"
    )
    assert row == {"paused_until": None, "later": True}


def test_an_account_without_an_allowance_of_its_own_for_looks_is_looked_at_as_often_as_it_is_of_use(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Brevo, "aside", None)
    people.run("UPDATE crm_gates SET aside_full_at = now() + interval '1 day'")
    brevo_sandbox.configure(import_refuses=0.1)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}


def test_who_else_writes_to_the_account_all_the_time_costs_few_requests(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    waited: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brevo_sandbox.configure(import_refuses=0.1)
    pause = CrmSession.pause

    def somebody_writes(self: CrmSession, seconds: float) -> None:
        pause(self, seconds)
        if len(waited) < 150:
            brevo_sandbox.seed({"email": f"other{len(waited)}@example.com"})

    monkeypatch.setattr(CrmSession, "pause", somebody_writes)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 27, "released": 3}
    assert sum(waited) <= planning.IMPORT_PATIENCE.total_seconds()
    assert len(brevo_sandbox.requests(method="GET", path="/contacts$")) < 80
