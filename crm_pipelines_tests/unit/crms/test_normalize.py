import math
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms import normalize, numerals

BLANKS = ["", " ", "\t\n", "\u00a0", "\u3000", "\u200b", "\ufeff \u2060", "\x00", "\x01\x1f", "\x85"]
ALL: list[Callable[[object], object]] = [
    normalize.text,
    normalize.address,
    lambda value: normalize.phone(value, None),
    normalize.number,
    normalize.boolean,
    normalize.iso_date,
    normalize.choices,
]


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("blank", [None, *BLANKS])
def test_blank_is_nothing(function: Callable[[object], object], blank: str | None) -> None:
    assert function(blank) is None


@pytest.mark.parametrize("blank", [None, *BLANKS])
def test_a_name_of_blanks_is_no_name(blank: str | None) -> None:
    assert normalize.name_parts(blank) == (None, None)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ada", ("Ada", None)),
        ("Ada King Lovelace", ("Ada", "King Lovelace")),
        ("  Ada\u00a0King\u3000\u2009Lovelace\t", ("Ada", "King Lovelace")),
        ("Ada \u200b Lovelace", ("Ada", "Lovelace")),
        ("山田 太郎", ("山田", "太郎")),
    ],
)
def test_a_name_is_split_at_its_first_blank(name: str, parts: tuple[str | None, str | None]) -> None:
    assert normalize.name_parts(name) == parts


@given(st.text())
def test_any_text_has_name_parts_that_are_not_blank(name: str) -> None:
    for part in normalize.name_parts(name):
        assert part is None or (part == part.strip() and part)


@given(st.text())
def test_clean_text_stays_as_it_is(value: str) -> None:
    cleaned = normalize.text(value)
    assert normalize.text(cleaned) == cleaned
    assert not [c for c in cleaned or "" if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r"]


def test_text_keeps_line_ends_and_joined_emoji() -> None:
    assert normalize.text(" a\r\nb\t👩\u200d💻 ") == "a\r\nb\t👩\u200d💻"


def test_long_runs_of_blanks_cost_linear_time() -> None:
    assert normalize.text("a" + " " * 500_000 + "b") == "a" + " " * 500_000 + "b"


@pytest.mark.parametrize(
    ("given_address", "sent"),
    [
        (" Ada@Example.COM\u00a0", "ada@example.com"),
        ("ada@mail.test", "ada@mail.test"),
        ("ada@shop.example", "ada@shop.example"),
        ("ada+news@example.org", "ada+news@example.org"),
        ("ada@Müller.example", "ada@xn--mller-kva.example"),
        ("ad\x00a@example.com", "ada@example.com"),
        ("Zoë@example.com", "zoë@example.com"),
    ],
)
def test_an_address_is_brought_to_one_form(given_address: str, sent: str) -> None:
    assert normalize.address(given_address) == sent


@pytest.mark.parametrize(
    "bad",
    [
        "ada", "ada@", "@example.com", "a b@example.com", "ada@example", "ada@localhost", "ada@@example.com",
        "Ada <ada@example.com>", "ada@example..com", "a@example.com, b@example.com", f"{'a' * 65}@example.com",
        f"a@{'b.' * 130}com", "a" * 100_000,
    ],
)  # fmt: skip
def test_a_bad_address_is_refused_without_being_quoted(bad: str) -> None:
    with pytest.raises(ValueError, match=r"^not a valid e-mail address$"):
        normalize.address(bad)


@given(st.one_of(st.text(), st.emails()))
def test_any_text_is_an_address_in_its_final_form_or_refused(value: str) -> None:
    try:
        found = normalize.address(value)
    except ValueError:
        return
    assert found is None or (normalize.address(found) == found == found.lower() and len(found) <= 254)


@pytest.mark.parametrize(
    ("raw", "region", "sent"),
    [
        ("+1 (202) 555-0143", None, "+12025550143"),
        ("0033 1 42 68 53 00", None, "+33142685300"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("01 42 68 53 00", "FR", "+33142685300"),
        (12025550143, "US", "+12025550143"),
    ],
)
def test_a_phone_number_is_sent_in_e164(raw: object, region: str | None, sent: str) -> None:
    assert normalize.phone(raw, region) == sent


@pytest.mark.parametrize(
    ("raw", "region"),
    [("Phone not found", "US"), ("Phone not found", None), ("(202) 555-0143", None), ("123", "US"), ("9" * 400, "US")],
)
def test_what_is_no_phone_number_is_refused(raw: str, region: str | None) -> None:
    with pytest.raises(ValueError, match="not a phone number"):
        normalize.phone(raw, region)


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (0, 0),
        ("0", 0.0),
        ("-1.5e3", -1500.0),
        (Decimal("1.25"), 1.25),
        (" 7 ", 7.0),
        (2**70, 2**70),
        ("13.528,18", 13528.18),
        ("13,528.18", 13528.18),
        ("13'528.18", 13528.18),
        ("1\u202f234,56", 1234.56),
        ("1\u00a0234", 1234.0),
        ("1,5", 1.5),
        ("0,125", 0.125),
        ("1234,567", 1234.567),
        ("1.234.567", 1234567.0),
        ("12,34,567.89", 1234567.89),
        ("\u20ac 12,50", 12.5),
        ("12.50 EUR", 12.5),
        ("$1,200.00", 1200.0),
        ("-\u20ac12,50", -12.5),
        ("(12.50)", -12.5),
        ("12.50-", -12.5),
        ("CHF 12.\u2013", 12.0),
        ("+5", 5.0),
        ("\u22125", -5.0),
    ],
)
def test_numbers_keep_their_value(raw: object, sent: float | None) -> None:
    assert normalize.number(raw) == sent


