"""What Mautic takes, drops and answers, without a Mautic."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.mautic.api import listed, short_enough
from crm_pipelines.crms.mautic.batches import BatchRow, judge
from crm_pipelines.crms.mautic.fields import AccountFields, described
from crm_pipelines.crms.mautic.finding import by_address, by_id, opted_out
from crm_pipelines.crms.mautic.forms import is_dropped, row_of
from crm_pipelines.crms.mautic.identity import identity_of
from crm_pipelines.crms.mautic.limits import rate_headers, wait_of
from crm_pipelines.crms.mautic.mapper import MauticMapper
from crm_pipelines.crms.mautic.mapping import MauticMapping, load_mapping
from crm_pipelines.crms.mautic.outcomes import ADVICE, classify
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Sendable
from crm_pipelines.crms.transport import Answer

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def field(alias: str, kind: str = "text", **more: Any) -> dict[str, Any]:
    return {"alias": alias, "type": kind, "isPublished": True, "isUniqueIdentifier": False, **more}


def account(*rows: dict[str, Any]) -> AccountFields:
    found = described({"fields": {str(number): row for number, row in enumerate(rows, 7)}})
    assert found is not None
    return AccountFields(found, "mautic_eu")


def sendable(number: int = 1, *, custom: dict[str, Any] | None = None, **known: Any) -> Sendable:
    record = {"id": UUID(int=number), "email": f"p{number}@example.com", "custom_fields": custom or {}}
    payload = MauticMapper(mapping=load_mapping(None)).prepare(record, sent_attributes=known.pop("sent", frozenset()))
    assert isinstance(payload, Payload)
    return Sendable(payload=payload, **{"remote_key": None, "remote_id": None, **known})


def shown(number: int, **values: Any) -> dict[str, Any]:
    """A contact as Mautic shows it."""
    core = {name: {"alias": name, "type": "text", "value": value} for name, value in values.items()}
    return {"id": number, "fields": {"core": core, "social": [], "all": {"id": number, **values}}}


@pytest.mark.parametrize("value", [0, 0.0, -0.0, 0.5, -0.9, 1e-3, "0", "00", "0.5", " 0 ", "-0"])
def test_what_php_reads_as_a_number_whose_whole_part_is_zero_is_dropped(value: Any) -> None:
    assert is_dropped(value)


@pytest.mark.parametrize("value", [1, -1.5, 10**12, False, True, "", "x", "0 pts", "1", ["0"], "nan", "inf"])
def test_everything_else_is_taken(value: Any) -> None:
    assert not is_dropped(value)


def test_blank_values_overwrite_only_where_something_is_to_be_cleared() -> None:
    assert row_of(sendable(custom={"note": "x"}).payload) == {"note": "x"}
    cleared = row_of(sendable(sent=frozenset({"note"})).payload)
    assert cleared == {"note": None, "overwriteWithBlank": True}


def test_the_address_is_in_an_edit_by_id_only_where_it_changes() -> None:
    contact = sendable(custom={"note": "x"})
    assert BatchRow(contact=contact).as_json() == {"note": "x", "email": "p1@example.com"}
    assert BatchRow(contact=contact, target="7").as_json() == {"note": "x", "id": 7}
    assert BatchRow(contact=contact, target="7", moves=True).as_json()["email"] == "p1@example.com"


def test_a_php_array_is_read_as_a_list_and_as_an_object_with_gaps() -> None:
    assert listed(["a", "b"]) == {"0": "a", "1": "b"}
    assert listed({"0": "a", "2": "b"}) == {"0": "a", "2": "b"}
    assert listed(None) == {}


def test_a_query_is_no_longer_than_servers_take() -> None:
    contacts = [sendable(number) for number in range(1, 61)]
    [whole] = short_enough(contacts, lambda one: [one.payload.key])
    assert whole == contacts
    groups = short_enough(contacts, lambda one: [f"{'x' * 230}{one.payload.key}"])
    assert [one for group in groups for one in group] == contacts
    assert max(map(len, groups)) <= 24


def judged(*inputs: BatchRow, **body: Any) -> list[Outcome]:
    answer = Outcome(result=Result.SYNCED, http_status=201)
    return [one.outcome for one in judge(inputs, answer, body, secrets=(), advice=ADVICE, account=None)]


def test_each_row_has_its_own_outcome_under_http_201_also_where_all_were_refused() -> None:
    error = {"code": 400, "message": "email: x", "details": {"email": ["x"]}, "type": None}
    inputs = [BatchRow(contact=sendable(number)) for number in (1, 2, 3)]
    outcomes = judged(
        *inputs,
        contacts={"0": shown(7, email="p1@example.com"), "2": shown(8, email="p3@example.com")},
        statusCodes=[201, 400, 200],
        errors={"1": error},
    )
    assert [one.kind for one in outcomes] == [None, "invalid_address", None]
    assert [one.remote_id for one in outcomes] == ["7", None, "8"]
    refused = judged(*inputs, contacts=[], statusCodes=[400] * 3, errors=[error] * 3)
    assert {one.result for one in refused} == {Result.REJECTED}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"statusCodes": [201]},
        {"statusCodes": [201], "contacts": [{}]},
        {"statusCodes": [], "contacts": [shown(7, email="p1@example.com")]},
        {"statusCodes": [500], "contacts": []},
        {"statusCodes": [404], "errors": [{"code": 404, "message": "Item was not found."}]},
    ],
)
def test_whom_the_answer_does_not_confirm_has_not_arrived(body: dict[str, Any]) -> None:
    [outcome] = judged(BatchRow(contact=sendable()), **body)
    assert outcome.result is Result.RETRY


def test_the_words_about_a_value_that_was_refused_do_not_repeat_the_person() -> None:
    contact = sendable(custom={"note": "Zebedee"})
    error = {"code": 400, "message": "x", "details": {"note": ["Zebedee of p1@example.com"]}, "type": None}
    [refused] = judge(
        [BatchRow(contact=contact)],
        Outcome(result=Result.SYNCED, http_status=201),
        {"contacts": [], "statusCodes": [400], "errors": [error]},
        secrets=(),
        advice=ADVICE,
        account=None,
    )
    assert refused.misfits == {"note": "*** of ***"}


def test_a_contact_of_another_address_confirms_nobody() -> None:
    [outcome] = judged(
        BatchRow(contact=sendable()), statusCodes=[200], contacts=[shown(7, email="somebody.else@example.com")]
    )
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "duplicate_address")


def test_a_contact_with_another_id_than_the_one_that_was_changed_confirms_nobody() -> None:
    change = BatchRow(contact=sendable(), target="8")
    [outcome] = judged(change, statusCodes=[200], contacts=[shown(7, email="p1@example.com")])
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "duplicate_address")


def test_a_field_that_mautic_does_not_show_is_told_as_one_that_did_not_arrive() -> None:
    contact = sendable(custom={"note": "x"})
    [outcome] = judged(BatchRow(contact=contact), statusCodes=[201], contacts=[shown(7, email="p1@example.com")])
    assert (outcome.sent_attributes, outcome.left_out) == (frozenset(), frozenset({"note"}))
    assert "note" in outcome.warnings[0]


@pytest.mark.parametrize(
    ("kind", "value", "fitted"),
    [
        ("text", "x" * 200, "x" * 191),
        ("textarea", "x" * 200, "x" * 200),
        ("text", "1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("url", f"https://example.com/{'x' * 200}", None),
        ("number", "12", 12.0),
        ("boolean", "yes", True),
        ("date", "1984-04-05", "1984-04-05"),
        ("datetime", "1984-04-05", "1984-04-05 00:00:00+00:00"),
        ("email", "Ada@Example.com", "ada@example.com"),
        ("email", "nobody", None),
        ("multiselect", "Rot;blue", ["red", "blue"]),
        ("select", "Rot", "red"),
        ("select", ["red", "blue"], None),
    ],
)
def test_values_are_brought_to_the_type_that_the_field_has(kind: str, value: Any, fitted: Any) -> None:
    choices = {"list": [{"label": "Rot", "value": "red"}, {"label": "Blue", "value": "blue"}]}
    found, remark = account(field("one", kind, properties=choices)).fit("one", value)
    assert found == fitted
    assert (remark is None) == (fitted is not None and (kind == "textarea" or len(str(value)) < 191))


def test_what_looks_like_html_is_left_out_before_mautic_does_it() -> None:
    value, remark = account(field("one")).fit("one", "<b>Ada</b> &amp; Co <script>x</script>")
    assert value == "Ada & Co x"
    assert "HTML" in (remark or "")
    assert account(field("one", "html")).as_is["one"] == (str,)


@pytest.mark.parametrize("flaw", [{"isPublished": False}, {"isUniqueIdentifier": True}])
def test_what_is_not_published_or_would_merge_contacts_is_not_written(flaw: dict[str, Any]) -> None:
    known = account(field("one", **flaw))
    value, remark = known.fit("one", "x")
    assert value is None
    assert "one" in (remark or "")
    assert known.writable == frozenset()


@pytest.mark.parametrize(
    ("kind", "ours", "theirs"),
    [
        ("number", 12.5, 12),
        ("boolean", False, 0),
        ("boolean", True, "1"),
        ("multiselect", ["a", "b"], "b|a"),
        ("tel", "+12025550143", "1 (202) 555-0143"),
        ("datetime", "1984-04-05 00:00:00+00:00", "1984-04-05 00:00:00"),
        ("date", "1984-04-05", "1984-04-05 00:00:00"),
    ],
)
def test_two_values_that_mean_the_same_at_mautic_are_the_same(kind: str, ours: Any, theirs: Any) -> None:
    known = account(field("one", kind)).get("one")
    assert known is not None
    assert known.same_form(ours) == known.same_form(theirs)


def test_digits_behind_the_point_count_where_the_field_shows_them() -> None:
    known = account(field("one", "number", properties={"scale": "2"})).get("one")
    assert known is not None
    assert known.same_form(12.5) != known.same_form(12)


def test_no_mapping_may_set_identity_consent_or_what_is_mautics_own() -> None:
    for name in ("email", "doNotContact", "points", "owner", "tags", "overwriteWithBlank", "id", "last_active"):
        assert MauticMapping.reserves(name)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Company size", "company_size"),
        ("Job title", "position"),
        ("A very long name of a field", "a_very_long_name_of_a_fiel"[:25]),
        ("2nd", None),
    ],
)
def test_a_custom_field_goes_to_an_alias_that_mautic_does_not_change(ours: str, theirs: str | None) -> None:
    assert MauticMapping.own_name(ours) == theirs


def error(code: int, message: str, kind: str | None = None) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message, "type": kind}]}).encode()


@pytest.mark.parametrize(
    ("status", "body", "result", "kind"),
    [
        (201, b"{}", Result.SYNCED, None),
        (200, b"<html>", Result.RETRY, "outage"),
        (401, error(401, "The access token provided is invalid.", "invalid_grant"), Result.REFUSED, "credentials"),
        (401, b"<html>", Result.RETRY, "outage"),
        (403, error(403, "API disabled.", "api_disabled"), Result.REFUSED, "account"),
        (403, error(403, "You do not have access."), Result.REFUSED, "permission"),
        (403, b'{"error": "blocked"}', Result.RETRY, "outage"),
        (404, error(404, "Item was not found."), Result.REFUSED, "settings"),
        (429, b"<html>", Result.SNOOZED, "rate_limit"),
        (500, error(500, "A max of 200 entities are supported at a time."), Result.REFUSED, "settings"),
        (500, error(500, "Looks like I encountered an error"), Result.RETRY, "outage"),
        (400, error(400, "Bad"), Result.REJECTED, "rejected"),
        (422, error(422, "Bad"), Result.REJECTED, "rejected"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, result: Result, kind: str | None) -> None:
    outcome = classify(Answer(status=status, body=body), now=NOW)
    assert (outcome.result, outcome.kind) == (result, kind)


def test_a_batch_that_is_too_large_is_about_the_setting_and_no_outage() -> None:
    body = error(500, "A max of 20 entities are supported at a time.")
    assert "MAUTIC_CONTACTS_PER_REQUEST" in (classify(Answer(status=500, body=body)).message or "")


def test_where_a_token_was_asked_for_400_is_about_the_credentials() -> None:
    body = error(400, "The client credentials are invalid", "invalid_client")
    outcome = classify(Answer(status=400, body=body), for_token=True)
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "credentials")
    assert "MAUTIC_CLIENT_SECRET" in (outcome.message or "")


@given(
    st.integers(0, 999), st.binary(max_size=80), st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text())
)
def test_any_answer_has_a_meaning(status: int, body: bytes, headers: dict[str, str]) -> None:
    outcome = classify(Answer(status=status, body=body, headers=headers))
    assert (outcome.result is Result.SYNCED) == (outcome.kind is None)
    assert (outcome.result is Result.SYNCED) == (outcome.message is None)
    assert outcome.result is not Result.SNOOZED or outcome.retry_after


def test_the_limit_is_of_an_hour_and_its_reset_a_moment() -> None:
    reset = str(int(NOW.timestamp()) + 90)
    headers = {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "3", "x-ratelimit-reset": reset}
    found = rate_headers(headers, NOW)
    assert (found.limit, found.window, found.remaining, found.reset_seconds) == (100, timedelta(hours=1), 3, 90)
    assert wait_of(headers, NOW, refused_for_rate=True) == timedelta(seconds=90)
    assert wait_of({}, NOW, refused_for_rate=True) == timedelta(minutes=1)
    assert wait_of({}, NOW, refused_for_rate=False) is None


def test_the_account_is_the_address_of_the_mautic_and_the_sandbox_says_that_it_is_one() -> None:
    real = identity_of("https://Mautic.Example.com/crm/", {"mautic-version": "5.1.0"})
    assert (real.account, real.sandbox, real.named) == ("mautic.example.com/crm", False, True)
    assert identity_of("http://127.0.0.1:8085", {"mautic-version": "5.1.1-sandbox"}).sandbox


def test_an_id_alone_is_a_strangers_and_of_two_with_one_address_the_newest_is_taken() -> None:
    ours = sendable(remote_key="p1@example.com", remote_id="7")
    found = by_id(ours, [shown(7, email="somebody.else@example.com")])
    assert found is not None
    assert not found.ours
    newest = by_address(ours, ["p1@example.com"], [shown(9, email="P1@example.com"), shown(8, email="p1@example.com")])
    assert newest is not None
    assert (newest.remote_id, newest.ours) == ("9", True)


def test_whoever_is_not_to_be_sent_mail_has_opted_out() -> None:
    assert opted_out({"doNotContact": [{"channel": "email", "reason": 1}]})
    assert opted_out({"doNotContact": {"3": {"channel": "email", "reason": 3}}})
    assert not opted_out({"doNotContact": [{"channel": "sms", "reason": 1}]})
    assert not opted_out({})
