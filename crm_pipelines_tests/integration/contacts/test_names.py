"""First and last names that were given apart stay apart, beside a whole name that says the same."""

import csv
import io
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting, migrating
from crm_pipelines.files import forecast_import, import_contacts
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.database.test_database import upgrade_to

Name = tuple[str | None, str | None, str | None]
DUPONT: Name = ("Jean Dupont", "Jean", "Dupont")
_FILES = count()


@pytest.fixture
def load(engine: sa.Engine, tmp_path: Path) -> Callable[..., tuple[Name, bool]]:
    """Imports a row about jean@example.com: the name that is stored then, and whether that changed anything."""

    def load(**cells: str) -> tuple[Name, bool]:
        text = io.StringIO()
        csv.writer(text).writerows([["email", *cells], ["jean@example.com", *cells.values()]])
        file = tmp_path / f"{next(_FILES)}.csv"
        file.write_text(text.getvalue(), encoding="utf-8", newline="")
        before = stored(engine)
        import_contacts(engine, file)
        after = stored(engine)
        return after[0][:3], after != before

    return load


def stored(engine: sa.Engine) -> list[Any]:
    rows = People(engine).all("SELECT name, first_name, last_name, revision, xmin::text FROM crm_contacts")
    return [tuple(row.values()) for row in rows]


def named(engine: sa.Engine, name: str | None, first: str | None = None, last: str | None = None) -> None:
    People(engine).add(email="jean@example.com", name=name, first_name=first, last_name=last)


@pytest.mark.parametrize(
    ("before", "cells", "after"),
    [
        # A new contact.
        (None, {"First name": "Mary Ann", "Last name": "Smith"}, ("Mary Ann Smith", "Mary Ann", "Smith")),
        (None, {"First name": "", "Last name": "Dupont"}, ("Dupont", None, "Dupont")),
        (None, {"First name": "Anna", "Last name": ""}, ("Anna", "Anna", None)),
        (None, {"Name": "Jean Dupont"}, ("Jean Dupont", None, None)),
        (
            None,
            {"Name": "Dr. Ada King", "Given name": "Ada", "Family name": "King"},
            ("Dr. Ada King", "Ada", "King"),
        ),
        # Only the whole name was known.
        (("Jean Dupont", None, None), {"First name": "Jean", "Last name": "Dupont"}, DUPONT),
        (("Dupont, Jean", None, None), {"First name": "Jean", "Last name": "Dupont"}, ("Dupont, Jean", *DUPONT[1:])),
        (("Jean Dupont", None, None), {"First name": "", "Last name": "Durand"}, ("Jean Durand", "Jean", "Durand")),
        (("Dr. Jean Dupont", None, None), {"Last name": "Durand"}, ("Jean Durand", "Jean", "Durand")),
        (("Dupont, Jean", None, None), {"First name": "Anne"}, ("Anne Dupont", "Anne", "Dupont")),
        (("Jean Dupont", None, None), {"Name": "Jean Dupont", "First name": "", "Last name": ""}, None),
        # The parts were known.
        (DUPONT, {"First name": "", "Last name": "Durand"}, ("Jean Durand", "Jean", "Durand")),
        (DUPONT, {"First name": "Anne", "Last name": "Durand"}, ("Anne Durand", "Anne", "Durand")),
        (DUPONT, {"Name": "Jean Durand"}, ("Jean Durand", None, None)),
        (DUPONT, {"Name": "Jean Dupont"}, None),
        (DUPONT, {"Name": "Dupont, Jean"}, ("Dupont, Jean", "Jean", "Dupont")),
        (DUPONT, {"Name": "", "First name": "", "Last name": ""}, None),
        (("Dr. Jean Dupont", "Jean", "Dupont"), {"First name": "Jean", "Last name": "Dupont"}, None),
        # An export of all three, in which one was edited.
        (
            DUPONT,
            {"Name": "Jean Durand", "First name": "Jean", "Last name": "Dupont"},
            ("Jean Durand", None, None),
        ),
        (
            DUPONT,
            {"Name": "Jean Dupont", "First name": "Jean", "Last name": "Durand"},
            ("Jean Dupont", "Jean", "Durand"),
        ),
    ],
)
def test_an_import_keeps_parts_apart_and_the_same_file_once_more_changes_nothing(
    engine: sa.Engine,
    load: Callable[..., tuple[Name, bool]],
    before: Name | None,
    cells: dict[str, str],
    after: Name | None,
) -> None:
    if before:
        named(engine, *before)
    name, changed = load(**cells)
    assert (name, changed) == (after or before, after is not None)
    assert load(**cells) == (name, False)


