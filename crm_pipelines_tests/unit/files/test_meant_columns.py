"""What a person says of columns with --map, and what is suggested to be said."""

import io
from collections.abc import Sequence

import openpyxl
import pytest

from crm_pipelines.errors import UsageError
from crm_pipelines.files import ReadingOptions, read_meant
from crm_pipelines.files.cleaning import to_record
from crm_pipelines.files.columns import Columns, NoAddressColumn, match_columns
from crm_pipelines.files.csv_files import read_csv
from crm_pipelines.files.suggestions import address_column, suggest
from crm_pipelines.files.tables import Row
from crm_pipelines.files.xlsx_files import read_xlsx


def columns(header: Sequence[str], *meant: str) -> Columns:
    return match_columns([*header], "people.csv", read_meant(meant))


def test_a_column_is_the_field_that_a_person_names_for_it() -> None:
    found = columns(["email", "Rufname", "Umsatz", "Intern"], "Rufname=first_name", "umsatz=custom_fields.Revenue")
    assert found.fields == {0: "email", 1: "first_name"}
    assert found.custom == {2: "Revenue", 3: "Intern"}
    assert found.unknown == (3,)


def test_a_column_that_is_named_goes_before_one_that_is_found_which_stays_as_a_custom_field() -> None:
    found = columns(["email", "Name", "Company"], "Company=name")
    assert found.fields == {0: "email", 2: "name"}
    assert found.custom == {1: "Name"}
    assert found.notes == ("name is taken from 'Company', not from 'Name'.",)


def test_of_several_columns_for_the_phone_number_the_first_that_is_named_is_taken() -> None:
    found = columns(["email", "Phone", "A", "B"], "B=phone_number", "A=phone_number")
    row = Row(2, ["a@example.com", "+491", "+492", ""])
    assert found.fields[3] == "phone_number"
    assert to_record(row, found).values["phone_number"] == "+492"


def test_a_column_with_nothing_behind_the_sign_is_left_out_and_told() -> None:
    found = columns(["email", "Intern"], "Intern=")
    assert (found.custom, found.ignored) == ({}, ("Intern",))
    assert found.meaning(1) == "left out: as you said"


def test_bookkeeping_that_a_person_names_is_taken() -> None:
    assert columns(["email", "id"], "id=custom_fields.Old id").custom == {1: "Old id"}


