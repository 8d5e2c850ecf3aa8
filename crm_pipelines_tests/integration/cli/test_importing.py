"""`contacts import`: what it says, on which stream, and how it ends when it is stopped."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines_tests.integration.cli.conftest import Run
from crm_pipelines_tests.integration.contacts.states import add_contact
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program

_PROGRAM = [
    *(sys.executable, "-c"),
    "import sys, crm_pipelines.files as i, crm_pipelines.cli; i.CHUNK = 2; crm_pipelines.cli.main()",
]
"""The program, with a transaction for every two rows."""

_WAITS = sa.text("SELECT min(pid) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text("E-mail,Tier,Empty,id\nADA@example.com,gold,,1\nwrong,,,2\nb@example.com,,,3\nB@example.com,,,4\n")
    return file


def test_a_dry_run_tells_everything_on_stdout_in_eighty_columns(run: Run, engine: sa.Engine, people: Path) -> None:
    with engine.begin() as connection:
        add_contact(connection, "ada@example.com")
    done = run("contacts", "import", str(people), "--dry-run", "--select", "brevo", "--without-names", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    told = " ".join(done.stdout.split())
    for sentence in (
        "Dry run of people.csv: nothing is written. 4 rows: 1 would be added, 1 updated, 1 merged into an earlier row",
        "Read as CSV, utf-8, separated by comma. Would be selected for Brevo: 2 contacts.",
        "Tier custom field Tier gold",
        "Empty custom field Empty (all blank)",
        "id left out: bookkeeping 1",
        "people.csv, line 3: email: An email address must have an @-sign.",
        "people.csv, line 5: the same address as in line 4.",
        "people.csv, line 2: ADA@example.com is there already as ada@example.com, and stays so spelt.",
        "people.csv: Only the address was recognised, so there is neither a name nor a phone number.",
    ):
        assert sentence in told
    assert [path.name for path in people.parent.glob("people*")] == ["people.csv"]
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM crm_contacts")).scalar_one() == 1


def test_a_dry_run_as_json_names_what_the_import_names(run: Run, people: Path) -> None:
    asked = ("contacts", "import", str(people), "--select", "brevo", "--without-names", "--json")
    forecast = json.loads(run(*asked, "--dry-run").stdout)
    report = json.loads(run(*asked).stdout)
    assert forecast["dry_run"] is True
    assert forecast["unknown"] is None
    same = report.keys() & forecast.keys() - {"columns"}
    assert {name: forecast[name] for name in same} == {name: report[name] for name in same}
    assert [{**column, "example": None} for column in report["columns"]] == [
        {**column, "example": None} for column in forecast["columns"]
    ]
    assert report.keys() - forecast.keys() == {"rejects_file", "rejects_unwritable"}
    assert forecast["columns"][1] == {
        "header": "Tier",
        "field": None,
        "custom_field": "Tier",
        "meaning": "custom field Tier",
        "example": "gold",
    }


def test_a_dry_run_where_there_is_no_database_yet_tells_of_the_file_and_makes_none(
    run: Run, people: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    done = run("contacts", "import", str(people), "--dry-run", CRM_DATABASE_URL="", CRM_PIPELINES_DATA_DIR=str(data))
    assert done.returncode == 0
    assert "4 rows: 2 usable, 1 merged into an earlier row with the same address, 1 rejected." in done.stdout
    assert "There is no contacts database yet: `crm-pipelines db upgrade` makes it." in done.stdout
    assert not data.exists()


def test_a_dry_run_where_the_database_does_not_answer_tells_of_the_file_and_fails(run: Run, people: Path) -> None:
    away = "postgresql://127.0.0.1:1/nowhere"
    done = run("contacts", "import", str(people), "--dry-run", "--json", CRM_DATABASE_URL=away)
    told = json.loads(done.stdout)
    assert (done.returncode, told["rows"], told["added"]) == (1, 4, None)
    assert told["unknown"] in done.stderr
    assert "Traceback" not in done.stderr


def test_many_rejects_are_summed_up_by_reason(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\n" + "wrong\n" * 30)
    done = run("contacts", "import", str(file))
    assert done.stderr.splitlines()[0] == "people.csv, 30 rows rejected: email: An email address must have an @-sign."
    assert "… and 10 rows more like that." in done.stderr
    assert f"Rejected rows are in {file.with_name('people.rejects.csv')}." in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is full")
def test_a_full_disk_is_told_in_a_sentence_and_the_import_is_told_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nada@example.com\n" + "wrong\n" * 30)
    done = run("contacts", "import", str(file), "--rejects", "/dev/full")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "31 rows: 1 added, 30 rejected.")
    assert (
        "No file for the rejected rows could be written as /dev/full (No space left on device): "
        "import again with --rejects FILE."
    ) in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_an_import_is_told_how_far_it_came_and_can_repeat_it(
    environment: Mapping[str, str], engine: sa.Engine, run: Run, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email,name\n" + "".join(f"user{n}@example.com,U\n" for n in range(6)))
    with engine.begin() as connection:
        add_contact(connection, "user3@example.com")
    with engine.begin() as holder:
        holder.execute(sa.text("SELECT FROM crm_contacts FOR UPDATE"))
        command = [*_PROGRAM, "contacts", "import", str(file), "--select", "brevo"]
        with program(command, env=environment, stderr=subprocess.PIPE) as importing:
            wait_until(lambda: holder.execute(_WAITS).scalar_one(), "the import waits for the row")
            importing.send_signal(number)
            _, said = importing.communicate(timeout=PATIENCE)
    assert importing.returncode == 128 + number
    assert said == (
        "Stopped: 2 rows are in, nobody is selected before all are, and importing people.csv again is safe.\n"
    )
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM crm_contacts")).scalar_one() == 3
        assert connection.execute(sa.text("SELECT count(*) FROM crm_syncs")).scalar_one() == 0
    again = json.loads(run("contacts", "import", str(file), "--select", "brevo", "--json").stdout)
    assert (again["added"], again["updated"], again["unchanged"], again["selected"]) == (3, 1, 2, {"brevo": 6})


def test_a_database_that_is_lost_in_the_middle_is_told_with_how_far_it_came(
    environment: Mapping[str, str], engine: sa.Engine, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email,name\n" + "".join(f"user{n}@example.com,U\n" for n in range(4)))
    with engine.begin() as connection:
        add_contact(connection, "user3@example.com")
    with engine.begin() as holder:
        holder.execute(sa.text("SELECT FROM crm_contacts FOR UPDATE"))
        with program(
            [*_PROGRAM, "contacts", "import", str(file)], env=environment, stderr=subprocess.PIPE
        ) as importing:
            wait_until(lambda: holder.execute(_WAITS).scalar_one(), "the import waits for the row")
            pid = holder.execute(_WAITS).scalar_one()
            holder.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            _, said = importing.communicate(timeout=PATIENCE)
    assert importing.returncode == 1
    assert said.startswith("Error: ")
    assert said.endswith(" 2 rows are in, nobody is selected before all are, and importing people.csv again is safe.\n")
    assert "Traceback" not in said


UNNAMED = "email,Wer,Tier\nada.lovelace@example.com,Ada Lovelace,gold\ngrace.hopper@example.com,Grace Hopper,\n"


@pytest.fixture
def unnamed(tmp_path: Path) -> Path:
    file = tmp_path / "unnamed.csv"
    file.write_text(UNNAMED)
    return file


def _selected(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM crm_syncs")).scalar_one())


def test_an_import_says_what_it_took_each_column_for_and_what_another_may_be(run: Run, unnamed: Path) -> None:
    done = run("contacts", "import", str(unnamed))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "2 rows: 2 added.",
        "Read as CSV, utf-8, separated by comma.",
        "Columns: email.",
        "Custom fields: Wer, Tier.",
    ]
    assert done.stderr.splitlines() == [
        "unnamed.csv: Only the address was recognised, so there is neither a name nor a phone number.",
        "unnamed.csv: Wer holds what looks like names: --map Wer=name",
    ]


def test_nobody_is_selected_while_the_name_may_be_in_a_column_that_is_not_known(
    run: Run, engine: sa.Engine, unnamed: Path
) -> None:
    done = run("contacts", "import", str(unnamed), "--select", "brevo")
    assert (done.returncode, _selected(engine)) == (1, 0)
    assert "2 rows: 2 added." in done.stdout
    assert "Selected for" not in done.stdout
    assert (
        "Nobody was selected for Brevo: no name was recognised, and it may stand in columns that are not known "
        "(Wer, Tier). Import again with `--map COLUMN=name` (or first_name, last_name), or, if there is none, with "
        "--without-names."
    ) in done.stderr
    told = json.loads(run("contacts", "import", str(unnamed), "--select", "brevo", "--json").stdout)
    assert (told["selected"], told["held_back"][:22]) == ({"brevo": 0}, "no name was recognised")
    assert told["suggestions"] == [{"header": "Wer", "field": "name", "by_values": True}]
    foreseen = run("contacts", "import", str(unnamed), "--select", "brevo", "--dry-run")
    assert foreseen.returncode == 0
    assert "Nobody would be selected for Brevo: no name was recognised" in foreseen.stdout


def test_whoever_names_the_column_gets_the_contacts_selected_with_their_names(
    run: Run, engine: sa.Engine, unnamed: Path
) -> None:
    done = run("contacts", "import", str(unnamed), "--select", "brevo", "--map", "Wer=name")
    assert (done.returncode, done.stderr, _selected(engine)) == (0, "", 2)
    assert "Columns: email, Wer as name." in done.stdout
    with engine.connect() as connection:
        names = connection.execute(sa.text("SELECT name FROM crm_contacts ORDER BY email")).scalars().all()
    assert names == ["Ada Lovelace", "Grace Hopper"]


def test_what_an_import_without_map_made_a_custom_field_of_is_none_any_more_where_nobody_changed_it(
    run: Run, engine: sa.Engine, unnamed: Path
) -> None:
    run("contacts", "import", str(unnamed))
    with engine.begin() as connection:
        changed = 'custom_fields = custom_fields || \'{"Wer": "Grace"}\''
        connection.execute(sa.text(f"UPDATE crm_contacts SET {changed} WHERE email LIKE 'grace%'"))
    done = run("contacts", "import", str(unnamed), "--map", "Wer=name", "--map", "Tier=custom_fields.Level")
    assert "2 rows: 2 updated." in done.stdout
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT name, custom_fields FROM crm_contacts ORDER BY email")).all()
    assert [tuple(row) for row in found] == [
        ("Ada Lovelace", {"Level": "gold"}),
        ("Grace Hopper", {"Wer": "Grace"}),
    ]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (UNNAMED, ["--without-names"]),
        (UNNAMED, ["--map", "Wer=custom_fields.Who", "--map", "Tier="]),
        ("email,phone\na@example.com,+491711234567\nb@example.com,\n", []),
    ],
    ids=["said", "every column is known", "none is not known"],
)
def test_contacts_without_names_are_selected_where_that_is_meant(
    run: Run, engine: sa.Engine, tmp_path: Path, content: str, options: list[str]
) -> None:
    file = tmp_path / "unnamed.csv"
    file.write_text(content)
    done = run("contacts", "import", str(file), "--select", "brevo", *options)
    assert (done.returncode, _selected(engine)) == (0, 2), done.stderr
    assert "Selected for Brevo: 2 contacts." in done.stdout


def test_a_column_of_names_that_is_blank_throughout_is_told_and_holds_back(
    run: Run, engine: sa.Engine, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email,Name,Wer\na@example.com,,A\n")
    done = run("contacts", "import", str(file), "--select", "brevo")
    assert (done.returncode, _selected(engine)) == (1, 0)
    assert "people.csv: No row has a name: the column Name is blank throughout." in done.stderr


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_map_that_is_wrong_is_refused_in_a_sentence(run: Run, unnamed: Path, dry_run: list[str]) -> None:
    for meant, said in (("Wer=nam", "did you mean name?"), ("Wehr=name", "Did you mean 'Wer'?")):
        done = run("contacts", "import", str(unnamed), "--map", meant, *dry_run)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


def test_a_file_without_a_header_for_the_address_is_refused_with_the_column_that_holds_some(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Kontaktweg,Name\na@example.com,A\n")
    done = run("contacts", "import", str(file))
    assert done.returncode == 1
    assert "Kontaktweg holds what looks like addresses: --map Kontaktweg=email" in done.stderr
    assert run("contacts", "import", str(file), "--map", "Kontaktweg=email").returncode == 0
