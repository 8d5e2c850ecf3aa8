"""A workbook is read as the person who opens it sees it: the sheet, its header, and what the cells hold."""

import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.chart import BarChart, Reference
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from crm_pipelines.files import ImportRefused, ReadingOptions
from crm_pipelines.files.cleaning import to_record
from crm_pipelines.files.columns import match_columns
from crm_pipelines.files.sources import is_workbook
from crm_pipelines.files.tables import NoValue, Table
from crm_pipelines.files.xlsx_files import read_xlsx

HEAD = ["email", "name"]
ADA = ["ada@example.com", "Ada"]


def book_of(**sheets: list[list[Any]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return book


def saved(book: openpyxl.Workbook, change: Callable[[str], str] | None = None) -> io.BytesIO:
    """`change` is made to the XML of the first sheet."""
    file = io.BytesIO()
    book.save(file)
    if change is None:
        return file
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            data = old.read(part)
            new.writestr(part, change(data.decode()).encode() if part == "xl/worksheets/sheet1.xml" else data)
    return changed


def table_of(book: openpyxl.Workbook, change: Callable[[str], str] | None = None, **reading: Any) -> Table:
    file = saved(book, change)
    file.seek(0)
    assert is_workbook(file, "contacts.xlsx")
    return read_xlsx(file, "contacts.xlsx", ReadingOptions(**reading))


def cells_of(book: openpyxl.Workbook, change: Callable[[str], str] | None = None) -> list[list[object]]:
    return [row.cells for row in table_of(book, change).rows]


def cell_of(value: Any, number_format: str | None = None, change: Callable[[str], str] | None = None) -> object:
    book = book_of(Sheet=[HEAD, ["ada@example.com", value]])
    if number_format:
        book.active["B2"].number_format = number_format
    [[_, cell]] = cells_of(book, change)
    return cell


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"])
def test_an_error_is_no_value(error: str) -> None:
    assert cell_of(error) == NoValue(error, f"{error} is no value")


def test_a_formula_whose_result_is_not_in_the_file_is_no_value_and_an_empty_result_is_blank() -> None:
    book = book_of(Sheet=[HEAD, ["a@example.com", "=1+1"], ["b@example.com", "=1+1"], ["c@example.com", "=1+1"]])

    def calculated(xml: str) -> str:
        for row, result in {3: 't="str"><f>1+1</f><v></v></c>', 4: "><f>1+1</f><v>2</v></c>"}.items():
            xml, count = re.subn(rf'(<c r="B{row}")[^>]*>.*?</c>', rf"\1 {result}", xml)
            assert count == 1
        return xml

    first, second, third = cells_of(book, calculated)
    assert first[1] == NoValue("", "the result of its formula is not in the file")
    assert second[1:] in ([], [None], [""])
    assert third[1] == 2


@pytest.mark.parametrize(
    ("value", "number_format", "read"),
    [
        (datetime(2024, 5, 17), None, "2024-05-17"),  # noqa: DTZ001 - spreadsheets have no zones
        (datetime(2024, 5, 17, 10, 30), None, "2024-05-17T10:30:00"),  # noqa: DTZ001
        (date(1899, 12, 31), "General", 0),
        (time(9, 5), None, "09:05:00"),
        (timedelta(hours=26, minutes=3), None, "26:03:00"),
        (4.5e10, None, 45000000000),
        (7, "000", "007"),
        (1067, "00000", "01067"),
        (1067, "[$-407]00000", "01067"),
        (7, "0", 7),
        (7, "000.0", 7),
        (0.15, "0%", 0.15),
        (0.1 + 0.2, None, 0.3),
        (12.5, "#,##0.00 €", 12.5),
        (True, None, True),
        ("007", None, "007"),
        ("=x", "@", "=x"),
        ("a_x000D_\nb", None, "a\nb"),
        ("#1 fan", None, "#1 fan"),
        (1e20, None, "100000000000000000000"),
    ],
)
def test_a_cell_is_what_a_person_sees_or_the_number_behind_it(value: Any, number_format: str | None, read: Any) -> None:
    book = book_of(Sheet=[["email", "X"], ["ada@example.com", None]])
    cell = book.active["B2"]
    cell.value = value
    if number_format:
        cell.number_format = number_format
    if number_format == "@":
        cell.data_type = "s"
    table = table_of(book)
    columns = match_columns(table.header, "x")
    record = to_record(next(table.rows), columns)
    taken = record.custom_fields["X"]
    assert (str(taken) if value == 1e20 else taken) == read or taken == pytest.approx(1e20)


def test_dates_of_an_old_mac_are_not_four_years_off() -> None:
    book = book_of(Sheet=[HEAD])
    book.epoch = CALENDAR_MAC_1904
    book.active.append(["ada@example.com", datetime(2024, 5, 17)])  # noqa: DTZ001
    assert cells_of(book) == [["ada@example.com", datetime(2024, 5, 17)]]  # noqa: DTZ001


def test_a_number_that_is_no_date_but_shown_as_one_is_no_value_and_is_not_printed(
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert isinstance(cell_of(45_000_000_000, "yyyy-mm-dd"), NoValue)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("states", "read"),
    [(("visible", "visible"), "First"), (("hidden", "visible"), "Second"), (("veryHidden", "visible"), "Second")],
)
def test_the_first_visible_sheet_with_addresses_is_read(states: tuple[str, str], read: str) -> None:
    book = book_of(Cover=[["Please read me"], ["to the end"]], First=[HEAD, ADA], Second=[HEAD, ADA])
    chart = BarChart()
    chart.add_data(Reference(book["First"], min_col=1, min_row=1, max_row=2))
    book.create_chartsheet("Chart", 0).add_chart(chart)
    for title, state in zip(["First", "Second"], states, strict=True):
        book[title].sheet_state = state
    table = table_of(book)
    assert table.form.startswith(f"XLSX, sheet {read}, others ignored: Cover")
    assert [row.cells for row in table.rows] == [ADA]


@pytest.mark.parametrize("sheet", ["Old", "old ", "2"])
def test_a_named_sheet_is_read_though_it_is_hidden(sheet: str) -> None:
    book = book_of(New=[HEAD, ADA], Old=[HEAD, ["old@example.com", "O"]])
    book["Old"].sheet_state = "hidden"
    table = table_of(book, sheet=sheet)
    assert [row.cells[0] for row in table.rows] == ["old@example.com"]
    assert table.form == "XLSX, sheet Old (hidden), others ignored: New"


def test_a_sheet_named_like_a_number_goes_before_the_number() -> None:
    book = book_of(**{"2": [HEAD, ["two@example.com", "T"]], "x": [HEAD, ADA]})
    assert next(table_of(book, sheet="2").rows).cells[0] == "two@example.com"


@pytest.mark.parametrize("sheet", ["Nowhere", "0", "3", ""])
def test_an_unknown_sheet_is_refused_with_those_there_are(sheet: str) -> None:
    book = book_of(New=[HEAD, ADA], Old=[HEAD])
    book["Old"].sheet_state = "hidden"
    with pytest.raises(ImportRefused, match=r"has no sheet .*\. Its sheets are 1: New; 2: Old \(hidden\)\."):
        table_of(book, sheet=sheet)


def test_where_no_sheet_fits_the_sheets_are_named() -> None:
    with pytest.raises(
        ImportRefused, match=r"has a column for the e-mail address.* 1: A; 2: B\. Name one with --sheet"
    ):
        table_of(book_of(A=[["x"]], B=[["y"]]))


@pytest.mark.parametrize("option", ["encoding", "delimiter"])
def test_an_option_for_csv_is_refused(option: str) -> None:
    with pytest.raises(ImportRefused, match=f"--{option} is for CSV only"):
        table_of(book_of(A=[HEAD]), None, **{option: "x"})


def test_titles_above_the_header_headers_in_the_middle_hidden_rows_and_merged_cells_are_told() -> None:
    book = book_of(Sheet=[["Contacts"], [], HEAD, ADA, HEAD, ["bob@example.com", "Bob"], ["cyd@example.com", None]])
    book.active.merge_cells("A1:B1")
    book.active.merge_cells("B6:B7")
    book.active.row_dimensions[4].hidden = True
    table = table_of(book)
    assert table.header == HEAD
    assert [(row.line, row.cells[0]) for row in table.rows] == [
        (4, "ada@example.com"),
        (6, "bob@example.com"),
        (7, "cyd@example.com"),
    ]
    assert table.notes == [
        "The header is in row 3; what stands above it was left out.",
        "1 hidden row was read like the others.",
        "1 merged cell covers more than one row: the value belongs to the first of them, the others are blank.",
        "1 line repeats the header and was left out.",
    ]


def test_a_wrong_size_in_the_file_hides_nothing() -> None:
    book = book_of(Sheet=[HEAD, ADA])
    for dimension in ["A1", "A1:A1", "A1:XFD1048576"]:
        changed = partial(re.sub, r'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"')
        assert cells_of(book, changed) == [ADA]
    assert cells_of(book, lambda xml: re.sub(r"<dimension [^>]*>", "", xml)) == [ADA]


def test_rows_without_numbers_are_read_to_the_last() -> None:
    book = book_of(Sheet=[HEAD, ADA, ["bob@example.com", "B"]])
    assert len(cells_of(book, lambda xml: re.sub(r'(<row|<c) r="\w+"', r"\1", xml))) == 2
    only_last = cells_of(book, lambda xml: xml.replace('<row r="3"', "<row"))
    assert len(only_last) == 2


def test_hundreds_of_thousands_of_formatted_blank_rows_cost_no_memory() -> None:
    book = book_of(Sheet=[HEAD, ADA])
    blank = '<row r="{}"><c r="A{}" s="1"/><c r="B{}" s="1"/></row>'
    many = "".join(blank.format(number, number, number) for number in range(3, 200_000))
    file = saved(book, lambda xml: xml.replace("</sheetData>", many + "</sheetData>"))
    tracemalloc.start()
    try:
        assert [row.cells for row in read_xlsx(file, "contacts.xlsx").rows] == [ADA]
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"])
def test_a_damaged_workbook_is_refused_in_a_sentence(part: str) -> None:
    file, damaged = saved(book_of(Sheet=[HEAD, *[ADA] * 500])), io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: len(data) * 3 // 4] if name == part else data)
    with pytest.raises(ImportRefused, match="is damaged"):
        list(read_xlsx(damaged, "contacts.xlsx").rows)


def test_a_workbook_with_bits_that_flipped_is_refused_in_a_sentence() -> None:
    sound = saved(book_of(Sheet=[HEAD, *[[f"a{number * 7919}@example.com", "A"] for number in range(500)]])).getvalue()
    for place in range(len(sound) // 10, len(sound), len(sound) // 50):
        damaged = io.BytesIO(sound[:place] + bytes([sound[place] ^ 16]) + sound[place + 1 :])
        with suppress(ImportRefused):
            assert not is_workbook(damaged, "contacts.xlsx") or len(list(read_xlsx(damaged, "x.xlsx").rows)) == 500


def test_rows_of_blanks_are_no_rows() -> None:
    assert [row.line for row in table_of(book_of(Sheet=[HEAD, [" ", None], ADA, ["\xa0", ""]])).rows] == [3]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}, "OpenDocument"),
        ({"[Content_Types].xml": "", "xl/workbook.bin": ""}, "XLSB"),
        ({"Index/Document.iwa": ""}, "Numbers"),
        ({"xl/workbook.xml": '<workbook xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"/>'}, "save it as 'Excel"),
        ({"contacts.csv": "email"}, "unpack it"),
        ({"[Content_Types].xml": "", "word/document.xml": ""}, "no workbook"),
    ],
)
def test_archives_that_are_no_xlsx_are_refused_by_what_they_are(parts: dict[str, str], sentence: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    file.seek(0)
    with pytest.raises(ImportRefused, match=sentence):
        is_workbook(file, "contacts.xlsx")


@pytest.mark.parametrize("kind", ["template", "macros"])
def test_templates_and_workbooks_with_macros_are_read(kind: str) -> None:
    book = book_of(Sheet=[HEAD, ADA])
    book.template = kind == "template"
    file, macros = saved(book), io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(macros, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if kind == "macros" and name == "[Content_Types].xml":
                plain = b"openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
                assert plain in data
                data = data.replace(b"vnd." + plain, b"vnd.ms-excel.sheet.macroEnabled.main+xml")
            new.writestr(name, data)
    assert [row.cells for row in read_xlsx(macros, "contacts.xlsm").rows] == [ADA]


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="#_\x7f"), max_size=12)
_VALUES = (
    st.none()
    | _TEXT.filter(lambda text: not text.startswith("="))
    | st.integers(-(10**12), 10**12)
    | st.booleans()
    | st.dates(date(1950, 1, 1), date(2100, 1, 1)).map(lambda day: datetime(day.year, day.month, day.day))  # noqa: DTZ001
    | st.sampled_from(["#N/A", "#REF!", "line\nbreak", "1,5", "007"])
)


@given(rows=st.lists(st.lists(_VALUES, min_size=1, max_size=4), max_size=15), above=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_what_was_put_into_a_sheet_is_read_back(rows: list[list[Any]], above: int) -> None:
    rows = [[f"{number}@example.com", *row] for number, row in enumerate(rows)]
    table = table_of(book_of(Sheet=[*[["title"]] * above, ["email", "a", "b", "c", "d"], *rows]))
    read = list(table.rows)
    assert [row.line for row in read] == list(range(above + 2, above + 2 + len(rows)))
    for row, meant in zip(read, rows, strict=True):
        cells = [cell.shown if isinstance(cell, NoValue) else cell for cell in row.cells]
        assert [cell for cell in cells if cell not in (None, "")] == [cell for cell in meant if cell not in (None, "")]
