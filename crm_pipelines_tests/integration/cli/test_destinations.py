"""Every command works on the destination that it names, and on no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.shell_completion import ShellComplete

from crm_pipelines.cli import cli
from crm_pipelines.database import connecting
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.sandbox.core.server import LOOPBACK
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, sandbox_server
from crm_pipelines_tests.integration.cli.conftest import Run

KEY, OTHER_KEY = "xkeysib-test-0123456789abcdef", "xkeysib-test-of-brevo-eu"
NO_SUCH = "Error: There is no destination named brewo: there are brevo. CRM_DESTINATIONS names further ones.\n"
NOT_SET_UP = "Error: Mautic is not set up: set MAUTIC_BASE_URL and what else it needs.\n"
LEFT_OUT = "Error: Brevo is no destination here: CRM_DESTINATIONS names brevo_eu only.\n"
WITHOUT_KEY = "BREVO_EU_API_KEY is not set: set it in the environment or in the file .env."


@pytest.fixture(scope="module")
def second_server() -> Iterator[str]:
    with sandbox_server() as root:
        yield root


@pytest.fixture
def first(brevo_sandbox: BrevoSandbox) -> BrevoSandbox:
    """The account `brevo`."""
    brevo_sandbox.configure(organization="first")
    return brevo_sandbox


@pytest.fixture
def second(second_server: str) -> Iterator[BrevoSandbox]:
    """The account `brevo_eu`."""
    sandbox = BrevoSandbox(second_server)
    sandbox.reset()
    sandbox.configure(organization="second")
    yield sandbox
    sandbox.close()


@pytest.fixture
def both(run: Run, monkeypatch: pytest.MonkeyPatch, first: BrevoSandbox, second: BrevoSandbox, tmp_path: Path) -> Run:
    """The program with two accounts of Brevo in its settings."""
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_API_KEY", KEY)
    monkeypatch.setenv("BREVO_API_BASE_URL", first.url)
    monkeypatch.setenv("BREVO_EU_API_KEY", OTHER_KEY)
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", second.url)
    for variable in ("BREVO_RATE_LIMIT_PER_SECOND", "BREVO_EU_RATE_LIMIT_PER_SECOND"):
        monkeypatch.setenv(variable, "500")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return run


def queued(people: People) -> set[tuple[str, str]]:
    """Address and destination of all that waits for a delivery."""
    rows = people.all(
        "SELECT c.email, s.crm FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id WHERE s.state = 'queued'"
    )
    return {(row["email"], row["crm"]) for row in rows}


@pytest.mark.parametrize("command", [["check"], ["provision", "--dry-run"], ["provision"]])
@pytest.mark.parametrize("crm", ["brevo", "brevo_eu"])
def test_what_talks_to_a_crm_talks_to_the_account_that_is_named(
    both: Run, people: People, first: BrevoSandbox, second: BrevoSandbox, command: list[str], crm: str
) -> None:
    people.add(source_url="https://example.com", select=False)
    named, other = (first, second) if crm == "brevo" else (second, first)
    done = both(*command, crm.upper())
    assert done.returncode in {0, 1}, done.stderr
    assert named.requests() != []
    assert other.requests() == []
    attributes = {one["name"] for one in named.state()["attributes"]}
    assert ("SOURCE_URL" in attributes) == (command == ["provision"])


@pytest.mark.parametrize("crm", ["brevo", "brevo_eu"])
def test_sync_delivers_what_is_selected_for_the_account_that_is_named_and_nothing_else(
    both: Run, people: People, first: BrevoSandbox, second: BrevoSandbox, crm: str
) -> None:
    people.add(email="ada@example.com", select=False)
    for one in ("brevo", "brevo_eu"):
        assert both("contacts", "select", one, "--all").returncode == 0
    done = both("sync", crm.upper())
    assert done.returncode == 0, done.stderr
    assert "1 taken: 1 delivered." in done.stdout
    named, other = (first, second) if crm == "brevo" else (second, first)
    assert [one["email"] for one in named.contacts()] == ["ada@example.com"]
    assert other.requests() == []
    assert queued(people) == {("ada@example.com", "brevo_eu" if crm == "brevo" else "brevo")}


def test_check_opens_the_gate_of_the_account_that_is_well_and_no_other(both: Run, engine: sa.Engine) -> None:
    for crm in ("brevo", "brevo_eu"):
        GateKeeper(engine, crm).close("The key was refused.", "fingerprint")
        assert both("provision", crm).returncode == 0
    assert both("check", "brevo_eu").returncode == 0
    assert GateKeeper(engine, "brevo").read().paused
    assert not GateKeeper(engine, "brevo_eu").read().paused


def test_check_goes_by_the_mapping_and_the_key_of_the_account_that_is_named(
    both: Run, people: People, tmp_path: Path
) -> None:
    people.add(select=False)
    (tmp_path / "mapping.toml").write_text("[attributes]\nSMS = 7\n", encoding="utf-8")
    wrong = {"BREVO_EU_MAPPING_FILE": str(tmp_path / "mapping.toml"), "BREVO_EU_API_KEY": ""}
    assert both("provision", "brevo", **wrong).returncode == 0
    assert both("check", "brevo", **wrong).returncode == 0
    done = both("check", "brevo_eu", "--json", **wrong)
    failed = {one["subject"]: one["detail"] for one in json.loads(done.stdout)["findings"] if not one["ok"]}
    assert (done.returncode, set(failed)) == (1, {"Mapping file", "Credentials"})
    assert failed["Credentials"] == WITHOUT_KEY


def test_contacts_are_selected_taken_back_retried_and_told_of_at_the_destination_that_is_named(
    both: Run, people: People, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nada@example.com\n", encoding="utf-8")
    done = both("contacts", "import", str(file), "--select", "brevo_eu")
    assert "Selected for Brevo (brevo_eu): 1 contact." in done.stdout, done.stderr
    assert queued(people) == {("ada@example.com", "brevo_eu")}
    assert both("contacts", "select", "brevo", "--all").stdout == "brevo: 1 queued.\n"
    counts = {one["crm"]: one["counts"]["Selected"] for one in json.loads(both("status", "--json").stdout)}
    assert (counts["brevo"], counts["brevo_eu"], counts["hubspot"]) == (1, 1, 0)
    assert both("contacts", "unselect", "brevo_eu", "--all").stdout.startswith("brevo_eu: 1 taken back")
    assert queued(people) == {("ada@example.com", "brevo")}
    assert both("contacts", "select", "Brevo_EU", "--email", "ADA@example.com").stdout == "brevo_eu: 1 queued.\n"
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error = 'Down.', last_error_kind = 'outage' WHERE crm = 'brevo_eu'"
    )
    assert both("retry", "brevo", "--all").stdout.startswith("brevo: 0 queued again")
    assert both("retry", "brevo_eu", "--all").stdout.startswith("brevo_eu: 1 queued again")


def test_a_gate_is_closed_and_opened_for_the_destination_that_is_named(both: Run) -> None:
    assert both("gate", "close", "brevo_eu").returncode == 0
    gates = {one["crm"]: one["paused"] for one in json.loads(both("gate", "--json").stdout)}
    assert (gates["brevo"], gates["brevo_eu"]) == (False, True)
    assert both("gate", "open", "brevo_eu").stdout == "brevo_eu: sending is on again. 0 contacts are due.\n"


def test_nobody_who_is_suppressed_for_all_is_sent_to_a_further_account(both: Run, people: People) -> None:
    people.add(email="ada@example.com", select=False)
    told = json.loads(both("suppress", "ada@example.com", "--json").stdout)
    assert [one["crm"] for one in told] == ["brevo", "hubspot", "mautic", "n8n", "brevo_eu"]
    assert "1 was never to be sent, and left so" in both("contacts", "select", "brevo_eu", "--all").stdout
    assert queued(people) == set()


def test_health_without_a_name_looks_at_every_destination_and_at_daemons_once(
    both: Run, empty_database_url: str
) -> None:
    storage = empty_database_url.replace("postgresql+psycopg://", "postgresql+psycopg2://")
    told = json.loads(both("health", "--json", DAGSTER_POSTGRES_URL=storage).stdout)
    subjects = [one["subject"] for one in told["checks"]]
    assert told["crm"] == "brevo, brevo_eu"
    assert {"deliveries to brevo", "deliveries to brevo_eu"} <= set(subjects)
    assert subjects.count("daemon SCHEDULER") == 1
    told = json.loads(both("health", "brevo_eu", "--json", DAGSTER_POSTGRES_URL=storage).stdout)
    assert "gate of brevo" not in [one["subject"] for one in told["checks"]]


def asked_live(run: Run, **variables: str) -> dict[str, str]:
    done = run("why", "ada@example.com", "--live", "--json", **variables)
    assert done.returncode == 0, done.stderr
    return {one["crm"]: one["says"] for one in json.loads(done.stdout)["live"]}


def test_why_tells_of_every_destination_that_the_contact_is_selected_for(both: Run, people: People) -> None:
    def foreseen() -> list[str]:
        told = json.loads(both("why", "ada@example.com", "--json").stdout)
        assert told["live"] == []
        return [one["crm"] for one in told["previews"]]

    people.add(email="ada@example.com", select=False)
    assert foreseen() == ["brevo", "brevo_eu"], "none is selected"
    both("contacts", "select", "brevo_eu", "--all")
    assert foreseen() == ["brevo_eu"]
    both("contacts", "select", "brevo", "--all")
    assert foreseen() == ["brevo", "brevo_eu"]


def test_why_of_who_is_not_selected_begins_with_a_destination_that_there_is(
    both: Run, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(email="ada@example.com", select=False)
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo_eu:brevo")
    told = both("why", "ada@example.com").stdout
    assert "contacts select brevo_eu" in told
    assert "contacts select brevo " not in told


def test_why_live_asks_those_that_the_contact_was_selected_for_and_no_other(
    both: Run, people: People, first: BrevoSandbox, second: BrevoSandbox
) -> None:
    people.add(email="ada@example.com", select=False)
    both("contacts", "select", "brevo_eu", "--all")
    assert list(asked_live(both)) == ["brevo_eu"]
    assert first.requests() == []
    assert second.requests() != []
    both("contacts", "unselect", "brevo_eu", "--all")
    people.run("UPDATE crm_syncs SET remote_key = 'ada@example.com' WHERE crm = 'brevo_eu'")
    assert list(asked_live(both)) == ["brevo_eu"], "it was delivered there"
    assert first.requests() == []


def test_who_cannot_be_asked_says_why_and_hinders_no_other(
    both: Run, people: People, second: BrevoSandbox, tmp_path: Path
) -> None:
    people.add(email="ada@example.com", select=False)
    both("contacts", "select", "brevo", "--all")
    both("contacts", "select", "brevo_eu", "--all")
    (tmp_path / "mapping.toml").write_text("[attributes]\nSMS = 7\n", encoding="utf-8")
    for wrong, reason in (
        ({"BREVO_API_KEY": ""}, "BREVO_API_KEY is not set"),
        ({"BREVO_API_KEY": "a\tkey"}, "characters that no key has"),
        ({"BREVO_MAPPING_FILE": str(tmp_path / "mapping.toml")}, "mapping.toml"),
    ):
        told = asked_live(both, **wrong)
        assert told["brevo"].startswith("Not asked: ")
        assert reason in told["brevo"]
        assert told["brevo_eu"] == "It holds no contact with our id or an address that we know of it."
    for_people = both("why", "ada@example.com", BREVO_MAPPING_FILE=str(tmp_path / "mapping.toml"))
    assert for_people.returncode == 0
    assert "What would be sent to brevo_eu" in for_people.stdout


@pytest.mark.parametrize(
    ("crm", "environment", "sentence"),
    [
        ("brewo", {}, NO_SUCH),
        ("mautic", {}, NOT_SET_UP),
        ("brevo", {"CRM_DESTINATIONS": "brevo_eu:brevo"}, LEFT_OUT),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["sync"],
        ["check"],
        ["provision"],
        ["health"],
        ["contacts", "select", "--all"],
        ["contacts", "import", "people.csv", "--select"],
        ["contacts", "import", "people.csv", "--dry-run", "--select"],
    ],
    ids=" ".join,
)
def test_what_is_no_destination_is_refused_with_the_variable_to_set_and_nothing_is_done(
    run: Run,
    people: People,
    first: BrevoSandbox,
    tmp_path: Path,
    command: list[str],
    crm: str,
    environment: dict[str, str],
    sentence: str,
) -> None:
    people.run("DELETE FROM crm_destinations")  # `brevo` may be known from elsewhere
    people.add(select=False)
    (tmp_path / "people.csv").write_text("email\nada@example.com\n", encoding="utf-8")
    account = {"BREVO_API_KEY": KEY, "BREVO_API_BASE_URL": first.url}
    done = run(*command, crm, **account, **environment)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
    assert first.requests() == []
    assert people.all("SELECT 1 FROM crm_syncs") == []
    assert len(people.all("SELECT 1 FROM crm_contacts")) == 1


def test_what_is_neither_a_destination_nor_a_crm_with_a_sandbox_has_none(run: Run) -> None:
    done = run("sandbox", "brewo", "--port", "0")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", NO_SUCH)


def test_a_crm_has_its_sandbox_before_there_is_a_destination(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[dict[str, object]] = []
    monkeypatch.setattr("crm_pipelines.sandbox.hubspot.server.serve", lambda **options: served.append(options))
    assert run("sandbox", "hubspot", "--port", "0").returncode == 0
    assert served == [{"port": 0, "state_file": None, "reach": LOOPBACK}]


def test_the_sandbox_of_a_further_account_is_that_of_its_crm(
    both: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[dict[str, object]] = []
    monkeypatch.setattr("crm_pipelines.sandbox.brevo.server.serve", lambda **options: served.append(options))
    for crm in ("brevo", "brevo_eu"):
        assert both("sandbox", crm, "--port", "0", "--state", str(tmp_path / crm)).returncode == 0
    assert both("sandbox", "brevo", CRM_DESTINATIONS="brevo_eu:brevo").returncode == 0
    assert [one["state_file"] for one in served] == [tmp_path / "brevo", tmp_path / "brevo_eu", None]


@pytest.mark.parametrize(
    "command",
    [
        ["contacts", "unselect", "--all"],
        ["retry", "--all"],
        ["status"],
        ["gate", "close"],
        ["gate", "open"],
        ["suppress", "ada@example.com", "--crm"],
        ["unsuppress", "ada@example.com", "--reason", "asked", "--crm"],
        ["suppressions", "list", "--crm"],
    ],
    ids=" ".join,
)
def test_what_needs_no_account_works_for_whatever_is_known_and_refuses_a_typo(
    run: Run, people: People, command: list[str]
) -> None:
    people.add(email="ada@example.com", select=False)
    assert run(*command, "Mautic").returncode in {0, 1}
    done = run(*command, "brewo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: There is no CRM named 'brewo'; known are brevo, hubspot, mautic, n8n.\n"


def test_contacts_that_wait_for_nobody_are_told_once_with_what_to_do(run: Run, people: People) -> None:
    people.add(3, select=False)
    people.run("UPDATE contacts SET mautic_sync_status = 'Selected', mautic_processing_status = 'Queued'")
    sentence = (
        "3 contacts are selected for mautic, and nobody delivers them. Mautic is not set up: set MAUTIC_BASE_URL and "
        "what else it needs. "
        "To take them back: `crm-pipelines contacts unselect mautic --where-status Selected` (`Queued`, `Processing`)."
    )
    assert run("status").stdout.count(sentence) == 1
    assert run("status", "mautic").stdout.count(sentence) == 1
    assert "mautic" not in run("status", "brevo").stdout
    told = {one["crm"]: one["waiting_for_nobody"] for one in json.loads(run("status", "--json").stdout)}
    assert told == {"brevo": None, "hubspot": None, "mautic": sentence, "n8n": None}
    findings = json.loads(run("check", "brevo", "--json").stdout)["findings"]
    assert [one["detail"] for one in findings if not one["blocking"]] == [sentence]
    # One of them was tried before.
    people.run(
        "UPDATE crm_syncs SET attempts = 1 WHERE crm = 'mautic' "
        "AND contact_id = (SELECT id FROM crm_contacts ORDER BY id LIMIT 1)"
    )
    for status in re.findall("Selected|Queued", sentence):
        run("contacts", "unselect", "mautic", "--where-status", status)
    assert sentence not in run("status").stdout


def test_an_account_without_its_credentials_is_one_that_nobody_delivers_to(both: Run, people: People) -> None:
    people.run("DELETE FROM crm_destinations")
    people.add(email="ada@example.com", select=False)
    refused = both("contacts", "select", "brevo_eu", "--all", BREVO_EU_API_KEY="")
    assert (refused.returncode, refused.stderr) == (2, f"Error: {WITHOUT_KEY}\n")
    assert queued(people) == set()

    assert both("contacts", "select", "brevo_eu", "--all").returncode == 0
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '2 days'")
    told = json.loads(both("status", "brevo_eu", "--json", BREVO_EU_API_KEY="").stdout)
    assert told["empty_in_seconds"] is None
    assert told["waiting_for_nobody"].startswith(
        f"1 contact is selected for brevo_eu, and nobody delivers it. {WITHOUT_KEY} To take them back:"
    )
    why = " ".join(both("why", "ada@example.com", BREVO_EU_API_KEY="").stdout.split())
    assert "Waits: no crm-pipelines with brevo_eu set up has run" in why


def test_a_command_makes_its_destinations_known_and_whoever_may_only_read_is_served(
    both: Run, people: People, database_url: str
) -> None:
    def known() -> set[str]:
        return {row["name"] for row in people.all("SELECT name FROM crm_destinations")}

    people.run("DELETE FROM crm_destinations")
    reading = sa.make_url(database_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    done = both("status", CRM_DATABASE_URL=reading.render_as_string(hide_password=False))
    assert (done.returncode, done.stderr) == (0, "")
    assert known() == set()
    assert both("status").returncode == 0
    assert known() == {"brevo", "brevo_eu"}


def test_selecting_where_only_somebody_with_other_settings_delivers_says_so(both: Run, people: People) -> None:
    people.add(email="ada@example.com")
    both("status")
    done = both("contacts", "select", "brevo_eu", "--email", "ada@example.com", CRM_DESTINATIONS="brevo")
    assert done.stdout == "brevo_eu: 1 queued.\n"
    assert done.stderr.startswith("brevo_eu is not among the destinations of these settings (brevo). What is selected")
    assert both("contacts", "select", "brevo_eu", "--email", "ada@example.com").stderr == ""


def test_an_upgrade_makes_the_destinations_known(both: Run, empty_database_url: str) -> None:
    assert both("db", "upgrade", CRM_DATABASE_URL=empty_database_url).returncode == 0
    engine = connecting.create_engine(empty_database_url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT name, kind FROM crm_destinations ORDER BY name"))
        assert [tuple(row) for row in rows] == [("brevo", "brevo"), ("brevo_eu", "brevo")]
    engine.dispose()


def test_destinations_are_completed_from_the_settings(both: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(incomplete: str) -> list[str]:
        completer = ShellComplete(cli, {}, "crm-pipelines", "_CRM_PIPELINES_COMPLETE")
        return [one.value for one in completer.get_completions(["check"], incomplete)]

    assert completed("") == ["brevo", "brevo_eu"]
    assert completed("BREVO_") == ["brevo_eu"]
    monkeypatch.setenv("CRM_DESTINATIONS", ":")
    assert completed("") == []


def test_the_status_reckons_with_as_many_contacts_as_go_in_one_request(
    run: Run, monkeypatch: pytest.MonkeyPatch, engine: sa.Engine
) -> None:
    monkeypatch.setenv("HUBSPOT_API_KEY", "pat-eu1-of-a-test")
    People(engine, "hubspot").add(2000)
    told = json.loads(run("status", "hubspot", "--json").stdout)
    assert (told["due"], told["empty_in_seconds"]) == (2000, 2.0)
    told = json.loads(run("status", "hubspot", "--json", HUBSPOT_MAPPING_FILE="/nowhere.toml").stdout)
    assert told["empty_in_seconds"] is None, "nothing is sent with these settings"
