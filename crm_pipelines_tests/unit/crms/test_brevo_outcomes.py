import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ReadTimeoutError

from crm_pipelines.crms.answers import LONGEST_MESSAGE, classify_exception
from crm_pipelines.crms.brevo.outcomes import ADVICE, classify, duplicate_identifiers
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.delivery.pace.rates import RateLimit

KEY = "xkeysib-0123456789abcdef-XYZ"
IP_REFUSED = (
    "We have detected you are using an unrecognised IP address 203.0.113.9. If you performed this action make sure to "
    "add the new IP address in this link: https://app.brevo.com/security/authorised_ips"
)
TAKEN = "Unable to update contact, {} already associated with another Contact"


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status=status, body=raw, headers={name.replace("_", "-"): value for name, value in headers.items()})


def said(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "message": message, **more}


def conflict(*identifiers: str, message: str = "No", code: str = "invalid_parameter") -> dict[str, Any]:
    return said(code, message, metadata={"duplicate_identifiers": list(identifiers)})


TABLE: list[tuple[int, Any, Result, str | None]] = [
    (200, {"contacts": []}, Result.SYNCED, None),
    (201, {"id": 7}, Result.SYNCED, None),
    (201, None, Result.SYNCED, None),
    (204, None, Result.SYNCED, None),
    (200, None, Result.RETRY, "outage"),
    (200, b"<html>Sign in to this network</html>", Result.RETRY, "outage"),
    (201, b"<html>", Result.RETRY, "outage"),
    (201, b'{"id": ', Result.RETRY, "outage"),
    (200, [], Result.RETRY, "outage"),
    (101, None, Result.RETRY, "outage"),
    (302, None, Result.RETRY, "outage"),
    (304, None, Result.RETRY, "outage"),
    (400, said("invalid_parameter", "attributes should be type object"), Result.REJECTED, "rejected"),
    (400, None, Result.REJECTED, "rejected"),
    (400, said("invalid_parameter", "Invalid phone number"), Result.REJECTED, "invalid_phone"),
    (400, said("invalid_parameter", "Invalid email address"), Result.REJECTED, "invalid_address"),
    (400, conflict("SMS"), Result.REJECTED, "duplicate_phone"),
    (400, conflict("SMS", code="duplicate_parameter"), Result.REJECTED, "duplicate_phone"),
    (400, conflict("WHATSAPP"), Result.REJECTED, "duplicate_phone"),
    (400, conflict("email", "SMS"), Result.REJECTED, "duplicate_address"),
    (400, conflict("SMS", "EXT_ID"), Result.REJECTED, "duplicate_external_id"),
    (400, said("x", TAKEN.format("SMS is")), Result.REJECTED, "duplicate_phone"),
    (400, said("x", TAKEN.format("SMS or WHATSAPP are")), Result.REJECTED, "duplicate_phone"),
    (400, said("x", TAKEN.format("SMS or EXT_ID are")), Result.REJECTED, "duplicate_external_id"),
    (400, said("duplicate_parameter", TAKEN.format("email is")), Result.REJECTED, "duplicate_address"),
    (400, said("duplicate_parameter", "Contact already exist"), Result.REJECTED, "duplicate_address"),
    (400, said("duplicate_parameter", "Something is double"), Result.REJECTED, "rejected"),
    (400, said("not_enough_credits", "No credits"), Result.REFUSED, "credits"),
    (400, said("account_in_process", "Wait"), Result.RETRY, "outage"),
    (401, said("unauthorized", "Key not found"), Result.REFUSED, "credentials"),
    (401, said("unauthorized", IP_REFUSED), Result.REFUSED, "ip_not_authorised"),
    (401, None, Result.REFUSED, "credentials"),
    (402, said("not_enough_credits", "No credits"), Result.REFUSED, "credits"),
    (403, said("permission_denied", "No"), Result.REFUSED, "permission"),
    (403, said("account_under_validation", "Your account is under validation"), Result.REFUSED, "account"),
    (403, b"error code: 1020", Result.RETRY, "outage"),
    (403, b"<html>Access denied</html>", Result.RETRY, "outage"),
    (401, b"<html>Sign in to the proxy</html>", Result.RETRY, "outage"),
    (402, b"<html>Payment required</html>", Result.RETRY, "outage"),
    (403, None, Result.RETRY, "outage"),
    (403, {"message": "Forbidden"}, Result.RETRY, "outage"),
    (403, {"error": {"code": 403}}, Result.RETRY, "outage"),
    (403, b"[]", Result.RETRY, "outage"),
    (402, {"message": "Payment required"}, Result.RETRY, "outage"),
    (406, None, Result.RETRY, "outage"),
    (406, {"error": "Not Acceptable"}, Result.RETRY, "outage"),
    (404, said("document_not_found", "Contact does not exist"), Result.REJECTED, "rejected"),
    (404, b"<html>nginx</html>", Result.RETRY, "outage"),
    (405, said("method_not_allowed", "No"), Result.REFUSED, "settings"),
    (405, None, Result.REFUSED, "settings"),
    (405, b"<html>", Result.RETRY, "outage"),
    (406, said("not_acceptable", "No"), Result.REFUSED, "settings"),
    (413, b"<html>Request Entity Too Large</html>", Result.REFUSED, "settings"),
    (415, None, Result.REFUSED, "settings"),
    (400, said("not_acceptable", "No"), Result.REFUSED, "settings"),
    (400, said("invalid_parameter", "List ID does not exist"), Result.REFUSED, "settings"),
    (404, said("document_not_found", "List ID does not exist"), Result.REFUSED, "settings"),
    (400, said("invalid_parameter", "Invalid list id passed"), Result.REFUSED, "settings"),
    (400, said("invalid_parameter", "listIds/0 should be type number"), Result.REFUSED, "settings"),
    (400, said("invalid_parameter", "updateEnabled should be type boolean"), Result.REFUSED, "settings"),
    (400, said("invalid_parameter", "PRICE_LIST is not valid"), Result.REJECTED, "rejected"),
    (400, said("invalid_parameter", "Contact already in list and/or does not exist"), Result.REJECTED, "rejected"),
    (400, b"<html>Bad Request</html>", Result.RETRY, "outage"),
    (422, b"<html>", Result.RETRY, "outage"),
    (407, b"<html>", Result.RETRY, "outage"),
    (408, None, Result.RETRY, "outage"),
    (409, said("conflict", "No"), Result.REJECTED, "rejected"),
    (422, said("unprocessable_entity", "No"), Result.REJECTED, "rejected"),
    (425, said("account_in_process", "Wait"), Result.RETRY, "outage"),
    (429, said("too_many_requests", "Slow down"), Result.SNOOZED, "rate_limit"),
    (500, None, Result.RETRY, "outage"),
    (502, b"<html>Bad Gateway</html>", Result.RETRY, "outage"),
    (503, None, Result.RETRY, "outage"),
    (599, None, Result.RETRY, "outage"),
    (700, None, Result.RETRY, "outage"),
]


