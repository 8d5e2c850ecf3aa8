"""crm-pipelines gate, and where a gate that waits for a person is shown."""

import json

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.cli.conftest import Run

_KEY = {"BREVO_API_KEY": "xkeysib-test-0123456789abcdef"}
_UNTIL = "nothing is sent until somebody starts it again (`crm-pipelines gate open brevo`)."
_STOPPED = "Sending to Brevo was stopped by hand. Nothing is sent; contacts wait, and no try is used up."


def test_a_gate_is_closed_and_opened_by_hand(run: Run, people: People) -> None:
    people.add(2)
    assert run("gate", **_KEY).stdout.splitlines() == [
        "brevo: 2 contacts are due for Brevo; at this pace they are delivered in 1 minute.",
    ], "as `status` does, it tells of no CRM that nobody uses"
    closed = run("gate", "close", "brevo", "--reason", "Until the import is checked.")
    assert closed.stdout == "brevo: sending is stopped until `crm-pipelines gate open brevo`.\n"
    assert run("gate", **_KEY).stdout.splitlines()[:3] == [
        f"brevo: {_STOPPED}",
        "brevo: reason: Until the import is checked.",
        "brevo: what to do: `crm-pipelines gate open brevo` starts it again.",
    ]
    assert json.loads(run("gate", "--json").stdout)[0] == {
        "crm": "brevo",
        "paused": True,
        "paused_until": None,
        "kind": "manual",
        "reason": "Until the import is checked.",
        "standing": {
            "condition": "waiting_for_you",
            "colour": "bad",
            "sentence": _STOPPED,
            "action": "`crm-pipelines gate open brevo` starts it again.",
        },
    }
    assert run("gate", "open", "brevo").stdout == "brevo: sending is on again. 2 contacts are due.\n"
    assert run("gate", "open", "brevo").stdout == "brevo: sending was on already. 2 contacts are due.\n"


def test_what_opens_by_itself_is_not_opened_and_a_sentence_says_what_opens_it(run: Run, engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").close("Key not found.", "fingerprint")
    done = run("gate", "open", "brevo")
    assert done.returncode == 1
    assert done.stderr == "Error: Sending to brevo is paused until the key is accepted. Key not found.\n"


@pytest.mark.parametrize("command", [("status", "brevo"), ("why", "ada@example.com")], ids=["status", "why"])
def test_a_restore_that_cannot_be_noticed_is_said_and_then_shown(
    run: Run, people: People, command: tuple[str, ...]
) -> None:
    people.add(email="ada@example.com")
    assert run("db", "restored").returncode == 0
    shown = " ".join(run(*command).stdout.split())
    assert "othing is sent" in shown
    assert "crm-pipelines gate open brevo" in shown
    assert "This database was restored or copied" in shown


def test_a_run_and_a_check_say_that_the_gate_waits_for_a_person(
    run: Run, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    account = {"BREVO_API_KEY": "xkeysib-test-0123456789abcdef", "BREVO_API_BASE_URL": brevo_sandbox.url}
    people.add()
    run("gate", "close", "brevo", "--reason", "Until the import is checked.")
    told = run("sync", "brevo", **account).stdout
    assert told.startswith("Nothing was sent. Run "), "1 contact is due"
    assert f"brevo: {_STOPPED}" in told
    assert brevo_sandbox.sent() == []
    checked = json.loads(run("check", "brevo", "--json", **account).stdout)
    [found] = [finding for finding in checked["findings"] if finding["subject"] == "Gate"]
    assert (found["ok"], found["blocking"]) == (False, False)
    assert found["detail"] == f"{_UNTIL} Until the import is checked."
    assert GateKeeper(people.engine, "brevo").read().paused, "a check opens no such gate"


def test_to_start_sending_without_what_the_account_lacks_says_what_is_left_out(run: Run, people: People) -> None:
    people.run("UPDATE crm_gates SET account = 'ours', accepted_account = NULL WHERE crm = 'brevo'")
    people.add()
    gate = GateKeeper(people.engine, "brevo")
    gate.wait_for_attributes("Brevo has no attribute for 1 field: CITY (City, 1 contact).", "mapping-1")
    done = run("gate", "open", "brevo")
    assert done.stdout.splitlines() == [
        (
            "brevo: contacts are sent without these values from now on. Brevo has no attribute for 1 field: CITY "
            "(City, 1 contact)."
        ),
        "brevo: sending is on again. 1 contact is due.",
    ]
    assert gate.read().accepts("mapping-1")
    assert not gate.read().accepts("mapping-2")
