"""`crm-pipelines sync`: what a dry run shows, and what is said of contacts that were named."""

import json
from pathlib import Path
from typing import Any

import pytest

from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.integration.cli.conftest import Done, Run

ADA, GRACE = "ada@example.com", "grace@example.com"
MAPPING = Path(load_mapping.__code__.co_filename).with_name("mapping.toml")


@pytest.fixture
def program(run: Run, brevo_sandbox: BrevoSandbox, tmp_path: Path) -> Run:
    """The program with an account that has what the mapping needs."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")

    def program(*arguments: str, **more: str) -> Done:
        account = {"BREVO_API_KEY": API_KEY, "BREVO_API_BASE_URL": brevo_sandbox.url, "COLUMNS": "80"}
        return run(*arguments, **account, **more)

    assert program("provision", "brevo").returncode == 0
    return program


def lines(done: Done) -> list[str]:
    """With single spaces, as in a table that is as wide as it likes."""
    return [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]


def test_a_dry_run_shows_the_counts_what_is_left_out_and_the_first_contacts_by_field(
    program: Run, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(11, name="Grace Hopper")
    people.add(email=ADA, name="Ada Lovelace", phone_number="none")
    people.run(
        "UPDATE crm_syncs SET run_at = run_at - interval '1 h' FROM crm_contacts c WHERE c.email = :ada "
        "AND c.id = contact_id",
        ada=ADA,
    )
    done = program("sync", "brevo", "--dry-run")
    assert done.returncode == 0, done.stderr
    told = lines(done)
    assert told[0].startswith("12 would be taken: 12 new. Nothing was sent. Run")
    assert "phone_number 1 not a phone number" in told
    assert "The first 10:" in told
    assert (
        told.index(f"{ADA}: new at Brevo")
        < told.index("first_name FIRSTNAME Ada new")
        < told.index("phone_number SMS left out")
    )
    assert sum("@example.com: new at Brevo" in line for line in told) == 10
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    assert people.states() == {"queued": 12}
    assert brevo_sandbox.requests(path=DELIVERIES) == []


def test_a_dry_run_as_json_holds_all_of_it(program: Run, people: People) -> None:
    people.add(email=ADA, name="Ada", phone_number="none")
    done = program("sync", "brevo", "--dry-run", "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert {name: count for name, count in document["counts"].items() if count} == {"claimed": 1, "synced": 1, "new": 1}
    assert document["left_out"] == [{"field": "phone_number", "reason": "not a phone number", "contacts": 1}]
    [contact] = document["first"]
    assert (contact["email"], contact["kind"]) == (ADA, "new")
    fields = {one["field"]: (one["change"], one["value"]) for one in contact["fields"]}
    assert fields["first_name"] == ("new", "Ada")
    assert fields["phone_number"] == ("left out", None)
    assert document["standing"]["condition"] == "working"


def test_a_dry_run_says_first_that_sending_is_stopped(program: Run, people: People) -> None:
    people.add()
    GateKeeper(people.engine, "brevo").close_by_hand("Moving house.")
    told = lines(program("sync", "brevo", "--dry-run"))
    assert told[0].startswith("brevo: Sending to Brevo was stopped by hand.")
    assert any(line.startswith("1 would be taken: 1 new.") for line in told)


def test_who_was_named_is_told_of_and_the_exit_code_says_if_all_are_there(program: Run, people: People) -> None:
    people.add(email=ADA)
    done = program("sync", "brevo", "--email", ADA)
    assert (done.returncode, lines(done)[1:]) == (0, [f"{ADA} was delivered to Brevo."])
    done = program("sync", "brevo", "--email", ADA)
    assert done.returncode == 0, "it is there"
    assert f"{ADA} was delivered to Brevo at 20" in done.stdout
    people.add(email=GRACE, select=False)
    done = program("sync", "brevo", "--email", GRACE, "--email", ADA)
    assert done.returncode == 1
    assert f"{GRACE} is not selected for Brevo, so it was not sent." in done.stderr
    [told] = json.loads(program("sync", "brevo", "--email", GRACE, "--json").stdout)["contacts"]
    assert (told["email"], told["arrived"]) == (GRACE, False)


def test_whom_another_run_holds_is_not_sent_a_second_time_and_that_is_said(
    program: Run, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(email=ADA)
    people.run(
        "UPDATE crm_syncs SET state = 'claimed', claim_no = 1, claimed_by = 'another-run', "
        "lease_until = now() + interval '20 min'"
    )
    done = program("sync", "brevo", "--email", ADA)
    assert done.returncode == 1
    assert "Nothing was taken." in done.stdout
    said = " ".join(done.stderr.split())
    assert f"{ADA} is being delivered to Brevo by run another-run. It was not sent a second time." in said
    assert brevo_sandbox.requests(path=DELIVERIES) == []


def test_after_a_new_mapping_status_and_check_name_the_contacts_of_the_former_and_select_takes_them(
    program: Run, people: People, tmp_path: Path
) -> None:
    people.add(2)
    assert program("sync", "brevo").returncode == 0
    text = MAPPING.read_text(encoding="utf-8")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'{text}\n[attributes.MET_AT]\nfrom = "context"\ntype = "text"\n', encoding="utf-8")
    new = {"BREVO_MAPPING_FILE": str(mapping)}
    people.add(email=ADA)
    assert program("provision", "brevo", **new).returncode == 0
    assert program("sync", "brevo", "--email", ADA, **new).returncode == 0
    said = "2 delivered contacts were sent with another mapping."
    assert said in program("status", "brevo", **new).stdout
    assert json.loads(program("status", "brevo", "--json", **new).stdout)["delivered_with_another_mapping"] == 2
    [finding] = [
        one
        for one in json.loads(program("check", "brevo", "--json", **new).stdout)["findings"]
        if one["subject"] == "Mapping"
    ]
    assert (finding["ok"], finding["blocking"]) == (False, False)
    assert finding["detail"].startswith(said)
    assert program("contacts", "select", "brevo", "--stale", **new).stdout == "brevo: 2 queued.\n"
    assert program("sync", "brevo", **new).returncode == 0
    assert said not in program("status", "brevo", **new).stdout
    assert program("contacts", "select", "brevo", "--stale", **new).stdout == "brevo: 0 queued.\n"
