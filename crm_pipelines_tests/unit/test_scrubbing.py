"""Words of a CRM without anybody's address, phone number or key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.scrubbing import scrub, without_secrets


@pytest.mark.parametrize(
    "personal",
    [
        "ada@example.com",
        "ada.lovelace+crm@mail.example.co.uk",
        "grüße@bücher.example",
        "ada%40example.com",
        "ADA%40EXAMPLE.COM",
        "<ada@example.com>",
        '"ada@example.com"',
        "+49 151 23456789",
        "+4915123456789",
        "(030) 901820-34",
        "+1 (415) 555-2671",
        "555/123-4567",
        "0151 2345 6789",
        "%2B4915123456789",
        "tel:+4915123456789",
        "sms4915123456789x",
    ],
)
@pytest.mark.parametrize("around", ["{}", "Invalid phone or address {}.", "email={}, sms: {}", "[{}]", "x\n{}\ny"])
def test_addresses_and_phone_numbers_go(personal: str, around: str) -> None:
    scrubbed = scrub(around.format(personal, personal))
    assert "@" not in scrubbed
    assert "%40" not in scrubbed
    assert not any(part in scrubbed for part in ("ada", "example", "2345", "4567", "2671", "90182"))


@pytest.mark.parametrize(
    "words",
    [
        "We have detected you are using an unrecognised IP address 203.0.113.77.",
        "attribute FIRSTNAME is not a string",
        "HTTP status 503",
        "The contacts database at 127.0.0.1:5432/contacts does not answer",
        "40 of the last 50 contacts were rejected",
        "https://app.brevo.com/security/authorised_ips",
    ],
)
def test_what_says_why_stays(words: str) -> None:
    assert scrub(words) == words


def test_a_short_word_goes_where_it_stands_by_itself_and_takes_nothing_out_of_another() -> None:
    said = 'not granted all required scopes: "red" is no option, nor is [red], nor red_wine'
    assert without_secrets(said, ("red",)) == (
        'not granted all required scopes: "***" is no option, nor is [***], nor ***_wine'
    )


def test_secrets_go_the_longest_first() -> None:
    assert scrub("key abc-def and abc", ("abc", "abc-def", "")) == "key *** and ***"


@given(st.text(), st.text(alphabet="abc.+", min_size=1), st.sampled_from(["example.com", "b"]))
def test_no_address_survives_whatever_stands_around_it(text: str, local: str, domain: str) -> None:
    assert "@" not in scrub(f"{text}{local}@{domain}{text}")


@given(st.text())
def test_what_is_left_is_one_printable_line(text: str) -> None:
    assert len(scrub(text).splitlines()) <= 1


@given(st.text())
def test_no_key_survives_whatever_stands_around_it(text: str) -> None:
    key = "xkeysib-0123456789abcdef"
    assert "xkeysib-" not in without_secrets(f"{text}{key}", (key,))
    assert "xkeysib-" not in scrub(f"{text}{key}")
    assert "\n" not in without_secrets(text)
