"""The program crm-pipelines: what it prints, where, and how it exits."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
import sqlalchemy as sa

from crm_pipelines.cli import cli
from crm_pipelines.cli.output import printable
from crm_pipelines.contacts.enriching import Offer
from crm_pipelines.delivery.emptying import emptied_in
from crm_pipelines.destinations.gates import GateKeeper, Tally
from crm_pipelines.local.processes import free_port
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.cli.conftest import Run
from crm_pipelines_tests.integration.contacts.messages import FOUND, tell
from crm_pipelines_tests.integration.contacts.states import add_contact, put
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program

SAMPLES = Path(__file__).parents[3] / "samples" / "contacts.csv"
PROGRAM = [sys.executable, "-m", "crm_pipelines"]


def test_contacts_are_imported_selected_retried_and_told_of(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes(SAMPLES.read_bytes())
    done = run("contacts", "import", str(file), "--select", "brevo")
    assert done.returncode == 0
    assert "20 rows: 17 added, 1 merged into an earlier row with the same address, 2 rejected." in done.stdout
    assert "Selected for Brevo: 17 contacts." in done.stdout
    assert "contacts.csv, line 11: email: " in done.stderr
    assert (tmp_path / "contacts.rejects.csv").exists()

    assert run("contacts", "unselect", "brevo", "--email", "ADA@example.com").stdout.startswith("brevo: 1 taken back")
    again = json.loads(run("contacts", "import", str(file), "--json").stdout)
    assert (again["rows"], again["unchanged"]) == (20, 17)
    taken = run("contacts", "unselect", "brevo", "--email", "ada@example.com", "--email", "nobody@x.org", "--json")
    assert (taken.returncode, json.loads(taken.stdout)["not_found"]) == (1, ["nobody@x.org"])
    status = json.loads(run("status", "brevo", "--json").stdout)
    assert (status["counts"]["New"], status["counts"]["Selected"]) == (1, 16)
    assert [one["crm"] for one in json.loads(run("status", "--json").stdout)] == ["brevo", "hubspot", "mautic", "n8n"]
    assert run("contacts", "select", "brevo", "--where-status", "new").stdout == "brevo: 1 queued.\n"
    why = run("why", "ada@example.com")
    assert "the next run takes it" in why.stdout
    assert json.loads(run("why", "ada@example.com", "--json").stdout)["crms"][0]["sync_status"] == "Selected"


def test_status_tells_how_long_the_queue_will_take(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection), "queued")
    told = run("status", "brevo", BREVO_API_KEY="xkeysib-of-a-test").stdout
    assert "brevo: 1 contact is due for Brevo; at this pace it is delivered in 1 minute.\n" in told


def test_status_and_why_tell_how_long_it_took_from_an_edit_to_the_crm(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        contact_id = add_contact(connection, "ada@example.com")
        put(connection, contact_id, "synced", synced_at=sa.text("now()"))
        connection.execute(
            sa.text(
                "INSERT INTO crm_attempts"
                " (contact_id, crm, claim_no, run_id, revision, outcome, started_at, wanted_since)"
                " VALUES (:id, 'brevo', 1, 'run-1', 1, 'synced', now(), now() - interval '72 seconds')"
            ),
            {"id": contact_id},
        )
    assert (
        "brevo: from an edit or a selection to the CRM, in the last hour: 50 % within 72 s, 95 % within 72 s, "
        "99 % within 72 s (1 delivery).\n" in run("status", "brevo").stdout
    )
    assert json.loads(run("status", "brevo", "--json").stdout)["delay"]["p95_seconds"] == 72
    assert "At the CRM 72 s after the change." in " ".join(run("why", "ada@example.com").stdout.split())
    [past] = json.loads(run("why", "ada@example.com", "--json").stdout)["attempts"]
    assert past["delay_seconds"] == 72


def test_nothing_is_foretold_between_two_pauses_of_an_outage(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection), "queued")
    gate = GateKeeper(engine, "brevo")
    gate.judge(Tally(successes=0, failures=10, trailing_failures=10, rejects=0))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'"))
    told = json.loads(run("status", "brevo", "--json", BREVO_API_KEY="xkeysib-of-a-test").stdout)
    assert (told["gate"]["paused"], told["standing"]["condition"], told["due"]) == (False, "testing", 1)
    assert told["empty_in_seconds"] is None
    assert emptied_in(engine, load_settings(), gate.read(), 1) is None


def test_retry_counts_before_it_acts(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection), "failed")
    assert run("retry", "brevo", "--kind", "outage", "--dry-run").stdout.startswith("brevo: 1 would be queued again")
    assert run("retry", "brevo", "--kind", "outage").stdout.startswith("brevo: 1 queued again")
    assert run("retry", "brevo", "--all").stdout.startswith("brevo: 0 queued again")


def test_who_may_have_arrived_is_counted_told_and_taken_by_its_kind_or_id(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        contact = add_contact(connection)
        put(connection, contact, "failed", attempts=0, last_error_kind="unknown", last_error="No answer.")
    left = "Left alone, since they may have arrived: 1. See `crm-pipelines retry brevo --kind unknown`."
    for many in (("retry", "brevo", "--all"), ("contacts", "select", "brevo", "--all")):
        assert left in run(*many).stdout
    assert json.loads(run("retry", "brevo", "--all", "--json").stdout)["unknown"] == 1
    [group] = json.loads(run("status", "brevo", "--json").stdout)["errors"]
    assert (group["status"], group["kind"], group["contacts"]) == ("Error", "unknown", 1)
    assert run("retry", "brevo", "--kind", "unknown", "--dry-run").stdout.startswith("brevo: 1 would be queued again")
    assert run("retry", "brevo", "--id", str(contact)).stdout.startswith("brevo: 1 queued again")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["status", "brewo"], 2, "known are brevo, hubspot, mautic, n8n."),
        (["sync", "mautic"], 2, "Mautic is not set up: set MAUTIC_BASE_URL"),
        (["contacts", "select", "brevo"], 2, "Say which contacts (--email ADDRESS)"),
        (["retry", "brevo"], 2, "or that it is all of them (--all)"),
        (["contacts", "select", "brevo", "--id", "7"], 2, "not a valid UUID"),
        (["contacts", "select", "brevo", "--email", "nobody@example.com"], 1, "Not found: nobody@example.com"),
        (["contacts", "import", "nowhere.csv"], 1, "cannot be read: No such file"),
        (["why", "nobody@example.com"], 1, "There are no contacts yet"),
        (["retry", "brevo", "--kind", "foo"], 2, "no errors at present"),
        (["sync", "brevo", "--email", "nobody@example.com"], 1, "so nothing was run"),
        (["provision", "brevo"], 1, "BREVO_API_KEY"),
        (["up", "--port", "8000"], 2, "need a port each"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run: Run, arguments: list[str], code: int, said: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "" or arguments[:2] == ["contacts", "select"]


def test_missing_migrations_are_named_and_can_be_made(run: Run, empty_database_url: str) -> None:
    done = run("status", CRM_DATABASE_URL=empty_database_url)
    assert done.returncode == 1
    assert (
        done.stderr
        == "Error: The contacts database lacks the tables of crm-pipelines. Run `crm-pipelines db upgrade`.\n"
    )
    assert run("db", "upgrade", CRM_DATABASE_URL=empty_database_url).stdout.startswith("Applied: 0001, 0002")
    assert run("db", "upgrade", CRM_DATABASE_URL=empty_database_url).stdout == "The tables are up to date.\n"
    assert run("status", CRM_DATABASE_URL=empty_database_url).returncode == 0


def test_the_url_is_printed_alone_and_as_every_program_takes_it(run: Run, database_url: str) -> None:
    printed = run("db", "url").stdout
    assert printed == f"{database_url.replace('+psycopg', '')}\n"
    assert run("status", CRM_DATABASE_URL=printed.strip()).returncode == 0


def test_a_database_that_is_not_there_is_one_sentence(run: Run) -> None:
    done = run("status", "--json", CRM_DATABASE_URL="postgresql://somebody:secret@127.0.0.1:1/nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "127.0.0.1:1/nothing does not answer" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", [["health"], ["sync", "brevo"]])
def test_a_home_of_dagster_that_is_not_there_is_one_sentence(run: Run, command: list[str]) -> None:
    done = run(*command, DAGSTER_HOME="/nonexistent", BREVO_API_KEY="sandbox")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: DAGSTER_HOME is no folder that Dagster can use.")


def test_a_data_folder_that_cannot_be_used_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ports = [str(free_port()) for _ in range(3)]
    up = ["up", "--port", ports[0], "--sandbox-port", ports[1], "--api-port", ports[2]]
    for command in (["demo"], up):
        done = run(*command, CRM_DATABASE_URL="", CRM_PIPELINES_DATA_DIR=str(tmp_path / "file" / "data"))
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"Error: .*/file/data.* cannot be used: Not a directory\.\n", done.stderr)


def test_an_error_of_the_database_shows_no_data(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE crm_contacts ADD CHECK (name <> 'Secret Name')"))
    file = tmp_path / "contacts.csv"
    file.write_text("email,name\na@example.com,Secret Name\n", encoding="utf-8")
    done = run("contacts", "import", str(file))
    assert done.returncode == 1
    assert "CheckViolation, SQLSTATE 23514" in done.stderr
    assert "Secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_is_no_error(environment: Mapping[str, str]) -> None:
    with program([*PROGRAM, "status"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
        assert reading.stdout
        assert reading.stderr
        reading.stdout.close()
        said = reading.stderr.read()
    assert said == ""


def test_ctrl_c_ends_without_a_traceback(environment: Mapping[str, str], engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("email\na@example.com\n", encoding="utf-8")
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE NOT l.granted AND d.datname = current_database()"
    )
    command = [*PROGRAM, "contacts", "import", str(file)]
    with engine.begin() as holder:
        holder.execute(sa.text("LOCK TABLE crm_contacts"))
        with program(command, env=environment, stderr=subprocess.PIPE) as importing:
            wait_until(lambda: holder.execute(waiting).scalar_one(), "the import waits for the table")
            importing.send_signal(signal.SIGINT)
            _, said = importing.communicate(timeout=PATIENCE)
    assert importing.returncode == 130
    assert "Traceback" not in said


def test_texts_from_outside_cannot_steer_the_terminal(run: Run, engine: sa.Engine) -> None:
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc"
    with engine.begin() as connection:
        put(connection, add_contact(connection), "failed", last_error="\x1b]0;owned\x07 [red]bold[/red]")
    for shown in (run("status", "brevo").stdout, run("why", "ada@example.com").stdout):
        assert "\x1b" not in shown
        assert "[red]bold[/red]" in shown


def test_check_provision_and_the_gate(run: Run, engine: sa.Engine, brevo_sandbox: BrevoSandbox) -> None:
    account = {"BREVO_API_KEY": "xkeysib-test-0123456789abcdef", "BREVO_API_BASE_URL": brevo_sandbox.url}
    with engine.begin() as connection:
        add_contact(connection, custom_fields={"Shoe Size": 44})
    GateKeeper(engine, "brevo").close("The key was refused.", "fingerprint")
    planned = run("provision", "brevo", "--dry-run", **account).stdout
    assert re.search(r"SHOE_SIZE +float", planned)
    assert "Nothing was created." in planned
    done = run("provision", "brevo", **account)
    assert done.stdout.index("To be created at brevo") < done.stdout.index("Created: ")
    assert "SHOE_SIZE" in done.stdout.partition("Created: ")[2]
    assert json.loads(run("provision", "brevo", "--json", **account).stdout)["plan"] == [], "safe to repeat"
    done = run("check", "brevo", **account)
    assert done.returncode == 0
    assert "Sending had stopped, and goes on with the next run." in done.stdout
    assert not GateKeeper(engine, "brevo").read().paused


def test_check_says_all_that_is_wrong_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text("[attributes]\nSMS = 7\n", encoding="utf-8")
    wrong = {
        "CRM_DATABASE_URL": "postgresql://somebody:secret@127.0.0.1:1/nothing",
        "BREVO_MAPPING_FILE": str(tmp_path / "mapping.toml"),
    }
    done = run("check", "brevo", "--json", **wrong)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    failed = {finding["subject"] for finding in told["findings"] if not finding["ok"]}
    assert failed == {"Contacts database", "Mapping file", "Credentials"}
    assert "secret" not in done.stdout


def test_each_command_has_help_with_an_example() -> None:
    def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from commands(command, f"{path} {name}")
            else:
                yield f"{path} {name}", command

    without = [path for path, command in commands(cli, "crm-pipelines") if path not in (command.help or "")]
    assert without == []


def test_another_account_is_told_by_sync_and_status(
    run: Run, engine: sa.Engine, brevo_sandbox: BrevoSandbox, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection), "queued")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    url = {"BREVO_API_BASE_URL": brevo_sandbox.url}
    brevo_sandbox.configure(organization="first")
    done = run("sync", "brevo", BREVO_API_KEY="xkeysib-test-first", **url)
    assert done.returncode == 0, done.stderr
    assert "account" not in done.stderr
    assert "brevo: account first.\n" in run("status", "brevo").stdout
    brevo_sandbox.configure(organization="second")
    done = run("sync", "brevo", BREVO_API_KEY="xkeysib-test-second", **url)
    assert done.returncode == 0, done.stderr
    assert "brevo: the key opens account second, since " in done.stderr
    assert " in place of first; unselected then: 1 contact. Select those" in done.stderr
    assert " in place of first; unselected then: 1 contact." in run("status", "brevo").stdout
    told = json.loads(run("status", "brevo", "--json").stdout)["account"]
    assert told.pop("since")
    assert told == {"name": "second", "former": "first", "contacts_forgotten": 1}


def test_sync_runs_the_job_to_its_end(run: Run, engine: sa.Engine, brevo_sandbox: BrevoSandbox, tmp_path: Path) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection, "ada@example.com"), "waiting", run_at=sa.text("now() + interval '1 h'"))
        put(connection, add_contact(connection, "b@example.com"), "queued")
    account = {"BREVO_API_KEY": "xkeysib-test-0123456789abcdef", "BREVO_API_BASE_URL": brevo_sandbox.url}
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    done = run("sync", "brevo", "--email", "ADA@example.com", **account)
    assert done.returncode == 0, done.stderr
    assert "1 taken: 1 delivered." in done.stdout
    assert brevo_sandbox.contact("ada@example.com") is not None
    assert brevo_sandbox.contact("b@example.com") is None


def test_why_and_status_tell_what_a_workflow_found_and_what_never_came_back(run: Run, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        ada, bob = (add_contact(connection, f"{name}@example.com") for name in ("ada", "bob"))
        for contact in (ada, bob):
            put(connection, contact, "synced", crm="n8n", synced_at=sa.text("now() - interval '200 min'"))
    kept = Offer(field="name", value=None, problem="it is no name")
    tell(engine, ada, FOUND, kept, confidence=85, sources=["registry"], cost_estimate=0.15)
    words = " ".join(run("why", "ada@example.com").stdout.split())
    for said in ("What workflows found", "phone_number", "registry", "85", "0.15", "it is no name"):
        assert said in words
    [told] = json.loads(run("why", "ada@example.com", "--json").stdout)["enrichments"]
    assert (told["filled"], told["kept"], told["confidence"]) == (["phone_number"], {"name": "it is no name"}, 85)
    assert re.search(r"3 h \d+ min ago; nothing has come back since\.", run("why", "bob@example.com").stdout)
    assert [one["crm"] for one in json.loads(run("why", "bob@example.com", "--json").stdout)["awaited"]] == ["n8n"]
    assert "nothing has come back for 1; the first was sent at" in run("status").stdout
