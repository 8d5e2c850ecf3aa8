"""Rejected rows are kept in full, can be corrected and imported again, and no import destroys those of another."""

import csv
import errno
import os
import tempfile
from datetime import date, time
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipelines.files import ImportRefused, import_contacts, rejects, report
from crm_pipelines.files.rejects import Rejects
from crm_pipelines.files.tables import Row

_no_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is full")
_COLUMNS = ("email", "name", "phone", "has_gmail", "=Total; net; gross; paid", "+note")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def stored(engine: sa.Engine) -> list[Any]:
    columns = "lower(email), name, phone_number, has_gmail, custom_fields"
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT {columns} FROM crm_contacts ORDER BY 1"))
        return [tuple(row) for row in rows]


def emptied(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM crm_contacts"))


def lines(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.reader(opened))


def corrected(file: Path, position: int) -> None:
    """As by a person in an editor: the address of every row."""
    header, *rows = lines(file)
    for row in rows:
        row[position] = row[position].replace(" AT ", "@")
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_TRICKY = ["=1+1", " =1", "\t+1", "'=1", "''=1", "@me", "-", "'", "a\r\nb", "\r@", "a;b,c"]
_CELL = st.one_of(_TEXT, st.sampled_from(_TRICKY))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(_CELL, _CELL, st.sampled_from(["", "yes", "0"]), _CELL, _CELL), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
def test_a_corrected_file_of_rejects_brings_in_what_a_corrected_source_would(
    engine: sa.Engine, rows: list[tuple[str, ...]], delimiter: str, encoding: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wrong, right = Path(folder, "wrong.csv"), Path(folder, "right.csv")
        for file, at in ((wrong, " AT "), (right, "@")):
            with file.open("w", encoding=encoding, newline="") as opened:
                addressed = [(f"user{number}{at}example.com", *row) for number, row in enumerate(rows)]
                writer = csv.writer(opened, delimiter=delimiter, quoting=csv.QUOTE_ALL)
                writer.writerows([_COLUMNS, *addressed])
        emptied(engine)
        assert import_contacts(engine, right).rejected == 0
        expected = stored(engine)
        emptied(engine)
        rejected = import_contacts(engine, wrong).rejects_file
        assert rejected is not None
        corrected(rejected, 2)
        again = import_contacts(engine, rejected)
    assert (again.rejected, again.rejects_file, again.added) == (0, None, len(rows))
    assert stored(engine) == expected


def test_cells_of_a_workbook_are_read_back_as_the_same_values(engine: sa.Engine, tmp_path: Path) -> None:
    header = ["E-mail", "Name", "Phone", "Has Gmail", "Since", "At", "Day", "Hour", "Code", "Debt"]
    moments = [pd.Timestamp("2024-05-17").to_pydatetime(), pd.Timestamp("2024-05-17 09:30").to_pydatetime()]
    row = ["a AT example.com", 42, 4.5e10, True, *moments, date(1984, 4, 5), time(9, 30), "007", "-5"]
    right, wrong = tmp_path / "right.xlsx", tmp_path / "wrong.xlsx"
    for file, address in ((right, "a@example.com"), (wrong, row[0])):
        pd.DataFrame([header, [address, *row[1:]]], dtype=object).to_excel(file, header=False, index=False)
    import_contacts(engine, right)
    expected = stored(engine)
    emptied(engine)
    rejected = import_contacts(engine, wrong).rejects_file
    assert rejected == tmp_path / "wrong.rejects.csv"
    corrected(rejected, 2)
    assert import_contacts(engine, rejected).added == 1
    assert stored(engine) == expected


def test_every_cell_of_a_rejected_row_is_kept(engine: sa.Engine, source: Path) -> None:
    source.write_bytes(b'email;name\nwrong;"two\r\nlines";more;=1;a\0b\n')
    rejected = import_contacts(engine, source).rejects_file
    assert rejected is not None
    header, row = lines(rejected)
    assert header == ["rejected_line", "rejected_reason", "email", "name"]
    assert row[0] == "2"
    assert row[2:] == ["wrong", "two\r\nlines", "more", "'=1", "a\0b"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\n=1", "\0=1", "\0 @x"])
def test_no_cell_begins_like_a_formula(cell: str) -> None:
    assert rejects.harmless(cell).startswith("'")


def test_rejects_of_an_earlier_import_are_never_written_over(engine: sa.Engine, source: Path) -> None:
    source.write_text("email\nfirst\n")
    first = import_contacts(engine, source)
    source.write_text("email\nsecond\n")
    second = import_contacts(engine, source)
    assert [one.rejects_file for one in (first, second)] == [
        source.with_name("people.rejects.csv"),
        source.with_name("people.rejects.2.csv"),
    ]
    for file, address in (("people.rejects.csv", "first"), ("people.rejects.2.csv", "second")):
        assert [line[2] for line in lines(source.with_name(file))] == ["email", address]
    assert second.notes == ("people.rejects.csv is of an earlier import, and left as it was.",)
    for _ in range(2):
        again = import_contacts(engine, source)
        assert (again.rejects_file, again.notes) == (source.with_name("people.rejects.2.csv"), ())
    assert len(list(source.parent.iterdir())) == 3, "the same rejects are not written twice"


def test_rejects_that_stay_from_an_earlier_import_are_told_when_there_are_none(engine: sa.Engine, source: Path) -> None:
    source.write_text("email\nwrong\n")
    import_contacts(engine, source)
    source.write_text("email\na@example.com\n")
    clean = import_contacts(engine, source)
    assert clean.rejects_file is None
    assert clean.notes == (
        "nothing was rejected this time; people.rejects.csv is of an earlier import, and left as it was.",
    )


def test_the_rejects_of_a_file_of_rejects_go_to_the_next(engine: sa.Engine, source: Path) -> None:
    source.write_text("email,name\nfirst,A\nsecond,B\n")
    rejected = import_contacts(engine, source).rejects_file
    assert rejected is not None
    content = rejected.read_bytes().replace(b"first", b"a@example.com")
    rejected.write_bytes(content)
    again = import_contacts(engine, rejected)
    assert (again.added, again.rejected) == (1, 1)
    assert rejected.read_bytes() == content
    assert again.rejects_file == source.with_name("people.rejects.2.csv")
    header, row = lines(again.rejects_file)
    assert header == ["rejected_line", "rejected_reason", "email", "name"]
    assert (row[0], row[2:]) == ("3", ["second", "B"])
    with pytest.raises(ImportRefused, match="is the file that is to be imported, so nothing was imported"):
        import_contacts(engine, rejected, rejects_file=rejected)
    assert rejected.read_bytes() == content


def test_a_named_file_that_is_written_over_is_told(engine: sa.Engine, source: Path, tmp_path: Path) -> None:
    source.write_text("email\nwrong\n")
    named = tmp_path / "bad.csv"
    assert import_contacts(engine, source, rejects_file=named).notes == ()
    assert import_contacts(engine, source, rejects_file=named).notes == (
        "bad.csv was there before and is written over.",
    )


@_no_full_disk
def test_a_full_disk_in_the_middle_stops_no_import_and_leaves_no_half_file(
    engine: sa.Engine, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write_text("email\n" + "".join(f"wrong{'x' * 5000}{n}\nperson{n}@example.com\n" for n in range(10)))
    monkeypatch.setattr(rejects, "_create", _full)
    done = import_contacts(engine, source)
    assert (done.added, done.rejected) == (10, 10)
    assert (done.rejects_file, done.rejects_unwritable) == (None, os.strerror(errno.ENOSPC))
    assert [path.name for path in source.parent.iterdir()] == ["people.csv"]
    assert sum(done.reasons.values()) == 10


def _full(path: Path, _flag: int) -> TextIO:
    """Takes a little, as a disk with little room does, and then nothing; the file itself is there."""
    path.touch()
    return Path("/dev/full").open("w", encoding="utf-8")


@_no_full_disk
def test_a_disk_that_is_full_at_the_very_end_is_noticed(engine: sa.Engine, source: Path) -> None:
    source.write_text("email\nwrong\n")
    done = import_contacts(engine, source, rejects_file=Path("/dev/full"))
    assert (done.rejects_file, done.rejects_unwritable) == (None, os.strerror(errno.ENOSPC))
    assert Path("/dev/full").is_char_device()


def test_rejects_are_counted_by_reason_the_most_frequent_first(engine: sa.Engine, source: Path) -> None:
    source.write_text("email,name\na,\n,x\na@example.com,x,,,y\n,y\n,z\nb,\n")
    done = import_contacts(engine, source)
    assert list(done.reasons.items()) == [
        ("email: it is blank", 3),
        ("email: An email address must have an @-sign.", 2),
        ("it has 5 cells, the header has 2", 1),
    ]
    assert sum(done.reasons.values()) == done.rejected


def test_reasons_and_rejects_that_are_kept_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_MOST_REASONS", 2)
    tally = report.ImportTally()
    for number in range(50):
        tally.reject(number, f"reason {number}")
    tally.reject(50, "reason 1")
    assert tally.reasons_by_frequency == {"other reasons": 48, "reason 1": 2, "reason 0": 1}
    assert len(tally.rejects) == report.SHOWN


def test_a_report_says_row_or_rows(engine: sa.Engine, source: Path) -> None:
    source.write_text("email\na@example.com\n")
    assert import_contacts(engine, source).summary == "1 row: 1 added."
    source.write_text("email\na@example.com\nb@example.com\n")
    assert import_contacts(engine, source).summary == "2 rows: 1 added, 1 unchanged."
    source.write_text("email\n")
    assert import_contacts(engine, source).summary == "0 rows: none."


def test_a_file_that_cannot_be_written_keeps_the_first_rejects_told(tmp_path: Path) -> None:
    with Rejects(tmp_path / "nowhere" / "people.csv", ["email"]) as written:
        written.add(Row(2, ["wrong"]), "reason")
    assert (written.written, written.unwritable) == (None, os.strerror(errno.ENOENT))