def test_of_two_rows_about_one_person_the_later_part_joins_the_earlier_one(engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    rows = ["a@example.com,Jean Dupont,,", "a@example.com,,,Durand", "b@example.com,,Jean,Dupont"]
    rows += ["b@example.com,Jean King,,", "c@example.com,,Jean,Dupont", "c@example.com,,,Durand"]
    file.write_text("\n".join(["email,full name,first name,last name", *rows]), encoding="utf-8")
    import_contacts(engine, file)
    names = People(engine).all("SELECT name, first_name, last_name FROM crm_contacts ORDER BY email")
    assert [tuple(row.values()) for row in names] == [
        ("Jean Durand", "Jean", "Durand"),
        ("Jean King", None, None),
        ("Jean Durand", "Jean", "Durand"),
    ]


@pytest.mark.parametrize(
    ("before", "assignment", "after"),
    [
        (DUPONT, "last_name = 'Durand'", ("Jean Durand", "Jean", "Durand")),
        (DUPONT, "first_name = NULL", ("Dupont", None, "Dupont")),
        (DUPONT, "first_name = NULL, last_name = NULL", ("Jean Dupont", None, None)),
        (DUPONT, "name = 'Anne Durand'", ("Anne Durand", None, None)),
        (DUPONT, "name = NULL", (None, None, None)),
        (DUPONT, "name = 'M. Durand', first_name = 'Anne', last_name = 'Durand'", ("M. Durand", "Anne", "Durand")),
        (("Jean Dupont", None, None), "first_name = 'A', last_name = 'B'", ("A B", "A", "B")),
        (("Jean Dupont", None, None), "last_name = 'Durand'", ("Jean Dupont", None, "Durand")),
        ((None, None, None), "last_name = 'Durand'", ("Durand", None, "Durand")),
        (DUPONT, "phone_number = '1'", DUPONT),
    ],
)
def test_in_sql_the_whole_name_and_its_parts_follow_each_other(
    engine: sa.Engine, before: Name, assignment: str, after: Name
) -> None:
    named(engine, *before)
    People(engine).run(f"UPDATE contacts SET {assignment}")
    assert stored(engine)[0][:4] == (*after, 2)


def test_a_contact_inserted_with_its_parts_has_a_whole_name(people: People) -> None:
    people.run("INSERT INTO contacts (email, first_name, last_name) VALUES ('a@example.com', 'Mary Ann', 'Smith')")
    people.run("INSERT INTO contacts (email, name, last_name) VALUES ('b@example.com', 'Frau Smith', 'Smith')")
    rows = people.all("SELECT name, first_name, last_name FROM contacts ORDER BY email")
    assert [tuple(row.values()) for row in rows] == [
        ("Mary Ann Smith", "Mary Ann", "Smith"),
        ("Frau Smith", None, "Smith"),
    ]


@pytest.mark.parametrize("column", ["first_name", "last_name"])
def test_an_edit_of_a_part_queues_the_contact_as_one_of_the_name_does(people: People, column: str) -> None:
    [contact_id] = people.add(first_name="Jean", last_name="Dupont")
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision")
    people.run(f"UPDATE crm_contacts SET {column} = 'Anne'")
    assert people.sync(contact_id)["state"] == "queued"


def test_a_former_version_that_writes_the_name_alone_makes_old_parts_unknown(people: People) -> None:
    people.add(email="jean@example.com", name="Jean Dupont", first_name="Jean", last_name="Dupont")
    people.run("UPDATE crm_contacts SET name = 'Anne Durand'")
    assert people.all("SELECT first_name, last_name FROM crm_contacts") == [{"first_name": None, "last_name": None}]


def test_the_migration_changes_no_contact_and_queues_none(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, "0017")
    engine = connecting.create_engine(empty_database_url)
    people = People(engine)
    people.add(3)
    before = people.all("SELECT xmin::text, revision, name FROM crm_contacts")
    assert "0018" in migrating.upgrade(empty_database_url)
    assert people.all("SELECT xmin::text, revision, name FROM crm_contacts") == before
    assert people.all("SELECT count(*) AS n FROM contacts WHERE first_name IS NULL AND last_name IS NULL") == [{"n": 3}]
    people.run("UPDATE contacts SET first_name = 'Person', last_name = name")
    engine.dispose()


def test_who_has_opted_out_elsewhere_comes_in_and_is_not_queued(engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(
        "email,Unsubscribed\na@example.com,no\nb@example.com,yes\nc@example.com,\nd@example.com,no\nD@example.com,yes\n",
        encoding="utf-8",
    )
    report = import_contacts(engine, file, select=["brevo"])
    assert (report.added, report.selected) == (4, {"brevo": 2})
    assert report.remarks == {"Unsubscribed: has opted out, so not queued by this import": 2}
    assert "'Unsubscribed' says who has opted out" in report.notes[0]
    queued = People(engine).all("SELECT email FROM contacts WHERE brevo_sync_status = 'Selected' ORDER BY 1")
    assert [row["email"] for row in queued] == ["a@example.com", "c@example.com"]


def test_who_has_opted_out_in_an_earlier_file_is_not_queued_by_a_file_that_does_not_say_so(
    engine: sa.Engine, tmp_path: Path
) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text("email,Unsubscribed,Note\na@example.com,yes,x\nb@example.com,no,yes\n", encoding="utf-8")
    import_contacts(engine, file)
    file.write_text("email,name\na@example.com,Ada\nb@example.com,Bob\nc@example.com,Cid\n", encoding="utf-8")
    forecast = forecast_import(engine, file, select=["brevo"])
    report = import_contacts(engine, file, select=["brevo"])
    for one in (forecast, report):
        assert (one.updated, one.selected, one.opted_out_before) == (2, {"brevo": 2}, {"brevo": 1})
    assert import_contacts(engine, file).opted_out_before == {}
    # Who says something else by now is queued.
    file.write_text("email,Unsubscribed\na@example.com,no\n", encoding="utf-8")
    forecast = forecast_import(engine, file, select=["brevo"])
    report = import_contacts(engine, file, select=["brevo"])
    for one in (forecast, report):
        assert (one.selected, one.opted_out_before) == ({"brevo": 1}, {"brevo": 0})
