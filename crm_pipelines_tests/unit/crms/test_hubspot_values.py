"""Values, names, paths and waits of HubSpot's module, without a server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.hubspot.forms import wire
from crm_pipelines.crms.hubspot.identity import identity_of, offset_of
from crm_pipelines.crms.hubspot.limits import UNKNOWN_RESET, rate_headers, until_midnight
from crm_pipelines.crms.hubspot.mapper import HubspotMapper
from crm_pipelines.crms.hubspot.mapping import HubspotMapping, load_mapping
from crm_pipelines.crms.hubspot.outcomes import classify
from crm_pipelines.crms.hubspot.paths import Paths
from crm_pipelines.crms.hubspot.properties import AccountProperties, Property
from crm_pipelines.crms.mapping import MappingError
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Payload
from crm_pipelines.crms.transport import Answer

COLORS = Property("colors", "enumeration", "checkbox", read_only=False, options=(("r", "Red"), ("b", "Blue")))
TIER = Property("tier", "enumeration", "select", read_only=False, options=(("gold", "Gold"), ("silver", "Silver")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1e-07, "0.0000001"),
        (1e22, "10000000000000000000000"),
        (12.5, "12.5"),
        (["Red", "Blue"], "Red;Blue"),
        ("  a text", "  a text"),
    ],
)
def test_every_value_is_sent_as_a_text_in_hubspots_form(value: Any, text: str) -> None:
    assert wire(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_sent_with_every_digit_and_without_an_exponent(number: float) -> None:
    assert float(wire(number)) == number
    assert "e" not in wire(number).lower()


@pytest.mark.parametrize(
    ("known", "value", "fitted"),
    [
        (COLORS, "blue; Red", ["b", "r"]),
        (COLORS, ["r"], ["r"]),
        (COLORS, "Green", None),
        (TIER, "GOLD", "gold"),
        (TIER, "Gold;Silver", None),
        (Property("n", "number", "number", read_only=False), "1,5", 1.5),
        (Property("n", "number", "number", read_only=False), "many", None),
        (Property("b", "bool", "booleancheckbox", read_only=False), "yes", True),
        (Property("d", "date", "date", read_only=False), "5.4.1984", "1984-04-05"),
        (Property("d", "datetime", "date", read_only=False), "1984-04-05", "1984-04-05T00:00:00Z"),
        (Property("t", "string", "text", read_only=False), 1042.0, "1042"),
        (Property("x", "string", "text", read_only=True), "x", None),
        (Property("owner", "enumeration", "select", read_only=False, open=True), "77", "77"),
    ],
)
def test_a_value_is_brought_to_the_type_of_the_account_or_left_out_with_a_remark(
    known: Property, value: Any, fitted: Any
) -> None:
    found, remark = known.fit(value)
    assert found == fitted
    assert (remark is None) == (fitted is not None)


@pytest.mark.parametrize(
    ("known", "ours", "theirs", "same"),
    [
        (COLORS, ["b", "r"], "r;b", True),
        (COLORS, ["b"], "r;b", False),
        (Property("n", "number", "number", read_only=False), 5, "5.0", True),
        (Property("d", "date", "date", read_only=False), "1984-04-05", "449971200000", True),
        (Property("d", "date", "date", read_only=False), "1984-04-05", "1984-05-04", False),
        (Property("d", "datetime", "date", read_only=False), "1984-04-05T00:00:00Z", "1984-04-05T02:00:00+02:00", True),
        (Property("p", "string", "phonenumber", read_only=False), "+12025550143", "+1 202-555-0143", True),
        (Property("b", "bool", "booleancheckbox", read_only=False), False, "false", True),
        (Property("t", "string", "text", read_only=False), "x", "X", False),
    ],
)
def test_what_means_the_same_at_hubspot_is_the_same(known: Property, ours: Any, theirs: str, same: bool) -> None:
    assert (known.same_form(ours) == known.same_form(theirs)) is same


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("Company size", "company_size"),
        ("Job title", "jobtitle"),
        ("Company", "company"),
        ("größe", "grosse"),
        ("2nd name", None),
        ("hs_lead_status", None),
        ("компания", None),
    ],
)
def test_a_custom_field_goes_to_the_property_of_its_own_name(field: str, name: str | None) -> None:
    assert HubspotMapping.own_name(field) == name


@pytest.mark.parametrize("name", ["email", "hs_email_optout", "hs_email_optout_7", "hs_object_id", "FirstName"])
def test_no_mapping_may_set_identity_or_consent(tmp_path: Path, name: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(f'[attributes]\n{name} = {{ from = "name", type = "text" }}\n', encoding="utf-8")
    with pytest.raises(MappingError, match=r"HUBSPOT_MAPPING_FILE\) cannot be used"):
        load_mapping(file)


def test_the_shipped_mapping_sends_names_phone_and_origin() -> None:
    mapper = HubspotMapper(mapping=load_mapping(None))
    record = {"id": UUID(int=7), "email": "Ada@Example.com", "name": "Ada King", "phone_number": "+1 202 555 0143"}
    payload = mapper.prepare({**record, "has_gmail": False, "custom_fields": {}}, sent_attributes=frozenset({"city"}))
    assert isinstance(payload, Payload)
    assert payload.attributes == {
        "firstname": "Ada", "lastname": "King", "phone": "+12025550143", "has_gmail": False,
    }  # fmt: skip
    assert (payload.key, payload.clear) == ("ada@example.com", frozenset({"city"}))


def test_a_property_that_the_account_lacks_is_left_out_with_the_command_that_creates_it() -> None:
    account = AccountProperties([], "hubspot_eu")
    value, remark = account.fit("score", 1)
    assert value is None
    assert "crm-pipelines provision hubspot_eu" in (remark or "")


def test_the_version_stands_in_front_or_behind() -> None:
    assert Paths("v3").contacts("batch/upsert") == "/crm/v3/objects/contacts/batch/upsert"
    assert Paths("2026-03").contacts("batch/upsert") == "/crm/objects/2026-03/contacts/batch/upsert"
    assert Paths("2026-03").members(7) == "/crm/lists/2026-03/7/memberships/add"


def test_the_limit_is_of_ten_seconds_and_that_of_the_day_is_told_once_it_is_nearer() -> None:
    headers = {
        "x-hubspot-ratelimit-max": "190",
        "x-hubspot-ratelimit-remaining": "180",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-daily-remaining": "200000",
    }
    found = rate_headers(headers, UNKNOWN_RESET)
    assert (found.limit, found.window, found.remaining) == (190, timedelta(seconds=10), 180)
    near = rate_headers({**headers, "x-hubspot-ratelimit-daily-remaining": "12"}, timedelta(hours=3))
    assert (near.limit, near.window, near.remaining, near.reset_seconds) == (None, timedelta(days=1), 12, 10_800)


def test_the_day_ends_at_midnight_of_the_account() -> None:
    now = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)
    assert until_midnight(now, timedelta(hours=-5)) == timedelta(hours=6, minutes=31)
    assert until_midnight(now, timedelta(hours=1)) == timedelta(minutes=31)
    assert until_midnight(now, None) == UNKNOWN_RESET
    assert offset_of({"utcOffset": "-05:00"}) == timedelta(hours=-5)
    assert offset_of({"utcOffset": "soon"}) is None


@pytest.mark.parametrize("told", [{}, {"portalId": True}, {"portalId": "x"}, {"portalId": None}, {"portalId": -1}])
def test_what_is_no_portal_names_no_account(told: dict[str, Any]) -> None:
    assert identity_of(told) is None


@given(
    st.integers(0, 999), st.binary(max_size=80), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text())
)
def test_any_answer_has_a_meaning(status: int, body: bytes, headers: dict[str, str]) -> None:
    outcome = classify(Answer(status=status, body=body, headers=headers))
    assert (outcome.result is Result.SYNCED) == (outcome.kind is None)
    assert (outcome.result is Result.SYNCED) == (outcome.message is None)
    assert outcome.result is not Result.SNOOZED or outcome.retry_after
