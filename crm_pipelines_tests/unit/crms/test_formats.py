"""Numbers, days, yes and no as Europe writes them: read as they are meant, or left out, never guessed."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.formats import proven_format
from crm_pipelines.crms.values import FORMATS, LEFT_OUT, AttributeType, Way, convert
from crm_pipelines.words import yes_or_no

FLOAT, DATE = AttributeType.FLOAT, AttributeType.DATE
SIGNS = {"1.234,56": (".", ","), "1 234,56": (" ", ","), "1,234.56": (",", ".")}
ORDERS = {"DD.MM.YYYY": "%d.%m.%Y", "DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y"}

values = st.floats(min_value=-1e9, max_value=1e9).map(lambda value: round(value, 2) + 0.0)
dates = st.dates(min_value=date(1000, 1, 1))


def way(kind: AttributeType, name: str) -> Way:
    return Way(kind, **FORMATS[kind][name])


def written(value: float, name: str, digits: int, *, grouped: bool = True) -> str:
    thousands, decimal = SIGNS[name]
    text = f"{value:,.{digits}f}" if grouped else f"{value:.{digits}f}"
    return text.translate({ord(","): thousands, ord("."): decimal})


def test_there_is_a_test_for_every_format() -> None:
    assert {*FORMATS[FLOAT]} == {*SIGNS}
    assert {*FORMATS[DATE]} == {*ORDERS}


@given(value=values, name=st.sampled_from([*SIGNS]), grouped=st.booleans(), digits=st.integers(2, 4))
def test_a_number_in_its_format_is_read_back(value: float, name: str, grouped: bool, digits: int) -> None:
    assert convert(written(value, name, digits, grouped=grouped), way(FLOAT, name)) == (value, None)


@given(value=values, name=st.sampled_from([*SIGNS]), other=st.sampled_from([*SIGNS]), digits=st.integers(0, 4))
def test_what_a_format_reads_is_what_it_would_write(value: float, name: str, other: str, digits: int) -> None:
    text = written(value, other, digits)
    read, remark = convert(text, way(FLOAT, name))
    if read is None:
        assert remark is not None
        assert remark.startswith(f"{LEFT_OUT}: not a number")
    else:
        assert isinstance(read, int | float)
        behind = len(text.partition(SIGNS[name][1])[2])
        # Blanks are nothing but signs of thousands, in any format.
        forms = {written(read, name, behind, grouped=grouped).replace("-0", "0") for grouped in (True, False)}
        assert text.replace("-0", "0") in forms | {written(read, "1 234,56", behind).replace("-0", "0")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1.234,56", "12.5"),
        ("1.234,56", "13,528.18"),
        ("1.234,56", "1.23"),
        ("1 234,56", "13.528,18"),
        ("1 234,56", "1.234"),
        ("1 234,56", "12.5"),
        ("1,234.56", "12,5"),
        ("1,234.56", "13.528,18"),
        ("1,234.56", "1 234,56"),
    ],
)
def test_a_number_that_does_not_fit_its_format_is_left_out_with_a_sentence(name: str, text: str) -> None:
    assert convert(text, way(FLOAT, name)) == (
        None,
        "left out: not a number in the format that the mapping names",
    )


@given(day=dates, name=st.sampled_from([*ORDERS]))
def test_a_day_in_its_format_is_read_back(day: date, name: str) -> None:
    assert convert(day.strftime(ORDERS[name]), way(DATE, name)) == (day.isoformat(), None)


@given(day=dates, name=st.sampled_from([*ORDERS]))
def test_a_day_that_says_its_year_first_or_its_month_in_letters_is_that_day_in_any_format(day: date, name: str) -> None:
    for text in (day.isoformat(), day.strftime("%d %B %Y")):
        assert convert(text, way(DATE, name)) == (day.isoformat(), None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MM/DD/YYYY", "04.05.1984"),
        ("MM/DD/YYYY", "23/10/2026"),
        ("DD/MM/YYYY", "10/23/2026"),
        ("DD.MM.YYYY", "10/23/2026"),
        ("DD.MM.YYYY", "10.23.2026"),
    ],
)
def test_a_day_that_does_not_fit_its_format_is_left_out_with_a_sentence(name: str, text: str) -> None:
    assert convert(text, way(DATE, name)) == (
        None,
        "left out: not a date in the form YYYY-MM-DD, nor in the format that the mapping names",
    )


@pytest.mark.parametrize(
    ("kind", "texts", "proven"),
    [
        (FLOAT, ["13.528,18", "1.234", "n/a"], "1.234,56"),
        (FLOAT, ["13 528,18", "12,345"], "1 234,56"),
        (FLOAT, ["13,528.18", "1.234"], "1,234.56"),
        (FLOAT, ["12,5", "1.234"], "1.234,56"),
        (FLOAT, ["1.234", "2.500"], None),
        (FLOAT, ["13.528,18", "13,528.18"], None),
        (FLOAT, ["13.528,18", "about 5"], None),
        (FLOAT, ["n/a"], None),
        (DATE, ["23.10.2026", "04/05/2026"], "DD.MM.YYYY"),
        (DATE, ["23/10/2026", "04/05/2026"], "DD/MM/YYYY"),
        (DATE, ["10/23/2026", "04/05/2026"], "MM/DD/YYYY"),
        (DATE, ["04/05/2026", "06/07/2026"], None),
        (DATE, ["10/23/2026", "23/10/2026"], None),
        (AttributeType.TEXT, ["1.234,56"], None),
    ],
)
def test_a_value_that_can_only_be_one_thing_proves_the_format_of_the_others(
    kind: AttributeType, texts: list[str], proven: str | None
) -> None:
    assert proven_format(kind, texts) == proven


@given(numbers=st.lists(values, min_size=1), name=st.sampled_from([*SIGNS]))
def test_no_other_format_is_proven_than_the_one_in_which_all_are_written(numbers: list[float], name: str) -> None:
    texts = [written(number, name, 2) for number in numbers]
    proven = proven_format(FLOAT, texts)
    assert proven is not None
    assert [convert(text, way(FLOAT, proven)).value for text in texts] == numbers


@given(days=st.lists(dates, min_size=1), name=st.sampled_from([*ORDERS]))
def test_no_other_order_is_proven_than_the_one_in_which_all_are_written(days: list[date], name: str) -> None:
    texts = [day.strftime(ORDERS[name]) for day in days]
    proven = proven_format(DATE, texts)
    if proven is None:
        assert all(day.day <= 12 for day in days), "each could be two days"
    else:
        assert [convert(text, way(DATE, proven)).value for text in texts] == [day.isoformat() for day in days]


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("yes", "no"),
        ("ja", "nein"),
        ("oui", "non"),
        ("sí", "no"),
        ("sì", "no"),
        ("sim", "não"),
        ("ja", "nee"),
        ("ja", "nej"),
        ("ja", "nei"),
        ("tak", "nie"),
        ("ano", "ne"),
        ("áno", "nie"),
        ("igen", "nem"),
        ("da", "nu"),
        ("da", "ne"),
        ("ναι", "όχι"),
        ("kyllä", "ei"),
        ("jah", "ei"),
        ("jā", "nē"),
        ("taip", "ne"),
        ("evet", "hayır"),
        ("так", "ні"),
        ("да", "не"),
    ],
)
def test_yes_and_no_are_read_in_the_languages_of_europe(yes: str, no: str) -> None:
    for word, meant in ((yes, True), (no, False)):
        for text in (word, word.title(), f" {word} "):
            assert yes_or_no(text) is meant
