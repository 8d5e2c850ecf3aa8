"""Any table that people save is read: the encoding, the delimiter and the physical lines are told from the file."""

import csv
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.contacts.importing import ImportRefused
from crm_pipelines.contacts.importing.cleaning import Unusable, to_record
from crm_pipelines.contacts.importing.columns import match_columns
from crm_pipelines.contacts.importing.csv_files import detect_delimiter, read_csv
from crm_pipelines.contacts.importing.tables import Row

TEXT = "email;name\nasa@example.com;Åsa Öberg\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_the_encoding_is_told_from_the_file(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes(TEXT.encode(encoding))
    table = read_csv(file)
    assert table.header == ["email", "name"]
    assert [row.cells for row in table.rows] == [["asa@example.com", "Åsa Öberg"]]


def test_a_given_encoding_wins(tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes("email\nжук@example.com\n".encode("koi8-r"))
    assert [row.cells for row in read_csv(file, "koi8-r").rows] == [["жук@example.com"]]
    with pytest.raises(ImportRefused, match="no encoding named 'koi9'"):
        read_csv(file, "koi9")


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [("a,b", ","), ("a;b", ";"), ("a\tb", "\t"), ("a|b", "|"), ("a", ","), ('"x,y,z";b', ";")],
)
def test_the_delimiter_is_the_one_outside_quotation_marks(line: str, delimiter: str) -> None:
    assert detect_delimiter(line) == delimiter


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_bytes(
        b'sep=;\r\nemail;name\r\na@example.com;"A\r\nB"\r\n\r\nb@example.com;B\r\n"x"y;\r\nc@example.com;C'
    )
    lines = [(row.line, row.problem is None) for row in read_csv(file).rows]
    assert lines == [(3, True), (6, True), (7, False), (8, True)]


def test_a_quotation_mark_never_closed_is_told_where_it_opens(tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text('email,name\na@example.com,A\nb@example.com,"B\nc@example.com,C\n', encoding="utf-8")
    _, broken = read_csv(file).rows
    assert (broken.line, broken.problem) == (
        3,
        "a quotation mark opened here is never closed; everything after it belongs to this cell",
    )


# csv.reader, like every program, takes a carriage return alone for the end of a line.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, encoding: str, end: str
) -> None:
    file = tmp_path_factory.mktemp("csv") / "contacts.csv"
    with file.open("w", encoding=encoding, newline="") as target:
        writer = csv.writer(target, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([["email", "a", "b"], *rows])
    expected = [row for row in rows if any(cell.strip() for cell in row)]
    read = list(read_csv(file).rows)
    assert [row.cells for row in read] == expected
    text = file.read_text(encoding=encoding)
    starts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all(starts[row.line - 1].startswith('"') for row in read)


_ODD = st.sampled_from(
    [
        "a@example.com",
        '"',
        '""',
        "\0",
        "\ufeff",
        "\r",
        "\n",
        "\r\n",
        ",",
        ";",
        "email",
        "Email",
        "x" * 1_000_000,
        "=1+1",
    ]
)


@given(
    content=st.binary(max_size=200)
    | st.builds(
        lambda parts, encoding: "".join(parts).encode(encoding, "replace"),
        st.lists(_ODD | st.text(max_size=10), max_size=30),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "koi8-r"]),
    ),
    head=st.sampled_from([b"", b"email,name\n", b"email;email\n", b"\xef\xbb\xbfemail\tTier\ttier\r\n"]),
)
@settings(max_examples=150, deadline=None)
def test_any_file_is_a_table_whose_rows_are_contacts_or_have_a_reason_or_is_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(head + content)
    try:
        table = read_csv(file)
        columns = match_columns(table.header, file.name)
        rows = list(table.rows)
    except ImportRefused:
        return
    for row in rows:
        with suppress(Unusable):
            record = to_record(row, columns)
            assert "@" in record.key
            assert "\0" not in str(record)


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (["E-Mail", "First Name", "LAST_NAME", "Mobile phone"], ["email", "first_name", "last_name", "phone_number"]),
        (["email address", "Full name", "Telephone"], ["email", "name", "phone_number"]),
        (["EMAIL", "hasGmail", "Source URL"], ["email", "has_gmail", "source_url"]),
    ],
)
def test_columns_are_found_however_they_are_written(header: list[str], fields: list[str]) -> None:
    assert list(match_columns(header, "x.csv").fields.values()) == fields


def test_unknown_columns_become_custom_fields_and_ours_are_left_out() -> None:
    columns = match_columns(["email", "Tier", "id", "brevo_sync_status", ""], "x.csv")
    assert columns.custom == {1: "Tier"}
    assert columns.ignored == ("id", "brevo_sync_status")


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["name", "phone"], "has no column for the e-mail address"),
        (["email", "x" * 201], "the header of column 2 is no name"),
    ],
)
def test_a_header_that_cannot_be_understood_is_refused(header: list[str], sentence: str) -> None:
    with pytest.raises(ImportRefused, match=sentence):
        match_columns(header, "x.csv")


HEADER = ["email", "name", "phone", "has_gmail", "page_id", "custom_fields", "Score"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([""], "email: it is blank"),
        (["nobody"], "email: "),
        (["a@localhost"], "email: "),
        (["a@example.com", "A\0B"], "name: it holds a NUL character"),
        (["a@example.com", "A" * 1_000_000], "name: it is longer than 100,000 characters"),
        (["a@example.com", "", "", "maybe"], "has_gmail: expected true or false"),
        (["a@example.com", "", "", "", "17"], "page_id: expected a UUID"),
        (["a@example.com", "", "", "", "", "[1]"], "custom_fields: expected a JSON object"),
        (["a@example.com", "", "", "", "", '{"x": NaN}'], "custom_fields: expected a JSON object"),
        (["a@example.com", "", "", "", "", r'{"x": "\u0000"}'], "custom_fields: it holds a NUL"),
        (["a@example.com", "", "", "", "", r'{"x": "\ud800"}'], "custom_fields: expected a JSON object"),
        (["a@example.com", "", "", "", "", "", "", "more"], "it has 8 cells, the header has 7"),
    ],
)
def test_a_row_that_is_no_contact_is_refused_with_the_reason(cells: list[object], reason: str) -> None:
    with pytest.raises(Unusable) as error:
        to_record(Row(2, cells), match_columns(HEADER, "x.csv"))
    assert str(error.value).startswith(reason)


def test_values_are_trimmed_and_blank_ones_left_out() -> None:
    row = Row(2, [" a@example.com ", "   ", "'+12025550100", "Yes", "", '{"vip": false}', "0"])
    record = to_record(row, match_columns(HEADER, "x.csv"))
    assert record.values == {"email": "a@example.com", "phone_number": "+12025550100", "has_gmail": True}
    assert record.custom_fields == {"vip": False, "Score": "0"}


@pytest.mark.parametrize(
    "address", ["a@example.com", "o'neill+news@example.org", "åsa@example.org", "a@bücher.example"]
)
def test_unusual_addresses_are_accepted(address: str) -> None:
    assert to_record(Row(2, [address]), match_columns(["email"], "x.csv")).values["email"] == address
