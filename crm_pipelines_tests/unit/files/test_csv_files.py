"""Any table that people save as CSV is read, and no row's content gets into another's."""

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crm_pipelines.files import ImportRefused, ReadingOptions
from crm_pipelines.files.cleaning import Unusable, to_record
from crm_pipelines.files.columns import match_columns
from crm_pipelines.files.csv_files import read_csv
from crm_pipelines.files.sources import is_workbook
from crm_pipelines.files.tables import NoValue, Row, Table

NOT_CLOSED = "a quotation mark is opened here and not closed within the row"


def table_of(content: str | bytes, **reading: Any) -> Table:
    data = content if isinstance(content, bytes) else content.encode()
    return read_csv(io.BytesIO(data), "contacts.csv", ReadingOptions(**reading))


def cells_of(content: str | bytes, **reading: Any) -> list[list[object]]:
    rows = list(table_of(content, **reading).rows)
    assert [row.problem for row in rows] == [None] * len(rows)
    return [row.cells for row in rows]


def fates_of(content: str | bytes) -> list[tuple[int, str | None]]:
    return [(row.line, row.problem) for row in table_of(content).rows]


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("email,name", "comma"),
        ("email;name", "semicolon"),
        ("email\tname", "tab"),
        ("email|name", "bar"),
        ("email", "comma"),
        ('"email";"x,y,z"', "semicolon"),
        ("E-Mail;Name, Vorname", "semicolon"),
        ("Name, Vorname;Email", "semicolon"),
        ("email,Size (w;h;d)", "comma"),
        ("email;a,b,c,d", "semicolon"),
        ("email|a;b|c;d", "bar"),
    ],
)
def test_the_delimiter_is_the_one_that_leaves_a_title_for_the_address(header: str, delimiter: str) -> None:
    assert table_of(f"{header}\na@example.com\n").form == f"CSV, utf-8, separated by {delimiter}"


def test_where_the_header_tells_no_delimiter_the_rows_do() -> None:
    table = table_of("a;b,c\n1;x, y\n2;z, w\n3;v\n")
    assert (table.header, table.form) == (["a", "b,c"], "CSV, utf-8, separated by semicolon")