@pytest.mark.parametrize("target", ["", "context", "custom_fields.Something", "custom_fields.Unsubscribed"])
@pytest.mark.parametrize("header", ["Unsubscribed", "Anything"])
def test_who_has_opted_out_has_whatever_the_column_is_called(header: str, target: str) -> None:
    found = columns(["email", header], f"{header}={target}")
    record = to_record(Row(2, ["a@example.com", "yes"]), found)
    assert record.opted_out is ("Unsubscribed" in (header, target.removeprefix("custom_fields.")))


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        ("Rufname", "write COLUMN=FIELD, such as Vorname=first_name"),
        ("=first_name", "write COLUMN=FIELD"),
        ("Rufname=firstname", "names no field: did you mean first_name?"),
        ("Rufname=zzz", "expected email, phone_number, name, first_name, last_name"),
        ("Rufname=custom_fields.", "names no field: expected"),
    ],
)
def test_what_is_no_column_and_field_is_refused_with_what_was_expected(meant: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_meant([meant])
    assert said in str(refused.value)


@pytest.mark.parametrize("meant", [("A=name", "B=name"), ("A=name", "A=context")])
def test_neither_a_column_nor_a_field_is_named_twice(meant: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="leave one of them"):
        columns(["email", "A", "B"], *meant)


def test_a_column_that_is_not_there_is_refused_with_the_nearest_and_the_header() -> None:
    with pytest.raises(UsageError) as refused:
        columns(["email", "Rufname"], "Rufnam=first_name")
    assert str(refused.value) == (
        "people.csv has no column 'Rufnam', which --map names. Did you mean 'Rufname'? Its header: 'email', 'Rufname'."
    )


def test_a_column_that_is_there_twice_cannot_be_named() -> None:
    with pytest.raises(UsageError, match="2 columns 'Tag', and --map cannot tell which"):
        columns(["email", "Tag", "Tag"], "Tag=context")


def test_the_header_is_found_by_the_column_that_a_person_names_for_the_address() -> None:
    meant = ReadingOptions(columns=read_meant(["Kontaktweg=email"]))
    table = read_csv(io.BytesIO(b"Our people\n\nKontaktweg;Wer\nada@example.com;Ada\n"), "people.csv", meant)
    assert table.header == ["Kontaktweg", "Wer"]
    assert [row.cells for row in table.rows] == [["ada@example.com", "Ada"]]


def test_the_sheet_is_found_by_the_column_that_a_person_names_for_the_address() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Notes"])
    book.create_sheet("People").append(["Kontaktweg", "Wer"])
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    table = read_xlsx(file, "people.xlsx", ReadingOptions(columns=read_meant(["Kontaktweg=email"])))
    assert table.header == ["Kontaktweg", "Wer"]


def suggested(header: Sequence[str], *rows: Sequence[str], meant: Sequence[str] = ()) -> list[str]:
    sample = [Row(number, [*cells]) for number, cells in enumerate(rows, start=2)]
    return [one.sentence for one in suggest(columns(header, *meant), sample)]


ADA = ["ada.lovelace@example.com", "Ada", "Lovelace", "+49 30 1234567"]
GRACE = ["grace.hopper@example.com", "Grace", "Hopper", "030/998877"]


def test_a_header_that_is_nearly_a_known_one_is_suggested() -> None:
    assert suggested(["email", "Vornahme", "Kundennachname", "Rückrufnummer"], ADA, GRACE) == [
        "Vornahme looks like first_name: --map Vornahme=first_name",
        "Kundennachname looks like last_name: --map Kundennachname=last_name",
        "Rückrufnummer looks like phone_number: --map 'Rückrufnummer=phone_number'",
    ]


def test_values_that_are_those_of_a_field_are_suggested_whatever_the_header() -> None:
    assert suggested(["email", "F1", "F2", "F 3"], ADA, GRACE) == [
        "F1 holds what looks like first names: --map F1=first_name",
        "F2 holds what looks like last names: --map F2=last_name",
        "F 3 holds what looks like phone numbers: --map 'F 3=phone_number'",
    ]
    whole = [["ada.lovelace@example.com", "Ada Lovelace"], ["ghopper@example.com", "Grace Hopper"]]
    assert suggested(["email", "Person"], *whole) == ["Person holds what looks like names: --map Person=name"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("Company name", ("Acme", "Navy")),
        ("City", ("Berlin", "London")),
        ("Vornahme", ("1984", "1985")),
        ("Born", ("05.04.1984", "01.12.1980")),
        ("Postcode", ("01067", "04109")),
        ("Customer", ("4711001122", "4711001123")),
        ("Revenue", ("13.528,18", "1.234,50")),
        ("Mobile consent", ("yes", "no")),
        ("Nothing", ("", "")),
    ],
)
def test_what_is_likely_something_else_is_not_suggested(header: str, values: tuple[str, str]) -> None:
    assert suggested(["email", header], (ADA[0], values[0]), (GRACE[0], values[1])) == []


def test_a_field_that_has_a_column_and_a_column_that_a_person_named_are_not_suggested() -> None:
    assert suggested(["email", "F1", "Nachname", "F3"], ADA, GRACE, meant=["F1=custom_fields.F1", "F3="]) == []
    assert suggested(["email", "F1", "Name", "Phone"], ADA, GRACE) == []


def test_the_column_of_addresses_is_named_where_no_header_says_which_it_is() -> None:
    header = ["Kontaktweg", "F1", "F2", "F3"]
    found = address_column(header, [Row(2, [*ADA]), Row(3, [*GRACE])])
    assert found is not None
    assert found.sentence == "Kontaktweg holds what looks like addresses: --map Kontaktweg=email"
    assert address_column(header, [Row(2, ["Ada", "", "", ""])]) is None
    with pytest.raises(NoAddressColumn, match="--map COLUMN=email"):
        match_columns(header, "people.csv")