@pytest.mark.parametrize(("status", "body", "result", "kind"), TABLE)
def test_each_answer_of_the_table_has_its_result_and_kind(
    status: int, body: Any, result: Result, kind: str | None
) -> None:
    outcome = classify(answer(status, body))
    assert (outcome.result, outcome.kind, outcome.http_status) == (result, kind, status)
    assert (outcome.message is None) == (result is Result.SYNCED)


@pytest.mark.parametrize("kind", ["credentials", "ip_not_authorised", "credits", "permission", "account"])
def test_a_refusal_says_brevos_words_and_what_to_do(kind: str) -> None:
    status, body = next((status, body) for status, body, _, found in TABLE if found == kind and isinstance(body, dict))
    outcome = classify(answer(status, body))
    assert outcome.message is not None
    assert outcome.message.startswith(body["message"])
    assert outcome.message.endswith(ADVICE[kind])
    assert outcome.code == body["code"]


def test_a_redirect_names_the_setting() -> None:
    assert "BREVO_API_BASE_URL" in (classify(answer(301)).message or "")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1),
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0"}, 1),
        ({"retry_after": "86400"}, 3600),
        ({"retry_after": "Mon, 02 Nov 2026 10:00:30 GMT", "date": "Mon, 02 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry_after": "Mon, 02 Nov 2026 10:00:30 GMT"}, 20),
        ({"retry_after": "Mon, 02 Nov 2020 10:00:30 GMT"}, 1),
        ({"x_sib_ratelimit_reset": "12"}, 12),
        ({"x_sib_ratelimit_reset": "59000"}, 3600),
        ({"retry_after": "3", "x_sib_ratelimit_reset": "12"}, 3),
        ({"retry_after": "soon", "x_sib_ratelimit_reset": "12"}, 12),
        ({"retry_after": "-5"}, 1),
        ({"retry_after": "1e400"}, 1),
    ],
)
def test_a_429_waits_as_long_as_it_says_between_a_second_and_an_hour(headers: dict[str, str], seconds: int) -> None:
    now = datetime(2026, 11, 2, 10, 0, 10, tzinfo=UTC)
    assert classify(answer(429, None, **headers), now=now).retry_after == timedelta(seconds=seconds)


def test_rate_headers_and_request_id_are_kept() -> None:
    headers = {"x_sib_ratelimit_limit": "10", "x_sib_ratelimit_remaining": "3", "x_sib_ratelimit_reset": "1"}
    outcome = classify(answer(204, None, sib_request_id="r-1", **headers))
    assert outcome.request_id == "r-1"
    assert (outcome.rate.limit, outcome.rate.remaining, outcome.rate.reset_seconds) == (10, 3, 1)