@pytest.mark.parametrize(
    ("hint", "delimiter"),
    [
        ("sep=;", ";"),
        ('"sep=;"', ";"),
        ("sep=\t", "\t"),
        ("sep=\\t", "\t"),
        ("SEP=|", "|"),
        ("Sep=,", ","),
        ("sep=^", "^"),
        ("sep=;;;", ";"),
        ('"sep=;",,', ";"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_hint_at_the_delimiter_is_followed(hint: str, delimiter: str, encoding: str) -> None:
    content = f"{hint}\r\nemail{delimiter}name\r\na@example.com{delimiter}A, B\r\n".replace("A, B", "A B")
    assert cells_of(content.encode(encoding)) == [["a@example.com", "A B"]]


@pytest.mark.parametrize(
    ("given_as", "character"),
    [
        (";", ";"),
        ("semicolon", ";"),
        ("comma", ","),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("pipe", "|"),
        ("bar", "|"),
        ("^", "^"),
    ],
)
def test_a_given_delimiter_wins(given_as: str, character: str) -> None:
    content = f"sep=:\nemail{character}a,b;c|d\na@example.com{character}x\n"
    table = table_of(content, delimiter=given_as)
    assert table.header[0] == "email"
    assert next(table.rows).cells[0] == "a@example.com"


@pytest.mark.parametrize("name", ["", "ab", "a", "7", '"', "\n", "semi"])
def test_what_cannot_be_a_delimiter_is_refused(name: str) -> None:
    with pytest.raises(ImportRefused, match="cannot be a delimiter"):
        table_of("email\n", delimiter=name)


def test_a_sheet_of_csv_is_refused() -> None:
    with pytest.raises(ImportRefused, match="has no sheets: leave out --sheet"):
        table_of("email\n", sheet="1")


@pytest.mark.parametrize(
    "above",
    ["Contacts of May\n\n", "\n\n;;\nContacts;;\n", '"Export, of\nMay";\n', "Mail list\nof May\n\n", "\ufeffList\n"],
)
def test_the_header_is_found_below_a_title_and_that_is_told(above: str) -> None:
    table = table_of(f"{above}email;name\na@example.com;A\n")
    assert table.header == ["email", "name"]
    assert [(row.line, row.cells) for row in table.rows] == [(above.count("\n") + 2, ["a@example.com", "A"])]
    assert table.notes[0].startswith(f"The header is in line {above.count(chr(10)) + 1}; ")


@pytest.mark.parametrize(("hint", "reading"), [("sep=,\n", {}), ("", {"delimiter": ","})])
def test_a_delimiter_that_makes_no_header_is_refused_with_the_one_that_does(hint: str, reading: dict[str, str]) -> None:
    content = f"{hint}email;name\na@example.com;A\n"
    with pytest.raises(ImportRefused, match=r"by semicolon, not by comma: import it with --delimiter semicolon\.$"):
        table_of(content, **reading)
    assert cells_of(content, delimiter="semicolon") == [["a@example.com", "A"]]


def test_blank_lines_above_the_header_are_no_news() -> None:
    table = table_of("\n\nemail;name\na@example.com;A\n")
    assert [row.line for row in table.rows] == [4]
    assert table.notes == []


def test_without_a_title_for_the_address_the_first_row_is_shown_as_the_header() -> None:
    table = table_of("\nfoo;bar\na@example.com;A\n")
    with pytest.raises(ImportRefused, match="Its header: 'foo', 'bar'"):
        match_columns(table.header, "contacts.csv")


def test_a_header_that_is_repeated_is_left_out_and_told() -> None:
    table = table_of("email,name\na@example.com,A\n\ufeffEmail , Name\nb@example.com,B\nemail,other\nemail,name\n")
    assert [row.line for row in table.rows] == [2, 4, 5]
    assert table.notes == ["2 lines repeat the header and were left out."]


def test_lines_are_counted_as_an_editor_does() -> None:
    content = b'sep=;\r\nemail;name\r\na@example.com;"A\r\nB"\r\n\r\nb@example.com;B\r\n"x"y;\r\nc@example.com;C'
    lines = [(row.line, row.problem is None) for row in table_of(content).rows]
    assert lines == [(3, True), (6, True), (7, False), (8, True)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_one_and_others_are_part_of_a_cell(end: str) -> None:
    content = end.join(
        ["email,name", "a@example.com,A\x0cB\x85C\u2028D", '"b@example.com","B' + end + 'C"', "c@example.com,C"]
    )
    assert cells_of(content) == [
        ["a@example.com", "A\x0cB\x85C\u2028D"],
        ["b@example.com", f"B{end}C"],
        ["c@example.com", "C"],
    ]


def test_ends_of_lines_may_be_mixed() -> None:
    assert [row.line for row in table_of("email\r\na@example.com\nb@example.com\rc@example.com").rows] == [2, 3, 4]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ('a@example.com,5" pipe,x', ["a@example.com", '5" pipe', "x"]),
        ('a@example.com,"say ""hi""",x', ["a@example.com", 'say "hi"', "x"]),
        ('a@example.com, "B, C", "x"', ["a@example.com", "B, C", "x"]),
        ('a@example.com, "B,\nC", x', ["a@example.com", "B,\nC", "x"]),
        (r'a@example.com,"say \"hi, you\"",x', ["a@example.com", 'say "hi, you"', "x"]),
        (r'"a@example.com","C:\","x"', ["a@example.com", "C:\\", "x"]),
        ('a@example.com,"<p>a, b</p>\n<p class=""c"">d, e, f</p>\n",x', None),
        ('a@example.com,"12 Main St, Apt 4\n\n\nBerlin, DE",x', None),
        ('a@example.com,"one\ntwo"', None),
        ('"a@example.com","","x"', None),
        ("a@example.com,O'Neill,'x'", None),
        ("a@example.com,A,x,,,", None),
        ("a@example.com", None),
    ],
)
def test_quoted_cells_are_read_as_csv_reads_them_or_as_they_are_meant(row: str, cells: list[str] | None) -> None:
    expected = cells or next(csv.reader(io.StringIO(row, newline="")))
    assert cells_of(f"email,name,note\n{row}\nz@example.com,Z,z\n") == [expected, ["z@example.com", "Z", "z"]]


def test_a_cell_of_several_lines_may_stand_before_the_address_of_its_row() -> None:
    content = 'notes,email\n"one\ntwo",a@example.com\n"three\nfour, b@example.org\n",c@example.com\n'
    assert cells_of(content)[0] == ["one\ntwo", "a@example.com"]


@pytest.mark.parametrize("mark", ["", '"'])
@pytest.mark.parametrize("last", ["two", '<p class="x">two</p>', 'say "two"'])
def test_a_row_may_have_a_cell_of_several_lines_before_its_address_and_one_behind_it(mark: str, last: str) -> None:
    doubled = last.replace('"', '""')
    content = f'notes,email,comment\n"one\n{doubled}",{mark}a@example.com{mark},"three\nfour"\n'
    assert cells_of(content) == [[f"one\n{last}", "a@example.com", "three\nfour"]]


PEOPLE = ["a@example.com,Ann,Rome", "b@example.com,{}Bob,Paris", "c@example.com,Cyd,Lyon", "d@example.com,Dan,Nice"]


@pytest.mark.parametrize(
    ("last", "fate"),
    [
        ('e@example.com,Eve",Metz', "a quotation mark here has no partner; one was opened in a row above"),
        ('e@example.com,"Eve",Metz', None),
        ("e@example.com,Eve,Metz", None),
        ('e@example.com,"Eve,Metz', NOT_CLOSED),
        ('e@example.com,"Eve ""E"" Moe",Metz', None),
    ],
)
@pytest.mark.parametrize("between", [0, 2])
def test_a_stray_quotation_mark_costs_its_own_row_and_its_partners(last: str, fate: str | None, between: int) -> None:
    people = [person.format('"') for person in PEOPLE[: 2 + between]]
    content = "\n".join(["email,name,city", *people, last, "f@example.com,Fay,Lille", ""])
    rows = list(table_of(content).rows)
    assert [row.cells[0] for row in rows] == [f"{letter}@example.com" for letter in "abcdefgh"[: 2 + between] + "ef"]
    assert [row.problem for row in rows] == [None, NOT_CLOSED, *[None] * between, fate, None]
    assert rows[1].cells == ["b@example.com", '"Bob', "Paris"], "so that it can be corrected"


def test_a_stray_mark_is_found_among_rows_without_addresses_and_of_other_widths() -> None:
    without = 'email,name,city\na@example.com,"Ann,Rome\n,Bob,Paris\n,Cyd,Lyon\n,Dan",Nice\n'
    assert [line for line, _ in fates_of(without)] == [2, 3, 4, 5]
    wide = 'email,name,city\nx@example.com,,,\na@example.com,"Ann,Rome,\nb@example.com,Bob,,\nc@example.com,C",Nice,\n'
    assert [line for line, _ in fates_of(wide)] == [2, 3, 4, 5]


def test_many_stray_marks_in_a_large_file_take_no_longer_than_the_file() -> None:
    """Each is looked for to the end of the file, and every line read again: that must not be done for each line."""
    content = "email,name\n" + 'a@example.com,"A\nx\n' * 5_000
    rows = list(table_of(content).rows)
    assert (len(rows), rows[-1].line) == (10_000, 10_001)


def test_a_header_with_a_stray_mark_is_refused() -> None:
    with pytest.raises(ImportRefused, match="a quotation mark in line 1 is not closed"):
        table_of('"email;name\na@example.com;A\nb@example.com;B\n')
    with pytest.raises(ImportRefused, match="no column for the e-mail address"):
        match_columns(table_of('email,"name\na@example.com,A\nb@example.com,B\n').header, "contacts.csv")


def test_a_title_of_two_lines_is_a_title() -> None:
    assert table_of('"E-\nMail";"Last\nname"\na@example.com;A\n').header == ["E- Mail", "Last name"]


@pytest.mark.parametrize(
    "shown", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NV", "#BEZUG!", " #n/a ", "Err:502"]
)
def test_what_a_spreadsheet_shows_for_an_error_is_no_value(shown: str) -> None:
    [[_, name]] = cells_of(f"email,name\na@example.com,{shown}\n")
    assert isinstance(name, NoValue) is (shown != "Err:502")
    assert cells_of("email,name\na@example.com,#1 fan\n") == [["a@example.com", "#1 fan"]]


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (b"\x1f\x8b\x08\0", "compressed with gzip: unpack it"),
        (b"PK\x05\x06" + bytes(18), "is an archive or a document, and no workbook"),
        (b"BZh91AY", "compressed with bzip2"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\xef\xbb\xbf\n<html><table>", "is a web page or XML"),
        (b'<?xml version="1.0"?><Workbook', "is a web page or XML"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "XLS file of old"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_table_is_refused_by_what_it_is(start: bytes, sentence: str) -> None:
    with pytest.raises(ImportRefused, match=sentence):
        is_workbook(io.BytesIO(start), "contacts.csv")


# csv.reader, like every program, takes a carriage return alone for the end of a line.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0@#"), max_size=20) | st.sampled_from(
    ['5" x', 'say "hi"', "a, b", "a; b\nc; d", "<p>x</p>\n\n<p>y</p>", "\\", '\\"', ' "', "sep=,", '""']
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
)
@settings(max_examples=100)
def test_what_a_csv_writer_wrote_is_read_back(
    rows: list[list[str]], delimiter: str, encoding: str, end: str, quoted: bool
) -> None:
    rows = [[f"{number}@example.com", *row] for number, row in enumerate(rows)]
    if not quoted:  # the writer leaves a carriage return alone without marks, and nobody can read it
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    target = io.StringIO(newline="")
    csv.writer(
        target, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    ).writerows([["email", "a", "b", "c"], *rows])
    read = list(table_of(target.getvalue().encode(encoding), delimiter=delimiter).rows)
    # With few delimiters by chance in every line of a cell it would be doubted, and told.
    assume(all(row.problem is None for row in read))
    assert [row.cells for row in read] == rows
    starts = target.getvalue().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all("@example.com" in starts[row.line - 1] for row in read)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=20),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=100)
def test_no_row_of_a_file_that_follows_the_rules_is_doubted(rows: list[list[str]], end: str) -> None:
    """But where each line of a cell has as many delimiters as the header by chance: not with this one."""
    rows = [[f"{number}@example.com", *row] for number, row in enumerate(rows)]
    target = io.StringIO(newline="")
    csv.writer(target, delimiter="|", lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["email", "a", "b"], *rows])
    assert cells_of(target.getvalue(), delimiter="|") == rows


