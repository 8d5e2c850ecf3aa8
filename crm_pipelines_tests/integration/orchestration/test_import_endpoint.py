"""While imports, or what they need, fail, contacts arrive singly: at once, and for an hour without another try."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bulk.sending import BulkSender
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.bulk_imports import BulkImports
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, Run
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

IMPORT = "/contacts/import"
DOWN: dict[str, Any] = {"action": "status", "status": 503, "path": IMPORT}
TOO_LARGE: dict[str, Any] = {"action": "html", "status": 413, "path": IMPORT}


@pytest.fixture(autouse=True)
def _small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")


def edit_all(people: People) -> None:
    people.run("UPDATE crm_contacts SET name = name || 'x'")


def imports_sent(sandbox: BrevoSandbox) -> int:
    return len(sandbox.requests(method="POST", path=IMPORT))


def asked_for(sandbox: BrevoSandbox, where: dict[str, str]) -> int:
    return len(sandbox.requests(method=where.get("method"), path=where["path"]))


def ends(people: People) -> list[str]:
    return [row["ended_as"] for row in people.all("SELECT ended_as FROM crm_bulk_imports ORDER BY created_at")]


def log_of(pipeline: Pipeline, run: Run) -> str:
    return "\n".join(entry.user_message for entry in pipeline.instance.all_logs(run.result.run_id))


def let_an_hour_pass(people: People) -> None:
    people.run("UPDATE crm_bulk_imports SET ended_at = ended_at - interval '61 min'")


@pytest.mark.parametrize(
    "fault",
    [
        DOWN,
        {"action": "html", "status": 200, "path": IMPORT},
        {"action": "status", "status": 200, "body": {"ok": True}, "path": IMPORT},
        {"action": "reset_before", "path": IMPORT},
        {"action": "status", "status": 405, "path": IMPORT, "body": {"code": "method_not_allowed", "message": "No"}},
        TOO_LARGE,
    ],
    ids=["5xx", "a page", "another type", "reset", "405", "413"],
)
def test_a_run_whose_import_failed_sends_the_contacts_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, fault: dict[str, Any]
) -> None:
    brevo_sandbox.fault(**fault)
    people.add(60)
    run = pipeline.run()
    assert run.success, run.problem
    pipeline.run()
    assert people.states() == {"synced": 60}
    assert len(brevo_sandbox.contacts()) == 60
    assert imports_sent(brevo_sandbox) == 1
    assert people.all("SELECT max(attempts) AS n, max(crashes) AS m FROM crm_syncs") == [{"n": 0, "m": 0}]


def test_what_an_import_could_not_bring_in_goes_in_the_same_run_and_the_sums_add_up(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault(**DOWN)
    people.add(60)
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 120, "synced": 60, "released": 60}
    assert all(check.passed for check in run.result.get_asset_check_evaluations())


def test_a_limit_holds_for_what_goes_singly_after_a_failed_import(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault(**DOWN)
    people.add(60)
    pipeline.run(limit=30)
    assert people.states() == {"synced": 30, "queued": 30}


def test_a_limit_that_is_used_up_by_earlier_imports_leaves_none_for_what_goes_singly(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "IMPORT_PATIENCE", planning.IMPORT_PATIENCE * 0)
    brevo_sandbox.configure(hold_imports=True)
    people.add(40)
    assert pipeline.run().counts == {"claimed": 40, "importing": 40}
    people.add(30)
    brevo_sandbox.fault(**DOWN)
    run = pipeline.run(limit=30)
    assert run.success, run.problem
    assert run.counts == {"claimed": 70, "importing": 40, "released": 30}
    brevo_sandbox.release()


def test_after_two_imports_that_came_to_nothing_contacts_go_singly_for_an_hour_and_the_log_says_so(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault(**DOWN)
    people.add(30)
    for expected in (1, 2, 2, 2):
        run = pipeline.run()
        assert people.states() == {"synced": 30}
        assert imports_sent(brevo_sandbox) == expected
        edit_all(people)
    assert "No bulk import for" in log_of(pipeline, run)
    assert "unanswered" in log_of(pipeline, run)
    scans = len(brevo_sandbox.requests(method="GET", path="/contacts$"))
    pipeline.run()
    assert len(brevo_sandbox.requests(method="GET", path="/contacts$")) == scans, "nor is the account read for it"
    edit_all(people)
    let_an_hour_pass(people)
    pipeline.run()
    assert imports_sent(brevo_sandbox) == 3, "one is tried again"
    edit_all(people)
    pipeline.run()
    assert imports_sent(brevo_sandbox) == 3, "and the hour begins anew"


def test_an_import_that_arrives_ends_the_series(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(30)
    brevo_sandbox.fault(**DOWN, times=1)
    for _ in range(4):
        pipeline.run()
        assert people.states() == {"synced": 30}
        edit_all(people)
        if len(ends(people)) == 2:
            brevo_sandbox.fault(**DOWN, times=1)
    assert ends(people) == ["unanswered", "proved", "unanswered", "proved"]


SCAN = {"method": "GET", "path": "/contacts$"}
REFUSED: dict[str, Any] = {"action": "status", "status": 403, "body": {"code": "permission_denied", "message": "No"}}
ASKED_TO_WAIT: dict[str, Any] = {"action": "status", "status": 429, "headers": {"retry-after": "600"}}


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize(
    "where", [{"path": IMPORT}, {"path": "/contacts/folders"}, SCAN], ids=["import", "list", "scan"]
)
def test_a_refusal_of_what_only_imports_need_closes_no_gate(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, where: dict[str, str], status: int
) -> None:
    brevo_sandbox.fault(**{**REFUSED, "status": status}, **where)
    people.add(60)
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"synced": 60}
    assert people.all("SELECT max(attempts) AS n FROM crm_syncs") == [{"n": 0}]


@pytest.mark.parametrize(
    "where", [{"path": IMPORT}, {"path": "/contacts/folders"}, SCAN], ids=["import", "list", "scan"]
)
@pytest.mark.parametrize(
    "trouble", [ASKED_TO_WAIT, REFUSED, {"action": "status", "status": 503}], ids=["429", "403", "5xx"]
)
def test_after_two_failures_of_what_only_imports_need_it_is_left_alone_for_an_hour(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    engine: sa.Engine,
    where: dict[str, str],
    trouble: dict[str, Any],
) -> None:
    brevo_sandbox.fault(**trouble, **where)
    people.add(60)
    for _ in range(2):
        pipeline.run()
        GateKeeper(engine, "brevo").open()
        edit_all(people)
    asked = asked_for(brevo_sandbox, where)
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"synced": 60}
    assert asked_for(brevo_sandbox, where) == asked
    edit_all(people)
    let_an_hour_pass(people)
    pipeline.run()
    assert asked_for(brevo_sandbox, where) > asked


def test_what_a_closed_gate_held_back_is_no_failure_of_the_import(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_submitting = BulkImports.begin_submitting
    gate = GateKeeper(engine, "brevo")

    def closing(self: BulkImports, *given: Any, **named: Any) -> set[str]:
        gate.close_by_hand("Not now.")
        return begin_submitting(self, *given, **named)

    people.add(30)
    with monkeypatch.context() as closed:
        closed.setattr(BulkImports, "begin_submitting", closing)
        # It would have reserved turns for half a second, which a gate that closes does not take back.
        closed.setattr(BulkSender, "_confirm_ahead", lambda *_: None)
        for _ in range(2):
            pipeline.run()
            gate.open_by_hand()
    assert ends(people) == ["given_back", "given_back"]
    pipeline.run()
    assert imports_sent(brevo_sandbox) == 1
    assert people.states() == {"synced": 30}


@pytest.mark.parametrize("status", [403, 503])
def test_what_no_reading_proves_goes_singly_in_time_and_holds_up_nobody_else(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    request = Transport.request

    def blind(self: Transport, method: str, path: str, **sent: Any) -> Any:
        if "modifiedSince" in (sent.get("params") or {}):
            return Answer(status=status, body=b'{"code": "internal", "message": "No"}')
        return request(self, method, path, **sent)

    monkeypatch.setattr(Transport, "request", blind)
    people.add(30)
    assert pipeline.run().counts == {"claimed": 30, "importing": 30}
    others = people.add(30)
    pipeline.run()
    assert {people.sync(one)["state"] for one in others} == {"synced"}
    people.run("UPDATE crm_bulk_imports SET deadline = now() - interval '1 s'")
    for _ in range(2):
        pipeline.run()
    assert people.states() == {"synced": 60}
    assert ends(people) == ["overdue"]
    assert people.all("SELECT max(attempts) AS n FROM crm_syncs") == [{"n": 0}]


def test_imports_of_a_worker_that_died_while_it_sent_them_count(people: People, engine: sa.Engine) -> None:
    people.run(
        "INSERT INTO crm_bulk_imports (crm, mapping_version, state, submitted_at, tended_at) "
        "SELECT 'brevo', 'm', 'submitting', now(), now() - interval '1 h' FROM generate_series(1, 2)"
    )
    imports = BulkImports(engine, "brevo", "run")
    assert planning.bulk_held_up(imports.latest_ends()) is None
    imports.recover(silence=planning.IMPORT_SILENCE)
    assert planning.bulk_held_up(imports.latest_ends()) is not None


def test_failures_at_the_former_account_hold_nothing_up_at_the_new_one(people: People, engine: sa.Engine) -> None:
    people.run(
        "INSERT INTO crm_bulk_imports (crm, mapping_version, state, ended_as, submitted_at, ended_at) "
        "SELECT 'brevo', 'm', 'ended', 'unanswered', now(), now() FROM generate_series(1, 2)"
    )
    imports = BulkImports(engine, "brevo", "run")
    assert planning.bulk_held_up(imports.latest_ends()) is not None
    gate = GateKeeper(engine, "brevo")
    gate.bind_account("one", "fingerprint")
    gate.bind_account("another", "fingerprint of another")
    assert imports.latest_ends() == []


def too_slow(monkeypatch: pytest.MonkeyPatch, sandbox: BrevoSandbox) -> None:
    """The uplink is too slow for any import."""
    request = Transport.request

    def slow(self: Transport, method: str, path: str, **sent: Any) -> Any:
        if path == IMPORT:
            raise requests.ReadTimeout
        return request(self, method, path, **sent)

    monkeypatch.setattr(Transport, "request", slow)


def too_large(monkeypatch: pytest.MonkeyPatch, sandbox: BrevoSandbox) -> None:
    """A proxy takes no import."""
    sandbox.fault(**TOO_LARGE)


@pytest.mark.parametrize("trouble", [too_slow, too_large])
def test_bodies_are_halved_after_a_time_out_down_to_a_floor_and_grow_after_a_success(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[pytest.MonkeyPatch, BrevoSandbox], None],
) -> None:
    sizes: list[int] = []  # in contacts
    submit = BrevoImports.submit

    def noted(self: BrevoImports, rows: Any, *given: Any, **named: Any) -> Any:
        sizes.append(len(rows))
        return submit(self, rows, *given, **named)

    monkeypatch.setattr(BrevoImports, "submit", noted)
    monkeypatch.setattr(BrevoImports, "most_bytes", 128_000)
    monkeypatch.setattr(planning, "BULK_REST", planning.BULK_REST * 0)
    with monkeypatch.context() as during:
        trouble(during, brevo_sandbox)
        people.add(400)
        for _ in range(6):
            pipeline.run()
            pipeline.run()
            assert people.states() == {"synced": 400}
            edit_all(people)
    assert len(sizes) == 6
    assert sizes[0] == 400
    assert all(2 * later < sooner + 80 for sooner, later in pairwise(sizes[1:5]))
    floor = sizes[5]
    assert floor == pytest.approx(sizes[4], abs=5), "there it stays"
    brevo_sandbox.clear_faults()
    firsts = []
    for _ in range(3):
        del sizes[:]
        pipeline.run()
        pipeline.run()
        assert people.states() == {"synced": 400}
        firsts.append(sizes[0])
        edit_all(people)
    assert firsts[0] == pytest.approx(floor, abs=5)
    assert firsts[1:] == [400, 400], "each that arrives doubles them again"