@pytest.mark.parametrize("limit", [None, "10", "36000"])
@pytest.mark.parametrize("reset", ["864000", "1764430000", "3600000"])
def test_no_reset_is_later_than_brevos_longest_window(limit: str | None, reset: str) -> None:
    """A moment, or milliseconds, would stop the account for a day."""
    headers = {"x_sib_ratelimit_remaining": "0", "x_sib_ratelimit_reset": reset}
    outcome = classify(answer(204, **headers, **({"x_sib_ratelimit_limit": limit} if limit else {})))
    assert RateLimit(10, is_ceiling=False).used_up_for(outcome.rate) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("limit", "reset", "seconds"),
    [
        (10, "1", 1),
        (20, None, 1),
        (999, "2", 1),
        (1000, "1", 3600),
        (36_000, "1200", 3600),
        (100, "1200", None),
    ],
)
def test_a_limit_is_of_a_second_below_a_thousand_and_else_of_an_hour_unless_its_reset_says_otherwise(
    limit: int, reset: str | None, seconds: int | None
) -> None:
    headers = {"x_sib_ratelimit_limit": str(limit)} | ({"x_sib_ratelimit_reset": reset} if reset else {})
    told = classify(answer(204, None, **headers)).rate
    assert (told.limit, told.window) == (limit, None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("body", "remote_id"), [({"id": 7}, "7"), ({"id": "7"}, None), ({"id": True}, None), ({}, None)]
)
def test_the_id_is_kept_as_text_if_it_is_one(body: dict[str, Any], remote_id: str | None) -> None:
    assert classify(answer(201, body)).remote_id == remote_id


def test_metadata_goes_before_the_message_and_the_code_is_never_asked() -> None:
    body = conflict("SMS", message=TAKEN.format("email is"), code="duplicate_parameter")
    assert duplicate_identifiers(answer(400, body)) == {"SMS"}
    assert duplicate_identifiers(answer(400, said("duplicate_parameter", "Invalid SMS"))) == frozenset()


def test_keys_and_own_values_are_cut_out_of_a_message() -> None:
    body = said("x", f"Key {KEY} and xkeysib-other and ada@example.com\r\n\x1b[31mof me")
    message = classify(answer(400, body), hide=(KEY, "ada@example.com", "")).message or ""
    assert message == "Key *** and *** and ***  [31mof me".replace("  ", " ")


def test_a_long_message_leaves_room_for_the_advice() -> None:
    message = classify(answer(401, said("unauthorized", "x" * 9000))).message or ""
    assert len(message) <= LONGEST_MESSAGE
    assert message.endswith(ADVICE["credentials"])


any_header = st.dictionaries(
    st.sampled_from(
        ["retry-after", "date", "sib-request-id", "x-sib-ratelimit-limit", "x-sib-ratelimit-reset", "content-type"]
    ),
    st.one_of(st.text(), st.integers().map(str), st.floats().map(str), st.just("Fri, 31 Dec 9999 23:59:59 -2359")),
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "message", "metadata", "duplicate_identifiers", "id"]) | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    status=st.integers(100, 999),
    headers=any_header,
    body=st.one_of(st.binary(), any_json.map(lambda value: json.dumps(value).encode()), st.just(b"[" * 100_000)),
)
def test_any_answer_has_an_outcome(status: int, headers: dict[str, str], body: bytes) -> None:
    outcome = classify(
        Answer(status=status, headers=headers, body=body), hide=(KEY,), now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    check_form(outcome)
    if outcome.result is Result.SYNCED:
        assert 200 <= status < 300
    if outcome.result is Result.SNOOZED:
        assert outcome.retry_after is not None


def check_form(outcome: Outcome) -> None:
    assert len(outcome.message or "") <= LONGEST_MESSAGE
    assert len(outcome.code or "") <= 100
    assert len(outcome.request_id or "") <= 100
    for text in (outcome.message or "", outcome.code or "", outcome.request_id or ""):
        text.encode()
        assert text.isprintable() or not [c for c in text if ord(c) < 32]
    if outcome.retry_after is not None:
        assert timedelta(seconds=1) <= outcome.retry_after <= timedelta(hours=1)
    assert (outcome.kind is None) == (outcome.result is Result.SYNCED)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout("u"), "timeout"),
        (requests.ReadTimeout("u"), "timeout"),
        (requests.ConnectionError(ReadTimeoutError(None, "u", "Read timed out")), "timeout"),  # type: ignore[arg-type]
        (requests.ConnectionError("u"), "outage"),
        (requests.exceptions.ChunkedEncodingError("u"), "outage"),
        (requests.exceptions.SSLError("u"), "outage"),
        (requests.exceptions.ProxyError("u"), "outage"),
        (requests.exceptions.InvalidURL("u"), "outage"),
        (requests.RequestException("u"), "outage"),
    ],
)
def test_each_exception_of_requests_is_tried_again_without_its_text(
    error: requests.RequestException, kind: str
) -> None:
    error.args = (*error.args, "https://api.brevo.com/v3/contacts/ada%40example.com")
    outcome = classify_exception(error, ADVICE, "Brevo")
    assert (outcome.result, outcome.kind) == (Result.RETRY, kind)
    assert "ada%40" not in (outcome.message or "")
    check_form(outcome)
