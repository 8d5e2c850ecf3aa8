"""An import loads what can be loaded, says what cannot and why, and can be repeated."""

import csv
import errno
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipelines.errors import UsageError
from crm_pipelines.files import ImportRefused, ReadingOptions, import_contacts, rejects
from crm_pipelines.files import loading as loading_module
from crm_pipelines_tests.integration.contacts.states import add_contact, put

SAMPLES = Path(__file__).parents[3] / "samples" / "contacts.csv"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "contacts.csv"
        file.write_text(text, encoding="utf-8", newline="")
        return file

    return write


def stored(engine: sa.Engine, columns: str = "email, name, phone_number, custom_fields, revision") -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {columns} FROM crm_contacts ORDER BY email"))]


def test_the_samples_load_except_those_without_an_address(engine: sa.Engine, tmp_path: Path) -> None:
    report = import_contacts(engine, SAMPLES, select=["brevo"], rejects_folder=tmp_path)
    assert (report.rows, report.added, report.duplicates, report.rejected) == (20, 17, 1, 2)
    assert report.selected == {"brevo": 17}
    assert [(reject.line, reject.reason[:6]) for reject in report.rejects] == [(11, "email:"), (12, "email:")]
    names = {row[0]: row[1] for row in stored(engine)}
    assert names["many.names@example.com"] == 'Maria del Carmen, de la Cruz y "Lola" Fernández'
    assert names["line.break@example.org"] == "Leo\nLinebreak"
    assert names["blank.name@example.com"] is None
    assert names["ada@example.com"] == "Ada Lovelace"


def test_a_repeated_import_changes_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    import_contacts(engine, SAMPLES, rejects_folder=tmp_path)
    before = stored(engine, "email, revision, updated_at, xmin::text")
    report = import_contacts(engine, SAMPLES, rejects_folder=tmp_path)
    assert (report.added, report.updated, report.unchanged) == (0, 0, 17)
    assert stored(engine, "email, revision, updated_at, xmin::text") == before


def test_a_blank_cell_and_an_absent_column_leave_the_stored_value(
    engine: sa.Engine, write: Callable[[str], Path]
) -> None:
    with engine.begin() as connection:
        add_contact(connection, "Ada@example.com", name="Ada", phone_number="+12025550100", custom_fields={"a": 1})
    report = import_contacts(engine, write("email,name,b\nADA@EXAMPLE.COM,,2\n"))
    assert (report.added, report.updated) == (0, 1)
    assert stored(engine) == [("Ada@example.com", "Ada", "+12025550100", {"a": 1, "b": "2"}, 2)]