@pytest.mark.parametrize(
    "bad",
    [
        "1.234",
        "1,234",
        "15 %",
        "1_000",
        "--5",
        "5-6",
        "1.2.3",
        "nan",
        "inf",
        math.nan,
        math.inf,
        "1e999",
        10**400,
        -(10**400),
        "٣",
        "x",
        [1],
        {},
        False,
    ],
)
def test_what_is_no_finite_number_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"^not "):
        normalize.number(bad)


@pytest.mark.parametrize(
    "raw", ["9007199254740993", "-12345678901234567891", "9.007.199.254.740.993", "17841400008460057 "]
)
def test_a_number_of_more_digits_than_a_float_keeps_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"^not a number for certain: it has more digits"):
        normalize.number(raw)


def test_a_long_number_that_a_float_keeps_is_sent() -> None:
    assert normalize.number("9007199254740992") == 9007199254740992
    assert normalize.number("1" + "0" * 20) == 10**20
    assert normalize.number("5.0000000000000000") == 5
    assert normalize.number("0.12345678901234567891") == 0.12345678901234567891


@pytest.mark.parametrize(("raw", "decimal"), [("0.123", ","), ("-0,125", "."), ("00.123.456", ",")])
def test_no_sign_of_thousands_stands_behind_a_zero(raw: str, decimal: numerals.DecimalSign) -> None:
    with pytest.raises(ValueError, match=r"^not a number"):
        normalize.number(raw, decimal)


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        *[(True, True), (False, False), (0, False), (1, True), (1.0, True), ("Yes", True), ("FALSE", False)],
        *[
            (yes, True)
            for yes in (
                "ja",
                "J",
                "oui",
                "si",
                "s\u00ec",
                "SI\u0301",
                "sim",
                "tak",
                "wahr",
                "vrai",
                "x",
                "\u2714\ufe0f",
            )
        ],
        *[(no, False) for no in ("nein", "Non", "n\u00e3o", "nie", "falsch", "faux", "off", "0.0")],
    ],
)
def test_booleans_are_read_from_words(raw: object, sent: bool) -> None:
    assert normalize.boolean(raw) is sent


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 23, 59, tzinfo=UTC), "2024-02-29"),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T23:59:00+02:00", "2024-02-29"),
        ("29.02.2024", "2024-02-29"),
        ("05.04.1984", "1984-04-05"),
        ("5.4.1984 10:30", "1984-04-05"),
        ("29/02/2024", "2024-02-29"),
        ("6/23/1912", "1912-06-23"),
        ("23-6-1912", "1912-06-23"),
        ("4/4/1984", "1984-04-04"),
        ("5.4.84", "1984-04-05"),
        ("5.4.12", "2012-04-05"),
        ("05. 04. 1984", "1984-04-05"),
        ("1984/4/5", "1984-04-05"),
        ("19840405", "1984-04-05"),
        ("5. April 1984", "1984-04-05"),
        ("Apr 5, 1984", "1984-04-05"),
        ("April 5th, 1984", "1984-04-05"),
        ("5 avril 1984", "1984-04-05"),
        ("1er mai 1984", "1984-05-01"),
        ("5 de abril de 1984", "1984-04-05"),
        ("gioved\u00ec 5 aprile 1984", "1984-04-05"),
        ("5. M\u00e4rz 1984", "1984-03-05"),
        ("5-Apr-84", "1984-04-05"),
        ("Thu Apr 05 1984 23:30:00 GMT-0500 (Central Standard Time)", "1984-04-05"),
        ("1984-04-05 23:30:00.000 UTC", "1984-04-05"),
        ("1984-04-05T00:30:00+14:00", "1984-04-05"),
    ],
)
def test_dates_are_sent_as_iso_days(raw: object, sent: str) -> None:
    assert normalize.iso_date(raw) == sent


