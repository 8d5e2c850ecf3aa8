"""Columns are found by their titles, and a row is a contact or has a reason why not."""

import sys
from pathlib import Path

import pytest

from crm_pipelines.files import ImportRefused
from crm_pipelines.files.cleaning import Unusable, to_record
from crm_pipelines.files.columns import match_columns
from crm_pipelines.files.sources import opened
from crm_pipelines.files.tables import NoValue, Row


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


def test_a_row_that_ends_before_the_column_of_the_address_has_a_blank_address() -> None:
    with pytest.raises(Unusable, match=r"^email: it is blank$"):
        to_record(Row(2, ["Total"]), match_columns(["name", "email"], "x.csv"))


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


@pytest.mark.parametrize("text", ['="00123"', '="""00123"""', "'+49 30 1", "='x'", '="', '=""'])
def test_the_text_within_a_formula_that_keeps_it_text_is_taken(text: str) -> None:
    taken = {'="00123"': "00123", '="""00123"""': '"00123"', "'+49 30 1": "+49 30 1"}.get(text, text)
    record = to_record(Row(2, ["a@example.com", text]), match_columns(["email", "Code"], "x.csv"))
    assert record.custom_fields == ({"Code": taken} if text != '=""' else {}), "an empty text is blank"


def test_a_cell_without_a_value_is_blank_and_told_and_costs_the_row_only_where_the_address_should_be() -> None:
    columns = match_columns(HEADER, "x.csv")
    nothing = NoValue("#N/A", "#N/A is no value")
    record = to_record(Row(2, ["a@example.com", nothing, nothing, nothing, nothing, nothing, nothing]), columns)
    assert (record.values, record.custom_fields) == ({"email": "a@example.com"}, {})
    assert record.remarks[0] == "name: #N/A is no value"
    assert len(record.remarks) == 6
    with pytest.raises(Unusable, match=r"^email: #N/A is no value$"):
        to_record(Row(2, [nothing, "A"]), columns)


def test_a_standard_input_that_is_closed_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it then
    with pytest.raises(ImportRefused, match=r"^There is no standard input"):
        opened(Path("-"))