@st.composite
def _broken_files(draw: Callable[..., int]) -> tuple[list[str], list[list[str]]]:
    """Lines in which marks were slipped into cells, at their start, at their end or within; and the rows as meant."""
    word = st.text("abc xyzé'", min_size=1, max_size=8)
    count = draw(st.integers(2, 12))
    rows: list[list[str]] = [[f"{n}@example.com", draw(word), draw(word)] for n in range(count)]  # type: ignore[list-item]
    address = draw(st.integers(0, 2))
    rows = [[*row[1 : address + 1], row[0], *row[address + 1 :]] for row in rows]
    cells = [list(row) for row in rows]
    for _ in range(draw(st.integers(1, 4))):
        row, column = draw(st.integers(0, count - 1)), draw(st.integers(0, 2))
        cell = cells[row][column]
        place = draw(st.sampled_from([0, 0, 0, len(cell), len(cell) // 2]))
        cells[row][column] = f'{cell[:place]}"{cell[place:]}'
    header = ["a", "b"]
    header.insert(address, "email")
    return [",".join(row) for row in [header, *cells]], rows


@given(_broken_files())
@settings(max_examples=200)
def test_whatever_marks_slip_into_a_file_every_line_has_a_fate_and_keeps_to_itself(
    broken: tuple[list[str], list[list[str]]],
) -> None:
    lines, meant = broken
    rows = list(table_of("\n".join(lines), delimiter=",").rows)
    assert [row.line for row in rows] == list(range(2, len(meant) + 2))
    for row, cells in zip(rows, meant, strict=True):
        content = "".join(str(cell) for cell in row.cells)
        assert content.replace('"', "").replace(",", "") == "".join(cells).strip("\n")
        if row.problem is None:
            assert [str(cell).replace('"', "") for cell in row.cells] == cells or len(row.cells) != len(cells)


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
        '\\"',
    ]
)


@given(
    content=st.binary(max_size=200)
    | st.builds(
        lambda parts, encoding: "".join(parts).encode(encoding, "replace"),
        st.lists(_ODD | st.text(max_size=10), max_size=30),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "koi8-r"]),
    ),
    head=st.sampled_from([b"", b"email,name\n", b"email;email\n", b"\xef\xbb\xbfemail\tTier\ttier\r\n", b"sep=\t\n"]),
)
@settings(max_examples=100, deadline=None)
def test_any_file_is_a_table_whose_rows_are_contacts_or_have_a_reason_or_is_refused_with_a_sentence(
    content: bytes, head: bytes
) -> None:
    try:
        table = table_of(head + content)
        columns = match_columns(table.header, "any.csv")
        rows: list[Row] = list(table.rows)
    except ImportRefused:
        return
    for row in rows:
        with suppress(Unusable):
            record = to_record(row, columns)
            assert "@" in record.key
            assert "\0" not in str(record)