@pytest.mark.parametrize(
    "bad",
    [
        "29.02.2023",
        "13/13/2024",
        "1/2-2024",
        "0.1.2024",
        "04/05/1984",
        "1-2-1984",
        "2023-02-29",
        20240229,
        True,
        "soon",
        "30777",
        "449971200",
        "5.4.30",
        "1984-04",
        "31. Februar 1984",
        "5 Apr 84 extra",
        "x" * 100_000,
    ],
)
def test_what_is_no_iso_date_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"YYYY-MM-DD|calendar"):
        normalize.iso_date(bad)


@pytest.mark.parametrize(
    ("raw", "day_first", "sent"),
    [("04/05/1984", True, "1984-05-04"), ("04/05/1984", False, "1984-04-05"), ("4-5-84", False, "1984-04-05")],
)
def test_a_known_order_of_day_and_month_decides(raw: str, day_first: bool, sent: str) -> None:
    assert normalize.iso_date(raw, day_first=day_first) == sent


def test_a_day_that_contradicts_the_known_order_is_refused() -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        normalize.iso_date("23/6/1912", day_first=False)


@pytest.mark.parametrize(
    ("raw", "decimal", "sent"),
    [("1.234", ".", 1.234), ("1.234", ",", 1234.0), ("1,234", ",", 1.234), ("1,234", ".", 1234.0), ("5", ",", 5.0)],
)
def test_a_known_decimal_sign_decides(raw: str, decimal: Literal[",", "."], sent: float) -> None:
    assert normalize.number(raw, decimal) == sent


@given(
    st.dates(min_value=date(1000, 1, 1)),  # of earlier years, strftime writes fewer digits
    st.sampled_from(["%d.%m.%Y", "%Y/%m/%d", "%d %B %Y", "%b %d, %Y", "%d-%b-%Y", "%Y-%m-%dT23:59:59-11:00"]),
)
def test_a_day_is_never_another_day(day: date, form: str) -> None:
    assert normalize.iso_date(day.strftime(form)) == day.isoformat()


@given(
    st.floats(min_value=-1e9, max_value=1e9).map(lambda value: round(value, 2)),
    st.sampled_from([" ", "\u202f", "'", ".", ","]),
)
def test_a_number_is_never_another_number(value: float, thousands: str) -> None:
    decimal = "." if thousands in {"'", ","} else ","
    signs: dict[str, int | str | None] = {",": thousands, ".": decimal}
    written = f"{value:,.2f}".translate(str.maketrans(signs))
    assert normalize.number(written) == value


def test_choices_are_distinct_texts_in_their_order() -> None:
    assert normalize.choices(["b", " a ", "b", "", None, 0, False]) == ["b", "a", "0", "false"]
    assert normalize.choices("a") == ["a"]
    assert normalize.choices([" ", None]) is None


@given(
    local=st.text("abcxyz09._+-'\"A ", min_size=1, max_size=66),
    domain=st.sampled_from(
        ["example.com", "EXAMPLE.com", "a.test", "localhost", "x.local", "-a.com", "a..com", "ex_a.com"]
    ),
)
def test_a_plain_address_comes_to_what_the_whole_check_says(local: str, domain: str) -> None:
    def result(check: Callable[[str], str | None]) -> str | None:
        try:
            return check(f"{local}@{domain}".strip())
        except ValueError:
            return None

    assert result(normalize.address) == result(normalize._checked)
