"""A phone number is the very number that was written, or none: never another one."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from crm_pipelines.crms import normalize, phones

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
HERE = ["DE", "FR", "GB", "US", "IT", "ES", "AT", "CH", "PL", "IN", "BR", "JP", "RU", "HU", "FI", "CI", None]
KINDS = [PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE]
EXAMPLES = [
    (region, one)
    for region in REGIONS
    for kind in KINDS
    if (one := phonenumbers.example_number_for_type(region, kind)) is not None
]


def e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def outcome(written: object, region: str | None) -> str | None:
    try:
        return normalize.phone(written, region)
    except ValueError:
        return None


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, PhoneNumber]:
    """Valid numbers: the example of a region, with other last digits."""
    region, example = draw(st.sampled_from(EXAMPLES))
    digits = phonenumbers.national_significant_number(example)
    changed = draw(st.integers(min_value=0, max_value=min(4, len(digits) - 2)))
    tail = draw(st.text("0123456789", min_size=changed, max_size=changed))
    try:
        number = phonenumbers.parse(f"+{example.country_code}{digits[: len(digits) - changed]}{tail}")
    except phonenumbers.NumberParseException:
        return region, example
    same_length = len(phonenumbers.national_significant_number(number)) == len(digits)
    return (
        (region, number)
        if same_length and phonenumbers.is_valid_number_for_region(number, region)
        else (region, example)
    )


def spellings(number: PhoneNumber) -> list[str]:
    """With the country code."""
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    link = phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
    short = e164(number)
    code, rest = f"+{number.country_code}", international.partition(" ")[2]
    return [
        short,
        f"00{short[1:]}",
        f"00 {international[1:]}",
        international,
        international.replace(" ", "\u00a0"),
        international.replace(" ", "."),
        f"\u202a{international}\u202c",
        f"{code} (0) {rest}",
        f"({code}) {rest}",
        f"00{code[1:]}(0){rest}",
        link,
        f"'{short}",
        f'="{short}"',
        f"Tel.: {international}",
    ]


def national(number: PhoneNumber) -> list[str]:
    written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    significant = phonenumbers.national_significant_number(number)
    return [written, written.replace(" ", ""), written.replace(" ", "-"), written.replace("-", "/"), significant]


def mangled(number: PhoneNumber, written: str) -> list[str]:
    """What programs make of a number that they take for a number."""
    digits = "".join(one for one in written if one.isdecimal())
    n = int(digits)
    return [
        *(f"{n}.0", f"+{n}.0", f"{n}.00", f"{digits}.0", f"{n}.5", f"{n}.25", f"-{n}"),
        *(f"{n:.6e}", f"{n:.5E}", f"{n:g}", str(float(n)), str(n)),
        *(f"{n:,}", f"{n:,}.00", f"{n:,}".replace(",", ".")),
    ]


@given(numbers(), st.sampled_from(HERE))
def test_a_number_with_its_country_code_is_that_number_or_none_in_every_spelling(
    which: tuple[str, PhoneNumber], here: str | None
) -> None:
    _, number = which
    for written in spellings(number):
        assert outcome(written, here) in {e164(number), None}, written
    assert outcome(e164(number), here) == e164(number)
    assert outcome(f"+{e164(number)[1:]}.0", here) in {e164(number), None}


@given(numbers())
def test_a_number_as_its_own_country_writes_it_is_that_number_or_none(which: tuple[str, PhoneNumber]) -> None:
    region, number = which
    for written in national(number):
        assert outcome(written, region) in {e164(number), None}, written
        assert outcome(written, None) is None or written.startswith("00")


@given(numbers(), st.sampled_from(HERE))
def test_a_number_that_a_program_has_mangled_is_never_another_number(
    which: tuple[str, PhoneNumber], here: str | None
) -> None:
    region, number = which
    digits = e164(number)[1:]
    for written in mangled(number, digits):
        # Bare digits are what people of some countries write: there they are a number of the region.
        for there in (region, None) if written == digits else (here, region, None):
            assert outcome(written, there) in {e164(number), None}, (written, there)
    for written in mangled(number, phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)):
        if not written.startswith("+"):
            assert outcome(written, region) in {e164(number), None}, (written, region)


@given(numbers(), numbers(), st.sampled_from([" / ", ", ", "; ", " or ", "\n", " & ", " | ", "/"]))
def test_two_numbers_in_one_cell_are_none(
    one: tuple[str, PhoneNumber], other: tuple[str, PhoneNumber], between: str
) -> None:
    first, second = (phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL) for _, number in (one, other))
    assert outcome(f"{first}{between}{second}", one[0]) is None


@given(st.text(), st.sampled_from(HERE))
def test_any_text_is_a_number_that_exists_or_refused(written: str, here: str | None) -> None:
    found = outcome(written, here)
    assert found is None or phonenumbers.is_valid_number(phonenumbers.parse(found))


@pytest.mark.parametrize(
    ("written", "region", "sent"),
    [
        ("+4930123456.0", None, "+4930123456"),
        ("493012345678.0", "DE", "+493012345678"),
        ("+390612345678.0", "DE", "+390612345678"),
        ("0171 1234567", "DE", "+491711234567"),
        ("1711234567", "DE", "+491711234567"),
        ("30123456", "DE", "+4930123456"),
        ("491711234567", "DE", "+491711234567"),
        (491711234567.0, "DE", "+491711234567"),
        ("491.711.234.567", "DE", "+491711234567"),
        ("0049(0)171 1234567", "US", "+491711234567"),
        ("+39 (0)6 12345678", "DE", "+390612345678"),
        ("0171/1234567", "DE", "+491711234567"),
        ("01.42.68.53.00", "FR", "+33142685300"),
        ("323 555 0143", "US", "+13235550143"),
        ("331 1234567", "IT", "+393311234567"),
        ("٠١٧١١٢٣٤٥٦٧", "DE", "+491711234567"),
        ("\uff0b49 171 1234567", None, "+491711234567"),
        ("+49\u2011171\u20111234567", None, "+491711234567"),
        ("'=+491711234567", None, "+491711234567"),
    ],
)
def test_what_is_certain_is_sent(written: object, region: str | None, sent: str) -> None:
    assert normalize.phone(written, region) == sent


@pytest.mark.parametrize(
    ("written", "region", "says"),
    [
        ("4.930123456E+10", "DE", "exponent"),
        ("4,93E+10", "DE", "exponent"),
        ("4.93012e10", "DE", "exponent"),
        ("+4930123456.5", "DE", "fraction"),
        ("+49 30 123456.0", None, "fraction"),
        (4930123456.5, "DE", "fraction"),
        (1e16, "DE", "too many digits"),
        ("-491711234567", "DE", "negative"),
        ("\u2212491711234567", "DE", "negative"),
        ("+1 202 555 0143 ext. 12", None, "extension"),
        ("030 1234 x12", "DE", "extension"),
        ("+49 30 1234 DW 12", "DE", "extension"),
        ("tel:+1-202-555-0143;ext=12", None, "extension"),
        ("0171 1234567 / 030 123456", "DE", "more than one"),
        ("0171 1234567/68", "DE", "more than one"),
        ("0171 1234567; 030 123456", "DE", "more than one"),
        ("0171 1234567\n030 123456", "DE", "more than one"),
        ("0171 1234567 oder 030 123456", "DE", "more than one"),
        ("+491711234567 +4930123456", "DE", "more than one"),
        ("1-800-FLOWERS", "US", "letters"),
        ("0171 1234567 (Handy)", "DE", "letters"),
        ("33612345678", "DE", "with a plus before it, and another one without"),
        ("4722123456.0", "US", "with a plus before it, and another one without"),
        ("332123456", "IT", "with a zero before it, and another one without"),
        ("0171 1234567", None, "set CRM_PHONE_REGION"),
        ("491711234567", None, "set CRM_PHONE_REGION"),
        ("+49 123", None, "exists in its country"),
        ("N/A", "DE", "^not a phone number$"),
        ("-", "DE", "^not a phone number$"),
        ("0", "DE", "^not a phone number$"),
        ("unknown", None, "^not a phone number$"),
        (True, "DE", "^not a phone number$"),
    ],
)
def test_what_is_not_certain_is_refused_with_the_kind_of_doubt(written: object, region: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        normalize.phone(written, region)


@st.composite
def near_numbers(draw: st.DrawFn) -> str:
    """Digits behind a plus: the example of any kind of number of any region or code, of other length or digits."""
    regions = [*REGIONS, *(str(code) for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)]
    region, kind = draw(st.sampled_from(regions)), draw(st.sampled_from(PhoneNumberType.values()))
    if region.isdecimal():
        example = phonenumbers.example_number_for_non_geo_entity(int(region))
    else:
        example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    digits = e164(example)[1:] if example else draw(st.text("0123456789", min_size=7, max_size=15))
    at = draw(st.integers(min_value=0, max_value=len(digits)))
    other = draw(st.text("0123456789", max_size=3))
    cut = draw(st.integers(min_value=0, max_value=3))
    return f"+{digits[:at]}{other}{digits[at + cut :]}"


@given(near_numbers())
@settings(max_examples=1000)
def test_digits_behind_a_plus_are_the_number_that_libphonenumber_finds_in_them(written: str) -> None:
    """Also where it is not asked, since that takes most of the time of a contact."""
    try:
        number = phonenumbers.parse(written)
    except phonenumbers.NumberParseException:
        expected = None
    else:
        expected = e164(number) if phonenumbers.is_valid_number(number) else None
    assert phones._existing(written, None) == expected


@given(near_numbers(), st.sampled_from([*REGIONS, "DE", "FR", "GB", "NL", "AT", "JP", "AU"]))
@settings(max_examples=1000)
def test_digits_behind_a_zero_are_the_number_that_libphonenumber_finds_in_them(near: str, region: str) -> None:
    """Also where it is not asked."""
    code = phonenumbers.country_code_for_region(region)
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    own = phonenumbers.national_significant_number(example) if example else ""
    for written in (f"0{near.removeprefix(f'+{code}')}", f"0{own[:-3]}{near[-3:]}", f"0{near[1:]}"):
        digits = written.replace("+", "")
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            number = None
        expected = e164(number) if number and phonenumbers.is_valid_number(number) else None
        assert phones._behind_the_zero(digits, region) in {None, expected}


def test_a_number_with_a_zero_is_found_in_many_regions_without_libphonenumber() -> None:
    known = {
        region
        for region, example in EXAMPLES
        if phones._behind_the_zero(f"0{phonenumbers.national_significant_number(example)}", region) == e164(example)
    }
    assert {"DE", "FR", "GB", "AT", "CH", "NL", "SE", "IN"} <= known
    assert len(known) > 60


def test_most_regions_have_numbers_of_which_libphonenumber_is_not_asked() -> None:
    known = {region for region, example in EXAMPLES if phones._certainly_exists(e164(example))}
    assert {"US", "DE", "FR", "GB", "IN", "BR", "JP", "PL"} <= known
    assert len(known) > 150
