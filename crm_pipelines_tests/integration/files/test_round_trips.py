"""What was exported comes back without harm: unchanged it changes nothing, and an edit comes in."""

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crm_pipelines.api.pages.exporting import rows
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.files import ImportReport, import_contacts
from crm_pipelines.files.formulas import guarded, unguarded
from crm_pipelines_tests.fixtures.people import People

_MARKS = st.text("'=+-@;,\" \t\r\nab", max_size=8)
_TEXTS = st.none() | _MARKS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_JSON = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5), _MARKS, max_size=2
)


def page(engine: sa.Engine) -> str:
    return "".join(rows(engine, ContactFilter(), "brevo"))


def view(engine: sa.Engine) -> str:
    """As `\\copy` of psql does."""
    text = bytearray()
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with (
            driver.cursor() as cursor,
            cursor.copy("COPY (SELECT * FROM contacts) TO STDOUT (FORMAT csv, HEADER)") as copy,
        ):
            for part in copy:
                text += part
    return text.decode()


def come_back(engine: sa.Engine, text: str) -> ImportReport:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "contacts.csv")
        file.write_text(text, encoding="utf-8", newline="")
        return import_contacts(engine, file, select=[])


def contacts(engine: sa.Engine) -> list[dict[str, Any]]:
    return People(engine).all("SELECT xmin::text, * FROM crm_contacts ORDER BY id")


@pytest.mark.parametrize("export", [page, view])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=_TEXTS, parts=st.tuples(_TEXTS, _TEXTS), phone=_TEXTS, context=_TEXTS, custom=_JSON)
@example(name="'=1", parts=("'", "''=1"), phone="'+1", context=" a; '=b\n-c", custom={"a": "'=1"})
@example(name=" Ada ", parts=(" ", ""), phone="\t+1", context="\r\n", custom={})
def test_what_was_not_edited_changes_nothing(
    engine: sa.Engine,
    export: Callable[[sa.Engine], str],
    name: str | None,
    parts: tuple[str | None, str | None],
    phone: str | None,
    context: str | None,
    custom: dict[str, str],
) -> None:
    people = People(engine)
    people.run("DELETE FROM crm_contacts")
    columns: dict[str, Any] = {"phone_number": phone, "context": context, "custom_fields": json.dumps(custom)}
    people.add(email="ada@example.com", name=name, first_name=parts[0], last_name=parts[1], **columns)
    people.add(email="no address", name="Nobody")
    people.run("UPDATE crm_syncs SET last_error_kind = 'outage', last_error = '=1', attempts = 1")
    before = contacts(engine)
    report = come_back(engine, export(engine))
    assert contacts(engine) == before
    assert report.custom_fields == ()
    assert (report.unchanged, report.rejected) == (1, 1)


@pytest.mark.parametrize("export", [page, view])
@pytest.mark.parametrize("parts", [(None, None), ("Ada", "Lovelace")])
def test_an_edit_of_the_name_comes_in_and_stays(
    engine: sa.Engine, export: Callable[[sa.Engine], str], parts: tuple[str | None, str | None]
) -> None:
    People(engine).add(email="ada@example.com", name="Ada Lovelace", first_name=parts[0], last_name=parts[1])
    table = list(csv.reader(io.StringIO(export(engine).removeprefix("\ufeff"))))
    table[1][table[0].index("name")] = "Ada King"
    text = io.StringIO()
    csv.writer(text).writerows(table)
    assert come_back(engine, text.getvalue()).updated == 1
    assert come_back(engine, text.getvalue()).updated == 0
    [row] = contacts(engine)
    assert (row["name"], row["first_name"], row["last_name"]) == ("Ada King", None, None)


def test_rejects_that_were_corrected_come_in_as_they_were(engine: sa.Engine, tmp_path: Path) -> None:
    People(engine).add(email="wrong", name="=1", context="a;=b", select=False)
    file = tmp_path / "contacts.csv"
    file.write_text(page(engine), encoding="utf-8", newline="")
    report = import_contacts(engine, file)
    assert report.rejects_file
    corrected = report.rejects_file.read_text(encoding="utf-8-sig").replace('"wrong"', '"right@example.com"')
    assert come_back(engine, corrected).added == 1
    [row] = [row for row in contacts(engine) if row["email"] == "right@example.com"]
    assert (row["name"], row["context"], row["custom_fields"]) == ("=1", "a;=b", {})


@given(_MARKS | st.text())
def test_a_guard_against_formulas_is_taken_back_as_it_was_given(text: str) -> None:
    assert unguarded(guarded(text)) == text