def test_of_two_rows_with_one_address_the_later_wins(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    report = import_contacts(engine, write("email,name,phone\na@example.com,A,1\n A@Example.com ,B,\n"))
    assert (report.added, report.duplicates) == (1, 1)
    assert stored(engine, "name, phone_number") == [("B", "1")]


def test_duplicates_are_resolved_alike_across_chunks(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.files.CHUNK", 1)
    report = import_contacts(
        engine, write("email,name,phone\na@example.com,A,1\nA@example.com,B,\nb@example.com,C,2\n")
    )
    assert (report.rows, report.added, report.updated, report.unchanged, report.duplicates) == (3, 2, 0, 0, 1)
    assert stored(engine, "name, phone_number") == [("B", "1"), ("C", "2")]


def test_selecting_leaves_alone_what_was_selected_before(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    with engine.begin() as connection:
        for state in ("synced", "failed", "suppressed", "unselected"):
            put(connection, add_contact(connection, f"{state}@example.com"), state)
    file = write(
        "email\nsynced@example.com\nfailed@example.com\nsuppressed@example.com\nunselected@example.com\nnew@example.com\n"
    )
    report = import_contacts(engine, file, select=["brevo"])
    assert (report.selected, report.taken_back, report.suppressed) == ({"brevo": 1}, {"brevo": 1}, {"brevo": 1})
    with engine.connect() as connection:
        states = connection.execute(
            sa.text("SELECT state FROM crm_syncs JOIN crm_contacts ON id = contact_id ORDER BY email")
        )
        assert states.scalars().all() == ["failed", "queued", "skipped", "synced", "unselected"]


def test_a_changed_contact_is_queued_again(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection, "a@example.com", name="A"), "synced")
    import_contacts(engine, write("email,name\na@example.com,B\n"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT state FROM crm_syncs")).scalar_one() == "queued"


def test_rejects_go_to_a_private_file_that_can_be_corrected_and_imported(
    engine: sa.Engine, write: Callable[[str], Path]
) -> None:
    source = write('email,name,phone\nwrong,"=1+1",+12025550100\nb@example.com,B,\n')
    source.with_name("contacts.rejects.csv").touch(0o644)
    report = import_contacts(engine, source)
    assert report.rejects_file == source.with_name("contacts.rejects.2.csv"), "what was there stays"
    assert stat.S_IMODE(report.rejects_file.stat().st_mode) == 0o600
    with report.rejects_file.open(encoding="utf-8-sig", newline="") as file:
        header, row = csv.reader(file)
    assert header == ["rejected_line", "rejected_reason", "email", "name", "phone"]
    assert (row[0], row[2:]) == ("2", ["wrong", "'=1+1", "'+12025550100"])
    corrected = report.rejects_file.read_text(encoding="utf-8-sig").replace("wrong", "a@example.com")
    assert import_contacts(engine, write(corrected)).added == 1
    assert stored(engine, "name, phone_number, custom_fields")[0] == ("=1+1", "+12025550100", {})


def test_rejects_are_not_written_through_a_link(
    engine: sa.Engine, write: Callable[[str], Path], tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "contacts.rejects.csv").symlink_to(victim)
    report = import_contacts(engine, write("email\nwrong\n"))
    assert (report.rejected, report.rejects_file) == (1, tmp_path / "contacts.rejects.2.csv")
    assert victim.read_text(encoding="utf-8") == "precious"


def test_where_no_rejects_can_be_written_the_good_rows_go_in_and_each_bad_one_is_told(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an ordinary user in a read-only folder; `test_rejects.py` is really one."""
    source = write("email\n" + "".join(f"wrong{n}\nperson{n}@example.com\n" for n in range(30)))
    monkeypatch.setattr(rejects, "_create", _read_only)
    report = import_contacts(engine, source)
    assert (report.added, report.rejected) == (30, 30)
    assert [one.line for one in report.rejects] == list(range(2, 62, 2))
    assert (report.rejects_file, report.rejects_unwritable) == (None, "Read-only file system")


def _read_only(path: Path, _flag: int) -> TextIO:
    raise OSError(errno.EROFS, "Read-only file system", str(path))


def test_a_file_of_rejects_that_was_named_must_be_writable_before_anything_is_imported(
    engine: sa.Engine, write: Callable[[str], Path], tmp_path: Path
) -> None:
    source = write("email\na@example.com\nwrong\n")
    with pytest.raises(ImportRefused, match=r"nothing was imported: name another file with --rejects\."):
        import_contacts(engine, source, rejects_file=tmp_path / "nowhere" / "rejects.csv")
    assert stored(engine) == []
    there = tmp_path / "rejects.csv"
    there.write_text("precious")
    report = import_contacts(engine, write("email\na@example.com\n"), rejects_file=there)
    assert report.rejects_file is None
    assert there.read_text() == "precious", "without a reject nothing is written over"
    source = write("email\nwrong\n")
    assert import_contacts(engine, source, rejects_file=there).rejects_file == there


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"name,phone\nA,1\n", "has no column for the e-mail address"),
        (b"PK\x03\x04 this is no workbook", "is damaged, or is no XLSX workbook"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "is protected by a password"),
        (b"\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00\x00", "is not valid utf-16"),
    ],
)
def test_a_file_that_is_no_table_of_contacts_is_refused_in_a_sentence(
    engine: sa.Engine, tmp_path: Path, content: bytes, sentence: str
) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes(content)
    with pytest.raises(ImportRefused, match=sentence):
        import_contacts(engine, file)


def test_a_file_that_is_not_there_or_a_folder_is_refused_in_a_sentence(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read: No such file"):
        import_contacts(engine, tmp_path / "nowhere.csv")
    with pytest.raises(ImportRefused, match="cannot be read: Is a directory"):
        import_contacts(engine, tmp_path)


def test_an_unknown_crm_is_refused_before_anything_is_loaded(engine: sa.Engine) -> None:
    with pytest.raises(UsageError, match="known are brevo"):
        import_contacts(engine, SAMPLES, select=["brewo"])
    assert stored(engine) == []


def test_a_workbook_is_read_with_its_types(engine: sa.Engine, tmp_path: Path) -> None:
    rows = [
        ["E-mail", "Name", "Phone", "Has Gmail", "Since", "Score", "VIP", "Code"],
        ["a@example.com", 42, 4.5e10, True, datetime(2024, 5, 17), 9.5, False, "007"],  # noqa: DTZ001 - Excel has no zones
        [None] * 8,
        ["wrong", None, None, None, None, None, None, None],
    ]
    file = tmp_path / "contacts.xlsx"
    with pd.ExcelWriter(file) as book:
        pd.DataFrame(rows, dtype=object).to_excel(book, sheet_name="Sheet", header=False, index=False)
        pd.DataFrame(["notes"]).to_excel(book, sheet_name="Notes")
    report = import_contacts(engine, file)
    assert report.form == "XLSX, sheet Sheet, others ignored: Notes"
    assert [reject.line for reject in report.rejects] == [4]
    assert stored(engine, "name, phone_number, has_gmail, custom_fields") == [
        ("42", "45000000000", True, {"Since": "2024-05-17", "Score": 9.5, "VIP": False, "Code": "007"})
    ]


def test_nobody_is_selected_before_all_rows_are_in(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.files.CHUNK", 1)
    selected_meanwhile: list[int] = []

    def look(_: int) -> None:
        with engine.connect() as connection:
            selected_meanwhile.append(connection.execute(sa.text("SELECT count(*) FROM crm_syncs")).scalar_one())

    file = write("email\na@example.com\nb@example.com\na@example.com\n")
    report = import_contacts(engine, file, select=["brevo", "hubspot"], progress=look)
    assert report.selected == {"brevo": 2, "hubspot": 2}
    assert selected_meanwhile == [0, 0, 0]


def test_all_are_selected_or_nobody(
    engine: sa.Engine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading_module, "_SELECTED_AT_ONCE", 1)
    file = write("email\na@example.com\nb@example.com\n")
    import_contacts(engine, file)
    with engine.begin() as connection:
        last = connection.execute(sa.text("SELECT max(id::text) FROM crm_contacts")).scalar_one()
        connection.execute(sa.text(f"ALTER TABLE crm_syncs ADD CHECK (contact_id <> '{last}')"))
    with pytest.raises(sa.exc.IntegrityError):
        import_contacts(engine, file, select=["brevo"])
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM crm_syncs")).scalar_one() == 0


def test_progress_is_told_by_rows(engine: sa.Engine, tmp_path: Path) -> None:
    told: list[int] = []
    import_contacts(engine, SAMPLES, rejects_folder=tmp_path, progress=told.append)
    assert told == [20]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a@example.com", "A@EXAMPLE.com", "b@example.com", "wrong", "", "ü@example.com"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        ),
        max_size=12,
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_every_row_of_any_file_has_exactly_one_fate(
    engine: sa.Engine, rows: list[tuple[str, str, str]], delimiter: str
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM crm_contacts"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "contacts.csv")
        with file.open("w", encoding="utf-8", newline="") as target:
            csv.writer(target, delimiter=delimiter).writerows([("email", "name", "note"), *rows])
        report = import_contacts(engine, file)
        again = import_contacts(engine, file)
    assert report.rows == sum(any(cell.strip() for cell in row) for row in rows)
    assert report.rows == report.added + report.updated + report.unchanged + report.duplicates + report.rejected
    assert report.added == len(stored(engine))
    assert (again.added, again.unchanged) == (0, report.added) if _settled(rows) else again.added == 0


def _settled(rows: list[tuple[str, str, str]]) -> bool:
    """No address twice: else a row may say what a later one changes back."""
    addresses = [row[0].lower() for row in rows]
    return len(addresses) == len(set(addresses))


def test_a_chunk_takes_as_few_statements_as_a_row(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cu, text, _p, _cx, many: statements.append(text))
    counts = []
    for rows in (1, 2000):
        statements.clear()
        table = "".join(f"user{number}-of-{rows}@example.com,User {number},gold\n" for number in range(rows))
        report = import_contacts(engine, write("email,name,tier\n" + table), select=["brevo"])
        assert (report.added, report.selected) == (rows, {"brevo": rows})
        counts.append(len(statements))
    assert counts[1] == counts[0] + 1, "after many, statistics are taken"


def test_a_pipe_is_read_as_a_file_would_be(engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice over, as the encoding of this one asks for; and nothing of it is left behind."""
    pipe = tmp_path / "contacts.fifo"
    os.mkfifo(pipe)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    content = "email;name\n" + "jiri@example.com;Jiří Dvořák\nmarek@example.com;Šárka Třešťová\nwrong;x\n"
    writer = threading.Thread(target=pipe.write_bytes, args=(content.encode("cp1250"),))
    writer.start()
    report = import_contacts(engine, pipe)
    writer.join()
    assert (report.added, report.rejects_file) == (2, tmp_path / "contacts.rejects.csv")
    assert stored(engine, "name") == [("Jiří Dvořák",), ("Šárka Třešťová",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contacts.fifo", "contacts.rejects.csv"]


def test_a_file_whose_encoding_is_not_certain_queues_nobody(engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes("email;name\na@example.com;Kučera\n".encode("cp1250"))
    with pytest.raises(ImportRefused, match="--encoding"):
        import_contacts(engine, file, select=["brevo"])
    assert stored(engine) == []
    assert import_contacts(engine, file, select=["brevo"], reading=ReadingOptions(encoding="cp1250")).added == 1
    assert stored(engine, "name") == [("Kučera",)]


def test_a_broken_row_is_rejected_with_what_it_holds(engine: sa.Engine, write: Callable[[str], Path]) -> None:
    report = import_contacts(
        engine, write('email,name\na@example.com,A\nb@example.com,"B\nc@example.com,C\nd@example.com,D"\n')
    )
    assert (report.rows, report.added, report.rejected) == (4, 2, 2)
    assert report.rejects_file is not None
    with report.rejects_file.open(encoding="utf-8-sig", newline="") as file:
        assert [row[2:] for row in csv.reader(file)][1:] == [["b@example.com", '"B'], ["d@example.com", 'D"']]
