"""What was delivered to one account of the CRM is not taken for another one's, whatever its address is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.account.identity import account_of
from crm_pipelines.delivery.account.preflight import check_account, plan_account, provision_account
from crm_pipelines.delivery.pace.session import OTHER_ACCOUNT
from crm_pipelines.delivery.planning import CLAIM_LEASE
from crm_pipelines.delivery.why import look as look_up
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.schedules import reason_to_wait
from crm_pipelines.orchestration.watching.findings import account_finding, look
from crm_pipelines.queue.model import Claim
from crm_pipelines_tests.fixtures.accounts import (
    OTHER,
    OURS,
    holds_what_is_complete,
    known_of_an_account,
    select_all,
    wait_until_open,
)
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline, Run
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.test_operator_jobs import launch
from crm_pipelines_tests.patience import PATIENCE


def asked(sandbox: BrevoSandbox) -> int:
    """How often it was asked which account it is."""
    return len(sandbox.requests(method="GET", path="/account$"))


def writes(sandbox: BrevoSandbox) -> int:
    return len(sandbox.requests(method="POST|PUT|DELETE"))


def is_untouched(sandbox: BrevoSandbox) -> bool:
    """Whether the stranger is as she was, alone."""
    [held] = sandbox.contacts()
    return (held["id"], held["email"], held["attributes"]["SMS"]) == (1, "boss@other.example", "12025550199")


def logged(pipeline: Pipeline, run: Run) -> str:
    return "\n".join(entry.user_message for entry in pipeline.instance.all_logs(run.result.run_id))


def test_the_account_is_asked_for_once_per_key_and_is_what_the_crm_calls_it(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in (API_KEY, "xkeysib-second-machine", API_KEY, "xkeysib-second-machine"):
        monkeypatch.setenv("BREVO_API_KEY", key)
        people.add()
        assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert asked(ours) == 2
    assert GateKeeper(people.engine, "brevo").read().account == OURS


def test_in_another_account_everything_is_new_and_no_stranger_is_touched(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, other: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add(2, phone_number=None)
    [suppressed, waiting] = people.add(2)
    pipeline.run()
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=suppressed)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=waiting)
    use_other()
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"unselected": 3, "skipped": 1}
    assert known_of_an_account(people) == []
    people.run("UPDATE crm_contacts SET email = 'new-' || email")
    pipeline.run()
    assert writes(other) == 0
    assert is_untouched(other)
    assert f"The credentials open the account {OTHER}, and not {OURS} any more" in logged(pipeline, run)
    assert "3 contacts are not selected any more" in logged(pipeline, run)


def test_once_selected_again_contacts_arrive_in_the_other_account(
    people: People,
    pipeline: Pipeline,
    ours: BrevoSandbox,
    other: BrevoSandbox,
    use_other: Callable[[], None],
    engine: sa.Engine,
) -> None:
    people.add(3)
    pipeline.run()
    use_other()
    pipeline.run()
    wait_until_open(GateKeeper(engine, "brevo"))
    select_all(people)
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    assert len(other.contacts()) == 4
    assert holds_what_is_complete(engine, other)


@pytest.mark.parametrize("state", ["synced", "failed", "queued"])
def test_a_number_of_another_account_names_nobody_here(
    people: People, pipeline: Pipeline, other: BrevoSandbox, use_other: Callable[[], None], state: str
) -> None:
    """Even where nobody noticed that the account is another one."""
    [contact_id] = people.add()
    use_other()
    people.run("UPDATE crm_syncs SET remote_key = 'old@example.com', remote_id = '1'")
    pipeline.run()
    held = {one["email"]: one["id"] for one in other.contacts()}
    assert held["boss@other.example"] == 1
    assert people.sync(contact_id)["remote_id"] != "1"


def test_the_schedule_starts_a_run_for_a_new_key_though_nothing_is_due(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    def waits_for() -> str | None:
        with Destination("brevo").open() as account:
            return reason_to_wait(account, pipeline.instance)

    assert waits_for() == "Nothing is due.", "nothing was ever delivered"
    people.add()
    pipeline.run()
    assert waits_for() == "Nothing is due."
    use_other()
    assert waits_for() is None
    pipeline.run()
    wait_until_open(GateKeeper(people.engine, "brevo"))
    assert waits_for() == "Nothing is due."


def test_the_change_is_told_by_an_alert_for_a_day_by_check_and_by_status(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add(2)
    pipeline.run()
    use_other()
    pipeline.run()
    with Destination("brevo").open() as account:
        gate = account.gate.read()
        assert gate.account_since is not None
        found = look(account, now=gate.account_since).findings
        checked = check_account(account)
    [finding] = [one for one in found if one.key == "brevo.account"]
    assert "2 contacts are not selected any more" in finding.headline
    assert OURS in finding.action
    assert account_finding("brevo", gate, gate.account_since + timedelta(days=2)) is None
    [told] = [one for one in checked.findings if one.subject == "Account"]
    assert told.ok
    assert told.detail.startswith(f"{OTHER}, the one of this database, since ")
    assert told.detail.endswith(f"in place of {OURS}; unselected then: 2 contacts")


def test_whoever_goes_to_and_fro_is_told_of_all_that_was_forgotten(people: People, ours: BrevoSandbox) -> None:
    people.add(2)
    gate = GateKeeper(people.engine, "brevo")
    forgotten = [gate.bind_account(account, "key") for account in (OURS, OTHER, OURS)]
    assert forgotten == [0, 2, 0]
    assert gate.read().contacts_forgotten == 2


def test_check_says_that_the_key_opens_another_account_and_changes_nothing(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add()
    pipeline.run()
    use_other()
    _, problem = launch(pipeline, "brevo_check_account")
    assert problem.startswith(f"Account: {OTHER}, but the contacts of this database were delivered to {OURS}.")
    assert people.states() == {"synced": 1}


def test_another_account_behind_a_key_that_is_known_is_noticed_by_the_next_check(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    people.add(2)
    pipeline.run()
    ours.configure(organization=OTHER)
    assert pipeline.run().counts == {}
    _, problem = launch(pipeline, "brevo_check_account")
    assert "The next run unselects all contacts" in problem
    assert people.states() == {"synced": 2}
    pipeline.run()
    assert people.states() == {"unselected": 2}
    assert GateKeeper(people.engine, "brevo").read().account == OTHER


def test_nothing_is_created_shown_or_read_back_in_another_account(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, other: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add(email="ada@example.com", custom_fields='{"Shoe size": "9"}')
    pipeline.run()
    other.seed({"email": "ada@example.com", "attributes": {"FIRSTNAME": "Somebody else"}})
    use_other()
    _, problem = launch(pipeline, "brevo_provision", dry_run=False)
    assert problem.startswith(f"The credentials open the account {OTHER} of brevo, but the contacts")
    with Destination("brevo").open() as account:
        told = look_up(account, story(account.engine, "ada@example.com").id)
    assert told
    assert (told.found, told.fields) == (None, ())
    assert told.says.startswith(f"Not asked: The credentials open the account {OTHER}")
    with Destination("brevo").open() as account, pytest.raises(Exception, match="open the account"):
        account.admitted()
    assert {one["path"] for one in other.requests()} == {"/v3/account"}
    assert people.states() == {"synced": 1}, "only a run forgets"


def test_after_the_sandbox_the_real_account_is_got_ready_and_the_next_run_moves_there(
    people: People,
    pipeline: Pipeline,
    brevo_environment: BrevoSandbox,
    other: BrevoSandbox,
    use_other: Callable[[], None],
) -> None:
    brevo_environment.configure(organization="crm-pipelines-sandbox", attributes={"SHOE_SIZE": "text"})
    people.add(custom_fields='{"Shoe size": "9"}')
    pipeline.run()
    assert people.states() == {"synced": 1}
    assert GateKeeper(people.engine, "brevo").read().account == "sandbox"
    use_other()
    with Destination("brevo").open() as account:
        assert check_account(account).problems == []
        assert [one.name for one in plan_account(account).new] == ["SHOE_SIZE"]
        assert provision_account(account, dry_run=False) == ["SHOE_SIZE"]
    pipeline.run()
    assert people.states() == {"unselected": 1}


def test_contacts_of_a_real_account_on_a_loopback_address_are_not_marked_by_the_sandbox(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, other: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add()
    pipeline.run()
    other.configure(organization="crm-pipelines-sandbox")
    use_other()
    run = pipeline.run()
    assert (run.problem or "").startswith(f"The contacts of this database were delivered to {OURS}")
    assert people.states() == {"synced": 1}
    with Destination("brevo").open() as account:
        [problem] = check_account(account).problems
    assert "The sandbox is not used with it" in problem.detail


def test_an_installation_from_before_adopts_the_account_that_its_key_opens(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    people.add(2)
    pipeline.run()
    people.run("UPDATE crm_gates SET account = 'api.brevo.com', account_fingerprints = '{}' WHERE crm = 'brevo'")
    with Destination("brevo").open() as account:
        [told] = [one for one in check_account(account).findings if one.subject == "Account"]
        assert told.ok
        assert reason_to_wait(account, pipeline.instance) is None
        assert provision_account(account, dry_run=True) == []
        assert account.gate.read().account == "api.brevo.com", "a key on somebody's machine must not decide"
    pipeline.run()
    gate = GateKeeper(people.engine, "brevo").read()
    assert (gate.account, gate.account_since, gate.paused) == (OURS, None, False)
    assert people.states() == {"synced": 2}


def test_without_an_organization_the_owner_tells_the_account_and_his_address_is_nowhere(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    ours.configure(organization=None, owner="Owner@Example.com")
    people.add()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    account = GateKeeper(people.engine, "brevo").read().account or ""
    assert account.startswith("owner-")
    assert "@" not in account
    ours.configure(owner="owner@example.com ")
    with Destination("brevo").open() as opened:
        people.run("UPDATE crm_gates SET account_fingerprints = '{x}' WHERE crm = 'brevo'")
        assert account_of(opened.gate, opened.crm, turn=lambda: None) == account


def test_while_it_cannot_be_told_which_account_it_is_nothing_is_claimed_and_the_run_says_why(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    people.add()
    ours.configure(organization=None, owner=None)
    run = pipeline.run()
    assert not run.success
    assert (run.problem or "").startswith("brevo's answer does not tell which account the credentials open")
    assert "\n" not in (run.problem or "")
    assert people.states() == {"queued": 1}
    with Destination("brevo").open() as account:
        assert [one.subject for one in check_account(account).problems] == ["Account"]
    assert writes(ours) == 0
    ours.configure(organization=OURS)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_an_answer_without_the_name_of_the_account_does_not_pass_for_another_account(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(2)
    pipeline.run()
    ours.configure(organization=None, owner="owner@example.com")
    monkeypatch.setenv("BREVO_API_KEY", "xkeysib-the-next")
    run = pipeline.run()
    assert (run.problem or "").startswith("brevo's answer does not tell which account the credentials open")
    assert people.states() == {"synced": 2}
    with Destination("brevo").open() as account:
        assert [one.subject for one in check_account(account).problems] == ["Account"]
    ours.configure(organization=OURS)
    people.add()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_an_answer_that_quotes_the_owner_is_told_without_his_address(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    people.add()
    ours.fault("status", path="/account$", status=400, body={"message": "Not for owner@example.com"})
    problem = pipeline.run().problem or ""
    assert "Not for …" in problem
    assert "@" not in problem


OUTCOMES: list[tuple[dict[str, Any], str]] = [
    ({"status": 503}, "outage"),
    ({"status": 401, "body": {"code": "unauthorized", "message": "Key not found"}}, "credentials"),
    ({"status": 429, "headers": {"x-sib-ratelimit-reset": "900"}}, "rate_limit"),
]


@pytest.mark.parametrize(("answer", "pause"), OUTCOMES, ids=["outage", "credentials", "rate_limit"])
def test_the_gate_hears_what_the_account_answered(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, answer: dict[str, Any], pause: str
) -> None:
    people.add()
    ours.fault("status", path="/account$", times=1, **answer)
    run = pipeline.run()
    gate = GateKeeper(people.engine, "brevo").read()
    assert gate.pause_kind == pause
    assert gate.limit_observed is None, "the limit of this request is not that of the contacts"
    assert people.states() == {"queued": 1}
    assert writes(ours) == 0
    if pause == "credentials":
        assert (run.problem or "").startswith("brevo: Key not found")
    else:
        assert "no contact is taken" in logged(pipeline, run)


def test_behind_a_paused_gate_the_account_is_not_asked_for(
    people: People, pipeline: Pipeline, ours: BrevoSandbox
) -> None:
    people.add()
    GateKeeper(people.engine, "brevo").pause("outage", "HTTP 503 from Brevo.", timedelta(minutes=10))
    run = pipeline.run()
    assert run.success, run.problem
    assert ours.requests() == []
    assert people.states() == {"queued": 1}


def test_a_dry_run_asks_nobody_and_says_whose_deliveries_it_rests_on(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, other: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add()
    pipeline.run()
    use_other()
    run = pipeline.run(dry_run=True)
    assert other.requests() == []
    assert f"If they open another account than {OURS}" in logged(pipeline, run)


def test_a_run_of_the_former_account_gets_no_turn_after_the_change(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add(3)
    pipeline.run()
    with Destination("brevo").open() as former:
        former = former.admitted()
        use_other()
        pipeline.run()
        wait_until_open(former.gate)
        select_all(people)
        writes_before = writes(ours)
        claims: list[Claim] = former.queue.claim("run-of-before", limit=3, lease=CLAIM_LEASE)
        assert len(claims) == 3
        session = former.session()
        with pytest.raises(Exception, match="being stopped"):
            session.turn()
        assert session.halted == OTHER_ACCOUNT
    assert writes(ours) == writes_before


def test_until_the_slots_of_the_former_account_are_over_nothing_is_claimed(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add()
    pipeline.run()
    gate = GateKeeper(people.engine, "brevo")
    last = gate.reserve(30, 1.0)
    assert last is not None
    use_other()
    with Destination("brevo").open() as account:
        # The run itself would wait for its turn behind those slots.
        gate.bind_account(OTHER, account.crm.credentials_fingerprint)
        select_all(people)
        assert account.queue.claim("run", limit=1, lease=CLAIM_LEASE) == []
    state = gate.read()
    assert state.pause_kind == "rate_limit"
    assert (state.paused_seconds or 0) > 25


def test_an_answer_of_the_former_account_that_comes_after_the_change_does_not_count(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, other: BrevoSandbox, use_other: Callable[[], None]
) -> None:
    people.add(3)
    ours.fault("hold", method="POST")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(pipeline.run)
        ours.wait_for_requests(3, method="POST")
        use_other()
        GateKeeper(people.engine, "brevo").bind_account(OTHER, "its key")
        select_all(people)
        ours.release()
        ours.clear_faults()
        running.result(PATIENCE)
    assert len(ours.contacts()) == 3
    assert people.states() == {"queued": 3}, "delivered to the former account, not to this one"
    assert known_of_an_account(people) == []


def test_the_account_changes_in_the_middle_of_a_backlog_with_imports_under_way(
    people: People,
    pipeline: Pipeline,
    ours: BrevoSandbox,
    other: BrevoSandbox,
    use_other: Callable[[], None],
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    ours.configure(hold_imports=True)
    people.add(40, phone_number="")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(pipeline.run)
        ours.wait_for_requests(1, method="POST", path="/contacts/import", finished=True)
        people.add(30)
        use_other()
        with Destination("brevo").open() as account:
            moved = account.admit_run(move=True)
        assert moved.forgotten == 70
        ours.release()
        ours.configure(hold_imports=False)
        former = running.result(PATIENCE)
    assert former.counts == {"claimed": 40, "superseded": 40}
    assert people.states() == {"unselected": 70}
    assert people.all("SELECT * FROM crm_bulk_rows") == []
    assert people.all("SELECT * FROM crm_bulk_imports WHERE state <> 'ended'") == []
    assert is_untouched(other)
    wait_until_open(GateKeeper(engine, "brevo"))
    select_all(people)
    for _ in range(6):
        pipeline.run()
        people.make_due()
        people.run("UPDATE crm_gates SET next_poll_at = now(), aside_full_at = now()")
        if people.states() == {"synced": 70}:
            break
    assert holds_what_is_complete(engine, other)
    held = {one["email"] for one in other.contacts()}
    assert {row["email"] for row in people.all("SELECT email FROM crm_contacts")} == held - {"boss@other.example"}
    stranger = other.contact("boss@other.example")
    assert stranger is not None
    assert (stranger["id"], stranger["attributes"].get("EXT_ID")) == (1, None)


def report(sandbox: BrevoSandbox, url: str) -> None:
    """Let the CRM say that its report of an import is there."""
    process = {"id": 1, "name": "IMPORTUSER", "status": "completed", "info": {"import": {"invalid_emails": url}}}
    sandbox.fault("status", path="/processes", status=200, body={"count": 1, "processes": [process]})
    sandbox.configure(import_status="failed")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_real_account_cannot_have_an_address_of_this_machine_asked(
    people: People, pipeline: Pipeline, ours: BrevoSandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    monkeypatch.setattr(planning, "IMPORT_PATIENCE", timedelta())
    report(ours, f"{ours.url.replace('127.0.0.1', name)}/reports/1")
    people.add(40)
    pipeline.run()
    assert len(ours.requests(path="/processes")) == 1
    assert ours.requests(path="/reports/") == []
