"""Bulk imports: what is Complete was seen at the CRM, and whatever becomes of an import, its contacts get on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import requests
import sqlalchemy as sa

from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.delivery import planning, reading
from crm_pipelines.delivery.bulk import filling, sending
from crm_pipelines.delivery.bulk.sending import BulkSender
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ImportLost, ToldRow
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Intent
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration import bulk_worker
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program


@pytest.fixture(autouse=True)
def _small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")


@pytest.fixture(autouse=True)
def _time_of_its_own(monkeypatch: pytest.MonkeyPatch, brevo_sandbox: BrevoSandbox) -> None:
    """To a run time passes only while it waits for the CRM, which then does its imports however long they take it."""
    passed = 0.0
    pause = CrmSession.pause

    def wait_for_the_crm(self: CrmSession, seconds: float) -> None:
        nonlocal passed
        pause(self, 0.01)
        wait_until_ended(brevo_sandbox)
        passed += seconds

    monkeypatch.setattr(CrmSession, "pause", wait_for_the_crm)
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: passed))
    monkeypatch.setattr(sending, "elapsed_clock", lambda: passed)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks once at what it has sent, and waits no longer."""
    monkeypatch.setattr(planning, "IMPORT_PATIENCE", timedelta())


Worker = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def killed_at_the_end() -> Iterator[Worker]:
    """Begins a run in a process of its own, which is killed when the block ends."""
    command = [sys.executable, "-m", bulk_worker.__name__]
    with program(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        told, answers = parent.stdin, parent.stdout

        @contextmanager
        def killed_at_the_end() -> Iterator[None]:
            told.write(f"{json.dumps(dict(os.environ))}\n")
            told.flush()
            worker = int(answers.readline())
            try:
                yield
            finally:
                os.kill(worker, signal.SIGKILL)  # its parent has not waited for it yet, so the number is its own
                assert answers.readline() == "ended\n"

        yield killed_at_the_end


def add(people: People, count: int, **columns: Any) -> None:
    """Many contacts by one statement, queued."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", :{name}" for name in columns)
    people.run(
        f"INSERT INTO crm_contacts (email, name{names}) "
        f"SELECT 'bulk' || n || '@example.com', 'Ada Lovelace ' || n{values} FROM generate_series(1, :count) n",
        count=count,
        **columns,
    )
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")


def poll_again(people: People) -> None:
    """Let so much time have passed that the CRM may be asked for its imports."""
    people.run("UPDATE crm_gates SET next_poll_at = now(), aside_full_at = now()")


def a_scan(engine: sa.Engine) -> UUID:
    """A complete scan of an account without blocked contacts."""
    blocklist = Blocklist(engine, "brevo")
    scan_id = blocklist.begin(longest_life=planning.SCAN_TRUST)
    return blocklist.complete(scan_id).id


def submit(imports: BulkImports, import_id: UUID) -> set[str]:
    return imports.begin_submitting(
        import_id,
        modified_since=datetime.now(UTC),
        time_limit=planning.IMPORT_DEADLINE,
        scan_trust=planning.SCAN_TRUST,
    )


def wait_until_ended(sandbox: BrevoSandbox) -> None:
    """Return once the sandbox has done all its imports, but for those that it holds."""

    def ended() -> bool:
        state = sandbox.state()
        under_way = [one for one in state["processes"] if one["status"] in {"queued", "in_process"}]
        held: int = state["held"]
        return len(under_way) <= held

    wait_until(ended, "the sandbox has done its imports")


def imports(people: People) -> list[tuple[str, str | None]]:
    rows = people.all("SELECT state, ended_as FROM crm_bulk_imports ORDER BY created_at")
    return [(row["state"], row["ended_as"]) for row in rows]


def test_many_contacts_arrive_by_one_import_and_each_was_seen(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrevoImports, "page_size", 100)
    monkeypatch.setattr(filling, "_PORTION", 200)
    add(people, 500)
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 500, "synced": 500}
    assert people.states() == {"synced": 500}
    assert len(brevo_sandbox.requests(method="POST", path="/contacts/import")) == 1
    assert brevo_sandbox.requests(method="POST", path="/contacts$") == []
    assert brevo_sandbox.requests(path="/processes") == [], "all were seen, so nobody asked how the import stands"
    assert {one["email"] for one in brevo_sandbox.contacts()} == {
        row["email"] for row in people.all("SELECT email FROM crm_contacts")
    }
    [row] = people.all(
        "SELECT count(*) AS n, count(remote_id) AS ids, count(payload_hash) AS hashes, "
        "count(last_attempt_at) AS attempts "
        "FROM crm_syncs WHERE remote_key IS NOT NULL AND sent_attributes @> '{FIRSTNAME,LASTNAME}'"
    )
    assert row == {"n": 500, "ids": 500, "hashes": 500, "attempts": 500}
    assert people.all("SELECT count(*) AS n FROM crm_bulk_rows") == [{"n": 0}]
    assert imports(people) == [("ended", "proved")]
    assert all(check.passed for check in run.result.get_asset_check_evaluations())
    people.run("SELECT crm_select('brevo', array_agg(contact_id)) FROM crm_syncs")
    poll_again(people)
    assert pipeline.run().counts["claimed"] == 500, "a second import uses the list that the first one made"
    assert [one["name"] for one in brevo_sandbox.state()["lists"]] == ["Your first list", "crm-pipelines"]


def test_below_the_threshold_contacts_go_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    add(people, 19)
    assert pipeline.run().counts == {"claimed": 19, "synced": 19}
    assert brevo_sandbox.requests(path="/contacts/import") == []


def test_the_users_list_is_used_and_being_on_it_is_part_of_the_proof(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {(2,)}
    assert len(brevo_sandbox.state()["lists"]) == 1


def take_off(sandbox: BrevoSandbox, list_id: int, body: dict[str, Any]) -> None:
    """Somebody, at Brevo, takes contacts off a list."""
    url = f"{sandbox.url}/contacts/lists/{list_id}/contacts/remove"
    requests.post(url, json=body, headers={"api-key": "another tool"}, timeout=PATIENCE).raise_for_status()


@pytest.mark.parametrize("list_id", [2, None], ids=["the user's list", "a list of ours"])
@pytest.mark.parametrize("how", [{"emails": ["bulk7@example.com"]}, {"all": True}], ids=["left", "removed"])
def test_who_is_off_the_list_is_put_back_by_no_import(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    list_id: int | None,
    how: dict[str, Any],
) -> None:
    if list_id:
        monkeypatch.setenv("BREVO_LIST_ID", str(list_id))
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    [on] = {tuple(one["listIds"]) for one in brevo_sandbox.contacts()}
    take_off(brevo_sandbox, on[0], how)
    off = 1 if "emails" in how else 30
    people.run("UPDATE crm_contacts SET name = 'Changed Name'")
    poll_again(people)
    first = pipeline.run().counts
    assert first.get("released", 0) == off
    assert pipeline.run().counts == {"claimed": off, "synced": off}
    held = brevo_sandbox.contacts()
    assert {one["attributes"]["FIRSTNAME"] for one in held} == {"Changed"}
    assert len([one for one in held if not one["listIds"]]) == off


def test_who_is_off_the_list_since_an_import_of_which_nothing_is_known_is_put_back_by_no_other(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    add(people, 30)
    submit = BulkSender._submit

    def submit_and_take_back(self: BulkSender, *given: Any) -> bool:
        sent = submit(self, *given)
        people.run("SELECT crm_unselect('brevo', array_agg(id)) FROM crm_contacts")
        return sent

    with monkeypatch.context() as taking_back:
        taking_back.setattr(BulkSender, "_submit", submit_and_take_back)
        assert pipeline.run().counts == {"claimed": 30, "superseded": 30}
    wait_until_ended(brevo_sandbox)
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {(2,)}
    take_off(brevo_sandbox, 2, {"all": True})
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")
    for _ in range(2):
        poll_again(people)
        pipeline.run()
    assert people.states() == {"synced": 30}
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {()}


def test_who_left_the_list_before_us_is_put_back_neither_by_an_import_nor_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    brevo_sandbox.seed({"email": "bulk7@example.com", "listIds": [2]}, {"email": "bulk8@example.com"})
    take_off(brevo_sandbox, 2, {"emails": ["bulk7@example.com"]})
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 29, "released": 1}
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert (brevo_sandbox.contact("bulk7@example.com") or {})["listIds"] == []
    assert (brevo_sandbox.contact("bulk8@example.com") or {})["listIds"] == [2]


@pytest.mark.parametrize("mark", ["shop-4711", "7C9E6679-7425-40de-944b-e07fc1f90ae7"])
def test_an_import_keeps_the_mark_of_another_system_and_later_deliveries_do(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, mark: str
) -> None:
    brevo_sandbox.seed({"email": "bulk7@example.com", "ext_id": mark})
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1
    people.run("UPDATE crm_contacts SET email = 'moved@example.com', name = 'B' WHERE email = 'bulk7@example.com'")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    marks = {one["email"]: one["attributes"]["EXT_ID"] for one in brevo_sandbox.contacts()}
    assert (len(marks), marks.pop("moved@example.com")) == (30, mark)
    assert set(marks.values()) < {str(row["id"]) for row in people.all("SELECT id FROM crm_contacts")}


def test_the_user_may_have_imports_overwrite_marks(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_EXT_ID", "ours")
    brevo_sandbox.seed({"email": "bulk7@example.com", "ext_id": "shop-4711"})
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    [row] = people.all("SELECT id FROM crm_contacts WHERE email = 'bulk7@example.com'")
    assert (brevo_sandbox.contact("bulk7@example.com") or {})["attributes"]["EXT_ID"] == str(row["id"])


def test_whoever_is_suppressed_is_in_no_import(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER USER")  # as if written in the same moment
    people.add(email="bulk7@example.com", select=False)
    people.run("SELECT crm_suppress('brevo', array_agg(id)) FROM crm_contacts")
    people.run("DELETE FROM crm_contacts")
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 29, "skipped": 1}
    assert brevo_sandbox.contact("bulk7@example.com") is None


def test_nobody_is_told_and_nobody_is_subscribed_again_even_if_imports_do_so(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(import_unblocks=True)
    brevo_sandbox.seed(
        {"email": "bulk7@example.com", "attributes": {"FIRSTNAME": "Old"}, "emailBlacklisted": True},
        {"email": "bulk8@example.com", "smsBlacklisted": True},
    )
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 28, "released": 2}
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    by_mail, by_phone = brevo_sandbox.contact("bulk7@example.com"), brevo_sandbox.contact("bulk8@example.com")
    assert by_mail is not None
    assert by_phone is not None
    assert by_mail["emailBlacklisted"] is True
    assert by_mail["attributes"]["FIRSTNAME"] == "Ada"
    assert by_phone["smsBlacklisted"] is True
    assert brevo_sandbox.state()["processes"][0]["notification"] is False
    assert people.all("SELECT 1 FROM crm_walks UNION ALL SELECT 1 FROM crm_blocked") == []


def test_a_blocked_contact_is_known_by_its_phone_and_by_our_id_as_well(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(import_unblocks=True)
    add(people, 30)
    people.run("UPDATE crm_contacts SET phone_number = '+12025550143' WHERE email = 'bulk1@example.com'")
    [row] = people.all("SELECT id FROM crm_contacts WHERE email = 'bulk2@example.com'")
    brevo_sandbox.seed(
        {"attributes": {"SMS": "12025550143"}, "smsBlacklisted": True},
        {"email": "former@example.com", "ext_id": str(row["id"]), "emailBlacklisted": True},
    )
    assert pipeline.run().counts == {"claimed": 30, "synced": 28, "released": 2}
    singly = people.all("SELECT email FROM crm_contacts JOIN crm_syncs ON contact_id = id WHERE NOT bulk_ok ORDER BY 1")
    assert [one["email"] for one in singly] == ["bulk1@example.com", "bulk2@example.com"]
    assert people.all("SELECT 1 FROM crm_attempts WHERE kind = 'unproved'") == [], "they were in no import"


def test_an_address_edited_after_the_scan_is_compared_as_it_is_sent(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    brevo_sandbox.configure(import_unblocks=True)
    brevo_sandbox.seed({"email": "gone@example.com", "emailBlacklisted": True})
    add(people, 30)
    begin = BulkImports.begin

    def edit_first(self: BulkImports, mapping_version: str, **more: Any) -> UUID:
        people.run("UPDATE crm_contacts SET email = 'gone@example.com' WHERE email = 'bulk1@example.com'")
        return begin(self, mapping_version, **more)

    monkeypatch.setattr(BulkImports, "begin", edit_first)
    assert pipeline.run().counts == {"claimed": 30, "synced": 29, "released": 1}
    assert (brevo_sandbox.contact("gone@example.com") or {})["emailBlacklisted"] is True


def test_more_than_one_page_is_scanned_to_the_last_contact(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    brevo_sandbox.configure(import_unblocks=True)
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    known = [{"email": f"bulk{n}@example.com", "emailBlacklisted": n == 28} for n in range(1, 29)]
    brevo_sandbox.seed(*known)
    add(people, 60)
    assert pipeline.run().counts == {"claimed": 60, "synced": 59, "released": 1}
    assert (brevo_sandbox.contact("bulk28@example.com") or {})["emailBlacklisted"] is True


def test_an_account_from_which_contacts_vanish_during_the_scan_gets_no_import(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    monkeypatch.setattr(reading, "_READERS", 1)
    ids = brevo_sandbox.seed(*[{"email": f"old{n}@example.com"} for n in range(30)])
    add(people, 60)
    read = BrevoImports.read

    def delete_between(self: BrevoImports, since: datetime | None, *, offset: int, **given: Any) -> Any:
        if offset == 9:
            url = f"{brevo_sandbox.url}/contacts/{ids[0]}"
            requests.delete(url, headers={"api-key": "another tool"}, timeout=PATIENCE).raise_for_status()
        return read(self, since, offset=offset, **given)

    monkeypatch.setattr(BrevoImports, "read", delete_between)
    assert pipeline.run().counts == {"claimed": 60, "synced": 60}
    assert brevo_sandbox.requests(path="/contacts/import") == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "times": 1},
        {"status": 200, "body": {"contacts": []}},
        {"status": 200, "body": {"contacts": [], "count": 5}},
    ],
)
def test_an_account_that_cannot_be_scanned_gets_no_import(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, fault: dict[str, Any]
) -> None:
    brevo_sandbox.fault("status", method="GET", path="/contacts$", **fault)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert brevo_sandbox.requests(path="/contacts/import") == []


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE crm_walks SET begun_at = begun_at - interval '1 h'",
        "UPDATE crm_walks SET completed_at = NULL",
        "DELETE FROM crm_walks",
    ],
)
def test_no_import_is_sent_without_a_complete_and_young_scan(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    add(people, 30)
    note = BulkImports.note

    def spoil_first(self: BulkImports, import_id: UUID, rows: Sequence[ToldRow]) -> None:
        people.run(spoil)
        note(self, import_id, rows)

    monkeypatch.setattr(BulkImports, "note", spoil_first)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    assert brevo_sandbox.requests(path="/contacts/import") == []


def test_contacts_of_earlier_imports_are_proved_while_others_are_put_together(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    monkeypatch.setattr(BrevoImports, "most_bytes", 8000)
    monkeypatch.setattr(filling, "_PORTION", 10)
    add(people, 300)
    assert pipeline.run().counts == {"claimed": 300, "synced": 300}
    assert people.states() == {"synced": 300}
    assert len(brevo_sandbox.requests(path="/contacts/import")) > 5
    assert set(imports(people)) == {("ended", "proved")}


def test_a_large_account_is_not_read_for_a_few_contacts(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrevoImports, "page_size", 10)
    brevo_sandbox.seed(*[{"email": f"old{n}@example.com"} for n in range(100)])
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(brevo_sandbox.requests(method="GET", path="/contacts$")) == 1
    assert brevo_sandbox.requests(path="/contacts/import") == []


def rename(people: People, name: str) -> None:
    people.run("UPDATE crm_contacts SET name = :name || ' ' || right(email, -4)", name=name)


def first_names(sandbox: BrevoSandbox) -> set[str]:
    return {one["attributes"]["FIRSTNAME"] for one in sandbox.contacts()}


def test_former_values_are_sent_again_after_an_import_whose_answer_was_lost(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    add(people, 30)
    rename(people, "Ada")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    rename(people, "Wrong")
    people.run('UPDATE crm_contacts SET custom_fields = \'{"nickname": "Wrong"}\'')
    brevo_sandbox.configure(attributes={"NICKNAME": "text"})
    brevo_sandbox.fault("reset_after", path="/contacts/import", times=1)
    pipeline.run()
    wait_until_ended(brevo_sandbox)
    assert first_names(brevo_sandbox) == {"Wrong"}
    rename(people, "Ada")
    people.run("UPDATE crm_contacts SET custom_fields = '{}'")
    for _ in range(2):
        pipeline.run()
    assert people.states() == {"synced": 30}
    assert first_names(brevo_sandbox) == {"Ada"}
    assert [one for one in brevo_sandbox.contacts() if "NICKNAME" in one["attributes"]] == []


def test_whose_row_is_held_by_an_edit_that_brings_a_former_value_back_is_in_no_import(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(people, 30)
    rename(people, "Ada")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    rename(people, "Wrong")
    brevo_sandbox.fault("reset_after", path="/contacts/import", times=1)
    intend = Queue.intend
    with engine.connect() as somebody:

        def edited_meanwhile(self: Queue, intents: Sequence[Intent]) -> set[UUID]:
            if not somebody.in_transaction():
                somebody.exec_driver_sql(
                    "UPDATE crm_contacts SET name = 'Ada 7@example.com' WHERE email LIKE 'bulk7@%%'"
                )
            return intend(self, intents)

        with monkeypatch.context() as editing:
            editing.setattr(Queue, "intend", edited_meanwhile)
            pipeline.run()
        somebody.commit()
    for _ in range(2):
        people.make_due()
        pipeline.run()
    assert people.states() == {"synced": 30}
    assert (brevo_sandbox.contact("bulk7@example.com") or {})["attributes"]["FIRSTNAME"] == "Ada"


def test_former_values_are_sent_again_after_an_import_that_was_not_seen_to_arrive(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(people, 30)
    rename(people, "Ada")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    rename(people, "Wrong")
    with monkeypatch.context() as unseen:
        unseen.setattr(BrevoImports, "proof", lambda *_: b"another")
        assert pipeline.run().counts == {"claimed": 30, "released": 30}
    assert first_names(brevo_sandbox) == {"Wrong"}
    rename(people, "Ada")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert first_names(brevo_sandbox) == {"Ada"}


def test_former_values_are_sent_again_after_a_worker_died_with_its_import(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, killed_at_the_end: Worker
) -> None:
    add(people, 30)
    rename(people, "Ada")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    rename(people, "Wrong")
    brevo_sandbox.fault("hold_after", path="/contacts/import", times=1)
    with killed_at_the_end():
        brevo_sandbox.wait_for_requests(2, path="/contacts/import")
    rename(people, "Ada")
    people.run("UPDATE crm_bulk_imports SET tended_at = now() - :silence", silence=planning.IMPORT_SILENCE)
    brevo_sandbox.release()
    wait_until_ended(brevo_sandbox)
    assert first_names(brevo_sandbox) == {"Wrong"}
    poll_again(people)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert first_names(brevo_sandbox) == {"Ada"}


def test_a_row_that_brevo_drops_goes_singly_and_its_reason_comes_out(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "other@example.com", "attributes": {"SMS": "12025550143"}})
    add(people, 30)
    people.run("UPDATE crm_contacts SET phone_number = '+12025550143' WHERE email = 'bulk3@example.com'")
    assert pipeline.run().counts == {"claimed": 30, "synced": 29, "released": 1}
    [attempt] = people.all("SELECT * FROM crm_attempts WHERE kind = 'unproved'")
    assert attempt["message"].endswith("The CRM's report says: duplicate_phone_id.")
    sync = people.sync(attempt["contact_id"])
    assert (sync["state"], sync["attempts"], sync["bulk_ok"]) == ("queued", 0, False)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    [warned] = people.all(
        "SELECT warnings FROM crm_attempts WHERE contact_id = :id ORDER BY id DESC LIMIT 1", id=sync["contact_id"]
    )
    assert "SMS left out" in warned["warnings"][0]
    assert people.sync(attempt["contact_id"])["bulk_ok"] is True


def test_what_arrives_otherwise_than_it_was_sent_is_not_complete(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"HAS_GMAIL": "boolean"}, import_ignores_false=True)
    add(people, 30, has_gmail=True)
    people.run("UPDATE crm_contacts SET has_gmail = false WHERE email ~ 'bulk[12]@'")
    assert pipeline.run().counts == {"claimed": 30, "synced": 28, "released": 2}
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert (brevo_sandbox.contact("bulk1@example.com") or {})["attributes"]["HAS_GMAIL"] is False


def test_an_attribute_that_brevo_does_not_have_is_left_out_and_said_so(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    add(people, 30, source_url="https://example.com")
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    [row] = people.all("SELECT DISTINCT warnings, sent_attributes FROM crm_attempts")
    assert row["warnings"] == [
        "source_url left out: Brevo has no attribute SOURCE_URL, so run crm-pipelines provision brevo"
    ]
    assert row["sent_attributes"] == ["FIRSTNAME", "LASTNAME"]


def test_what_an_import_cannot_do_goes_singly(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    add(people, 30, phone_number=None)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    poll_again(people)
    people.run("UPDATE crm_contacts SET name = name || ' again'")
    people.run("UPDATE crm_contacts SET email = 'moved@example.com' WHERE email = 'bulk1@example.com'")
    people.run("UPDATE crm_contacts SET name = NULL WHERE email = 'bulk2@example.com'")  # to be cleared
    people.run("UPDATE crm_contacts SET phone_number = '+12025550143' WHERE email ~ 'bulk[34]@'")
    people.run("UPDATE crm_contacts SET email = 'nobody@' WHERE email = 'bulk5@example.com'")
    run = pipeline.run()
    assert run.counts == {"claimed": 30, "synced": 26, "skipped": 1, "released": 3}
    assert people.all("SELECT 1 FROM crm_attempts WHERE kind = 'unproved'") == [], "they were in no import"
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    cleared = brevo_sandbox.contact("bulk2@example.com")
    assert cleared is not None
    assert "FIRSTNAME" not in cleared["attributes"]
    assert brevo_sandbox.contact("bulk1@example.com") is None
    assert brevo_sandbox.contact("moved@example.com") is not None
    assert len(brevo_sandbox.contacts()) == 30


@pytest.mark.usefixtures("impatient")
def test_an_import_under_way_holds_nobody_up_and_the_next_run_finishes_it(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    add(people, 30)
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 30, "importing": 30}
    [row] = people.all("SELECT DISTINCT brevo_sync_status AS status FROM contacts")
    assert row["status"] == "Processing"
    people.add(email="late@example.com")
    assert pipeline.run().counts == {"claimed": 31, "importing": 30, "synced": 1}
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}
    assert len(brevo_sandbox.requests(path="/processes")) == 3, "each run asks at once, and once"
    brevo_sandbox.release()
    wait_until_ended(brevo_sandbox)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1
    assert people.states() == {"synced": 31}


@pytest.mark.usefixtures("impatient")
def test_rescue_leaves_an_import_its_claims(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(hold_imports=True)
    add(people, 30)
    pipeline.run()
    people.run("UPDATE crm_bulk_imports SET tended_at = now() - interval '20 min'")
    [row] = people.all(
        "SELECT min(lease_until) > now() + :limit AS safe FROM crm_syncs", limit=planning.IMPORT_DEADLINE
    )
    assert row["safe"]
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_failed_import_sends_its_contacts_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, end: str
) -> None:
    brevo_sandbox.configure(import_status=end)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    [row] = people.all("SELECT DISTINCT message FROM crm_attempts")
    assert f"ended as {end}" in row["message"]
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1
    assert imports(people) == [("ended", "failed")]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", ["baking", None])
def test_an_import_in_an_unknown_state_or_without_end_is_overdue_one_day_and_its_contacts_go_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, said: str | None
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    if said is not None:
        process = {"id": 1, "name": "IMPORTUSER", "status": said}
        brevo_sandbox.fault("status", path="/processes", status=200, body={"count": 1, "processes": [process]})
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}
    people.run("UPDATE crm_bulk_imports SET deadline = now()")
    poll_again(people)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert imports(people) == [("ended", "overdue")]


@pytest.mark.usefixtures("impatient")
def test_what_happens_to_a_contact_during_the_import_counts(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    add(people, 30)
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = 'Grace Hopper' WHERE email = 'bulk1@example.com'")
    people.run("SELECT crm_unselect('brevo', array_agg(id)) FROM crm_contacts WHERE email = 'bulk2@example.com'")
    people.run("DELETE FROM crm_contacts WHERE email = 'bulk3@example.com'")
    brevo_sandbox.release()
    wait_until_ended(brevo_sandbox)
    poll_again(people)
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 30, "synced": 28, "superseded": 2}
    assert people.states() == {"synced": 27, "queued": 1, "unselected": 1}
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    edited = brevo_sandbox.contact("bulk1@example.com")
    assert edited is not None
    assert edited["attributes"]["FIRSTNAME"] == "Grace"


@pytest.mark.parametrize("action", ["hold", "hold_after"])
def test_a_worker_killed_before_the_process_id_was_written_down_leaves_nobody_behind(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, killed_at_the_end: Worker, action: str
) -> None:
    brevo_sandbox.fault(action, path="/contacts/import", times=1)
    add(people, 30)
    with killed_at_the_end():
        brevo_sandbox.wait_for_requests(1, path="/contacts/import")
    assert imports(people) == [("submitting", None)]
    assert pipeline.run().counts == {}, "it might still be sending"
    people.run("UPDATE crm_bulk_imports SET tended_at = now() - :silence", silence=planning.IMPORT_SILENCE)
    brevo_sandbox.release()
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert people.states() == {"synced": 30}
    assert people.all("SELECT max(crashes) AS n FROM crm_syncs") == [{"n": 0}]
    assert imports(people) == [("ended", "lost"), ("ended", "proved")]


@pytest.mark.usefixtures("impatient")
def test_a_worker_killed_while_it_reads_back_is_followed_by_one_that_goes_on(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, killed_at_the_end: Worker
) -> None:
    brevo_sandbox.configure(hold_imports=True)
    add(people, 30)
    pipeline.run()
    brevo_sandbox.release()
    wait_until_ended(brevo_sandbox)
    poll_again(people)
    brevo_sandbox.fault("hold", method="GET", path="/contacts$", times=1)
    before = len(brevo_sandbox.requests(method="GET", path="/contacts$"))
    with killed_at_the_end():
        brevo_sandbox.wait_for_requests(before + 1, method="GET", path="/contacts$")
    people.run("UPDATE crm_bulk_imports SET tended_at = now() - :silence", silence=planning.IMPORT_SILENCE)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1
    assert len(brevo_sandbox.requests(path="/processes")) == 2


def test_what_was_being_prepared_when_the_worker_died_goes_singly(people: People, engine: sa.Engine) -> None:
    add(people, 30)
    dead = BulkImports(engine, "brevo", "dead")
    number = dead.begin("mapping", scan_id=a_scan(engine))
    ready = dead.claim(number, limit=10, lease=planning.IMPORT_LEASE)
    rows = [
        ToldRow(
            claim=one.claim, revision=one.revision, key=str(key), payload_hash=b"", proof=b"", names=(), warnings=()
        )
        for key, one in enumerate(ready)
    ]
    dead.note(number, rows)
    dead.claim(number, limit=10, lease=planning.IMPORT_LEASE)
    living = BulkImports(engine, "brevo", "living")
    assert living.recover(silence=planning.IMPORT_SILENCE) == 0
    assert living.recover(silence=planning.IMPORT_SILENCE, ended_runs=["dead"]) == 20
    assert people.all("SELECT bulk_ok, count(*) AS n FROM crm_syncs GROUP BY 1 ORDER BY 1") == [
        {"bulk_ok": False, "n": 10},
        {"bulk_ok": True, "n": 20},
    ]
    assert people.states() == {"queued": 30}
    with pytest.raises(ImportLost):
        submit(dead, number)


def test_a_refused_import_sends_its_contacts_singly_with_brevos_words(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault("status", path="/contacts/import", status=400, body={"message": "jsonBody is wrong"})
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    [row] = people.all("SELECT DISTINCT message FROM crm_attempts")
    assert "jsonBody is wrong" in row["message"]
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}


def test_an_import_that_brevo_does_not_take_now_costs_nobody_an_attempt(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    headers = {"x-sib-ratelimit-reset": "1"}
    brevo_sandbox.fault("status", path="/contacts/import", times=1, headers=headers, status=429)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    assert people.all("SELECT max(attempts) AS n, bool_and(bulk_ok) AS ok FROM crm_syncs") == [{"n": 0, "ok": True}]


def test_a_dead_key_closes_the_gate_and_charges_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    dead = {"status": 401, "body": {"message": "Key not found"}}
    brevo_sandbox.fault("status", method="POST", path="/contacts(/import)?$", **dead)
    add(people, 30)
    run = pipeline.run()
    assert "Key not found" in (run.problem or "")
    assert people.states() == {"queued": 30}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1


def test_a_limit_of_another_allowance_does_not_become_the_rate_of_the_contacts(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(others_per_hour=100)
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}
    assert people.all("SELECT limit_observed FROM crm_gates WHERE crm = 'brevo'") == [{"limit_observed": None}]


def test_nothing_goes_to_a_report_with_the_key(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    url = f"{brevo_sandbox.url}/reports/1"  # in place of another host: this one shows what it was sent
    process = {"id": 1, "name": "IMPORTUSER", "status": "completed", "info": {"import": {"invalid_emails": url}}}
    brevo_sandbox.fault("status", path="/processes", status=200, body={"count": 1, "processes": [process]})
    brevo_sandbox.configure(import_status="failed")
    add(people, 30)
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    [request] = brevo_sandbox.requests(path="/reports/")
    assert request["key"] is None


def test_a_worker_that_was_away_before_it_could_send_does_not_send(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(people, 30)
    monkeypatch.setattr(planning, "TRUST", timedelta(seconds=-1))
    assert pipeline.run().counts == {"claimed": 30, "released": 30}
    assert brevo_sandbox.requests(path="/contacts/import") == []
    assert people.all("SELECT bool_and(bulk_ok) AS ok FROM crm_syncs") == [{"ok": True}]


def test_a_contact_taken_back_while_the_import_was_prepared_is_not_in_it(people: People, engine: sa.Engine) -> None:
    add(people, 3)
    imports = BulkImports(engine, "brevo", "run")
    number = imports.begin("mapping", scan_id=a_scan(engine))
    claims = [one.claim for one in imports.claim(number, limit=3, lease=planning.IMPORT_LEASE)]
    imports.note(
        number,
        [
            ToldRow(claim=one, revision=1, key=str(one.contact_id), payload_hash=b"", proof=b"", names=(), warnings=())
            for one in claims
        ],
    )
    taken = claims[1].contact_id
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=taken)
    assert submit(imports, number) == {str(taken)}


@pytest.mark.parametrize("call", ["record_proved", "record_unproved"])
def test_what_was_recorded_is_counted_though_the_answer_of_the_database_was_lost(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    brevo_sandbox.configure(import_refuses=0.1)
    recorded = getattr(BulkImports, call)
    lost: list[str] = []

    def lose_the_first(*given: Any) -> Any:
        answer = recorded(*given)
        if not lost:
            lost.append(call)
            raise sa.exc.OperationalError(call, {}, OSError(), connection_invalidated=True)
        return answer

    monkeypatch.setattr(BulkImports, call, lose_the_first)
    add(people, 30)
    run = pipeline.run()
    assert lost
    assert (run.success, run.counts) == (True, {"claimed": 30, "synced": 27, "released": 3})
    assert people.states() == {"synced": 27, "queued": 3}
