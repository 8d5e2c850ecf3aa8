"""The commands about people who must never be sent."""

import json
from pathlib import Path

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.cli.conftest import Run


def test_people_are_suppressed_listed_and_lifted_by_name(run: Run, people: People, tmp_path: Path) -> None:
    people.add(email="ada@example.com")
    done = run("suppress", "--crm", "brevo", "--reason", "by letter", "Ada@example.com", "stranger@example.com")
    assert (done.returncode, done.stdout) == (0, "brevo: 2 suppressed, 1 contact stopped.\n")
    file = tmp_path / "objections.txt"
    file.write_text("\nstranger@example.com\nthird@example.com\n", encoding="utf-8")
    told = json.loads(run("suppress", "--file", str(file), "--json").stdout)
    assert [(one["crm"], one["added"], one["known"]) for one in told] == [
        ("brevo", 1, 1),
        ("hubspot", 2, 0),
        ("mautic", 2, 0),
        ("n8n", 2, 0),
    ]
    listed = run("suppressions", "list", "--crm", "brevo").stdout
    assert "ada@example.com" in listed
    assert "by letter" in listed
    assert "stranger" not in listed
    assert len(json.loads(run("suppressions", "list", "--json").stdout)) == 9

    bulk = run("contacts", "unselect", "brevo", "--all").stdout
    assert bulk == "brevo: 0 taken back, 0 were not selected, 1 was never to be sent, and left so.\n"
    assert "unsuppress" in run("why", "ada@example.com").stdout
    assert run("unsuppress", "ada@example.com").returncode == 2, "a reason is needed"
    assert run("unsuppress", "ADA@example.com", "--reason", "asked for it").stdout.startswith("Lifted for brevo.")
    again = run("unsuppress", "ada@example.com", "--reason", "asked for it")
    assert (again.returncode, again.stderr) == (1, "Nobody with this address is suppressed.\n")
    assert people.states() == {"unselected": 1}


def test_a_file_with_something_else_in_it_suppresses_nobody_and_quotes_nothing(
    run: Run, people: People, tmp_path: Path
) -> None:
    file = tmp_path / "objections.txt"
    file.write_text("ada@example.com\nZebedee\n", encoding="utf-8")
    done = run("suppress", "--file", str(file))
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert "Zebedee" not in done.stderr
    assert people.all("SELECT 1 FROM crm_suppressions") == []
    assert run("suppress").returncode == 2
    assert run("suppress", "--file", str(tmp_path / "none.txt")).returncode == 2


def test_an_import_says_whom_it_left_alone(run: Run, people: People, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nback@example.com\nnever@example.com\nnew@example.com\n", encoding="utf-8")
    people.add(email="back@example.com")
    run("contacts", "unselect", "brevo", "--all")
    run("suppress", "never@example.com")
    told = run("contacts", "import", str(file), "--select", "brevo").stdout
    assert "Selected for Brevo: 1 contact." in told
    assert (
        "Left alone: 1 contact that somebody took back from Brevo, or that another account there left not selected."
        in told
    )
    assert "Left alone: 1 contact that must never be sent" in told
    assert people.states() == {"unselected": 1, "skipped": 1, "queued": 1}
