"""A dry run says what an import would come to, and leaves everything as it was."""

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipelines.contacts.suppressions import suppress
from crm_pipelines.database import connecting, migrating
from crm_pipelines.files import ImportForecast, ImportRefused, forecast_import, import_contacts
from crm_pipelines.files.forecast import Respelling
from crm_pipelines.files.report import Merged
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put

ALIKE = (
    *("file", "form", "rows", "added", "updated", "unchanged", "duplicates", "rejected", "reasons", "rejects"),
    *("remarks", "custom_fields", "ignored_columns", "selected", "taken_back", "suppressed", "opted_out_before"),
)
"""What a forecast and the report of the import have alike."""

_EVERYTHING = sa.text(
    "SELECT (SELECT array_agg(c.*::text || c.xmin ORDER BY c.id) FROM crm_contacts c), "
    "(SELECT array_agg(s.*::text || s.xmin ORDER BY s.contact_id, s.crm) FROM crm_syncs s)"
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "contacts.csv"
        file.write_text(text, encoding="utf-8", newline="")
        return file

    return write


def everything(engine: sa.Engine) -> Any:
    with engine.connect() as connection:
        return tuple(connection.execute(_EVERYTHING).one())


_ADDRESSES = ["a@example.com", "A@EXAMPLE.com", "b@example.com", "B@example.com", "c@example.com", "d@example.com"]
_WORDS = st.sampled_from(["", "", "x", "y", " x", "7", "=1"])
_CONTACTS = st.dictionaries(
    st.sampled_from(["a@example.com", "B@example.com", "c@example.com"]),
    st.tuples(
        st.sampled_from([None, "x", "y"]),
        st.sampled_from([{}, {"note": "x"}, {"other": 1}]),
        st.sampled_from([None, *STATES]),
    ),
)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from([*_ADDRESSES, "wrong", "", "ü@example.com", "a@exa mple.com"]),
        _WORDS,
        st.sampled_from(["", "", "yes", "0", "perhaps"]),
        _WORDS,
        st.sampled_from(["", "", "", "one too many"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contacts=_CONTACTS,
    suppressed=st.sets(st.sampled_from(_ADDRESSES), max_size=2),
    rows=_ROWS,
    chunk=st.integers(1, 5),
)
def test_a_dry_run_and_the_import_agree_in_every_count(
    engine: sa.Engine,
    contacts: dict[str, tuple[str | None, dict[str, Any], str | None]],
    suppressed: set[str],
    rows: list[tuple[str, ...]],
    chunk: int,
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM crm_contacts"))
        connection.execute(sa.text("DELETE FROM crm_suppressions"))
        for email, (name, custom_fields, state) in contacts.items():
            put(connection, add_contact(connection, email, name=name, custom_fields=custom_fields), state)
        people = [frozenset({email.lower()}) for email in suppressed]
        suppress(connection, "brevo", people, reason=None, by="test")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("crm_pipelines.files.CHUNK", chunk)
        file = Path(folder, "contacts.csv")
        with file.open("w", encoding="utf-8", newline="") as target:
            csv.writer(target).writerows([("email", "name", "has_gmail", "note"), *(_row(row) for row in rows)])
        before = everything(engine)
        forecast = forecast_import(engine, file, select=["brevo", "hubspot"])
        assert everything(engine) == before
        assert [path.name for path in Path(folder).iterdir()] == ["contacts.csv"]
        report = import_contacts(engine, file, select=["brevo", "hubspot"])
    assert {name: getattr(forecast, name) for name in ALIKE} == {name: getattr(report, name) for name in ALIKE}


def _row(row: tuple[str, ...]) -> tuple[str, ...]:
    return row if row[-1] else row[:-1]


def test_the_meaning_of_each_column_is_told_with_an_example(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    long = "x" * 100
    file = write(
        f"E-Mail,Vorstellung,,id,Nothing,rejected_line\na@example.com,,,1,,\n"
        f'b@example.com,"two\nlines {long}",no header,2,,7\n'
    )
    forecast = forecast_import(engine, file)
    assert [(one.header, one.field, one.custom_field, one.meaning) for one in forecast.columns] == [
        ("E-Mail", "email", None, "email"),
        ("Vorstellung", None, "Vorstellung", "custom field Vorstellung"),
        ("", None, None, "left out: it has no header"),
        ("id", None, None, "left out: bookkeeping"),
        ("Nothing", None, "Nothing", "custom field Nothing"),
        ("rejected_line", None, None, "left out: bookkeeping"),
    ]
    examples = [one.example for one in forecast.columns]
    assert examples[0:5:4] == ["a@example.com", None], "all cells of the fifth are blank"
    assert examples[1] is not None
    assert examples[1].startswith("two lines xxx")
    assert len(examples[1]) == 60
    assert forecast.warnings == ("Only the address was recognised, so there is neither a name nor a phone number.",)


def test_rows_that_meet_each_other_or_a_contact_in_another_spelling_are_told(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        add_contact(connection, "Ada@Example.com")
    file = write("email,name\nada@example.com,A\nb@example.com,B\nB@example.com,C\nb@EXAMPLE.com,D\n")
    for chunk in (10, 1):
        monkeypatch.setattr("crm_pipelines.files.CHUNK", chunk)
        forecast = forecast_import(engine, file)
        assert forecast.merged == (Merged(line=4, earlier=3), Merged(line=5, earlier=3))
        assert forecast.respelt == 1
        assert forecast.respellings == (Respelling(line=2, email="ada@example.com", stored="Ada@Example.com"),)


def test_without_a_database_the_file_alone_is_told(write: Callable[[str], Path]) -> None:
    forecast = forecast_import(None, write("email,name\na@example.com,A\nA@example.com,B\nwrong,\n"), select=["brevo"])
    assert (forecast.rows, forecast.duplicates, forecast.rejected) == (3, 1, 1)
    assert (forecast.added, forecast.updated, forecast.unchanged, forecast.selected) == (None, None, None, {})
    assert forecast.summary == ("3 rows: 1 usable, 1 merged into an earlier row with the same address, 1 rejected.")


def test_what_cannot_be_imported_is_refused_by_a_dry_run_too(write: Callable[[str], Path]) -> None:
    with pytest.raises(ImportRefused, match="no column for the e-mail address"):
        forecast_import(None, write("name\nA\n"))


@contextmanager
def reading_only(engine: sa.Engine, database_url: str, role: str) -> Iterator[sa.Engine]:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    url = sa.make_url(database_url).set(username=role, password="secret").render_as_string(hide_password=False)
    reader = connecting.create_engine(url)
    yield reader
    reader.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_a_role_that_may_only_read_will_do(engine: sa.Engine, database_url: str, write: Callable[[str], Path]) -> None:
    with engine.begin() as connection:
        add_contact(connection, "a@example.com")
    with reading_only(engine, database_url, "forecast_reader") as reader:
        migrating.require_current_schema(reader)
        forecast = forecast_import(reader, write("email\na@example.com\nb@example.com\n"), select=["brevo"])
    assert (forecast.added, forecast.unchanged, forecast.selected) == (1, 1, {"brevo": 2})


def test_a_dry_run_can_not_write_and_locks_no_row(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        add_contact(connection, "a@example.com")
    read_only: list[str] = []

    def look(connection: sa.Connection, *_: Any) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        read_only.append(driver.execute("SHOW transaction_read_only").fetchone()[0])

    sa.event.listen(engine, "before_cursor_execute", look)
    with engine.connect() as holder:
        holder.execute(sa.text("SELECT FROM crm_contacts FOR UPDATE"))
        before = len(read_only)
        forecast: ImportForecast = forecast_import(engine, write("email,name\na@example.com,A\n"), select=["brevo"])
    assert forecast.updated == 1, "it waits for nobody either"
    assert set(read_only[before:]) == {"on"}
