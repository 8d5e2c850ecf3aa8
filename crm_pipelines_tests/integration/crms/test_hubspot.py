"""What is peculiar to HubSpot, against its sandbox; what every CRM promises is in `conformance`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

from crm_pipelines.crms.hubspot import Hubspot
from crm_pipelines.crms.hubspot.limits import UNKNOWN_RESET
from crm_pipelines.crms.hubspot.mapping import load_mapping
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Remembered, Sendable
from crm_pipelines.crms.schema import InUse
from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.hubspot_models import complaints_about_request
from crm_pipelines_tests.one_contact import at_once, turn_for_all

KEY = "pat-eu1-of-a-test"
SCOPES = "/oauth/v2/private-apps/get/access-token-info"
CUSTOM = 'custom_fields = "all"\n[attributes]\nfirstname = { from = "first_name", type = "text" }\n'
Open = Callable[..., Hubspot]


@pytest.fixture
def client(hubspot_sandbox: HubSpotSandbox, tmp_path: Path) -> Iterator[Open]:
    opened: list[Hubspot] = []

    def open_client(mapping: str = CUSTOM, **settings: Any) -> Hubspot:
        file = tmp_path / "mapping.toml"
        file.write_text(mapping, encoding="utf-8")
        given = {"api_key": KEY, "base_url": hubspot_sandbox.url, "mapping": load_mapping(file), **settings}
        opened.append(Hubspot(**given))
        return opened[-1]

    yield open_client
    for one in opened:
        one.close()


def contact(crm: Hubspot, number: int, *, custom: dict[str, Any] | None = None, **known: Any) -> Sendable:
    record = {
        "id": UUID(int=number),
        "email": known.pop("email", f"p{number}@example.com"),
        "first_name": known.pop("first_name", f"N{number}"),
        "custom_fields": custom or {},
    }
    payload = crm.prepare(record, sent_attributes=known.pop("sent", frozenset()))
    assert isinstance(payload, Payload)
    return Sendable(payload=payload, **{"remote_key": None, "remote_id": None, **known})


def send(crm: Hubspot, *contacts: Sendable) -> list[Outcome]:
    outcomes = crm.deliver(contacts, turn=turn_for_all(at_once))
    return [one for one in outcomes if one is not None]


def delivered(crm: Hubspot, number: int, outcome: Outcome, **changes: Any) -> Sendable:
    """The same contact, as it is remembered after that outcome."""
    known = {"remote_key": outcome.remote_key, "remote_id": outcome.remote_id, "sent": outcome.sent_attributes}
    return contact(crm, number, remembered=Remembered(lists=outcome.lists), **{**known, **changes})


def bodies(sandbox: HubSpotSandbox, path: str) -> list[dict[str, Any]]:
    return [json.loads(one["body"]) for one in sandbox.requests(path=path)]


def results(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.result.value if outcome.kind is None else outcome.kind for outcome in outcomes]


def test_what_is_sent_is_what_hubspots_own_client_would_send(client: Open, hubspot_sandbox: HubSpotSandbox) -> None:
    made = hubspot_list(hubspot_sandbox)
    crm = client(load_mapping_text(), list_id=made)
    crm.schema.provision(dry_run=False, turn=at_once, custom_fields={"score": 1, "vip": True, "colors": ["red"]})
    crm.know(crm.schema.attributes(turn=at_once)[1])
    custom = {"score": 0.5, "vip": False, "colors": ["red"]}
    [first, _] = send(crm, contact(crm, 1, custom=custom), contact(crm, 2))
    send(crm, delivered(crm, 1, first, custom={"score": 2}))
    crm.reading.look_up([delivered(crm, 1, first)], turn=at_once)
    sent = [one for one in hubspot_sandbox.requests() if one["method"] != "GET" and one["key"] is not None]
    assert {one["path"].rpartition("/")[2] for one in sent} >= {"upsert", "update", "read", "add", "contacts"}
    for one in sent:
        assert complaints_about_request(one["method"], one["path"], json.loads(one["body"])) == [], one["path"]


def load_mapping_text() -> str:
    return (Path(load_mapping.__code__.co_filename).parent / "mapping.toml").read_text(encoding="utf-8")


def hubspot_list(sandbox: HubSpotSandbox, kind: str = "MANUAL") -> int:
    body = {"name": f"Readers {kind}", "objectTypeId": "0-1", "processingType": kind}
    answer = requests.post(
        f"{sandbox.url}/crm/v3/lists", json=body, headers={"authorization": "Bearer of somebody"}, timeout=60
    )
    return int(answer.json()["list"]["listId"])


def with_property(sandbox: HubSpotSandbox, **definition: Any) -> None:
    answer = requests.post(
        f"{sandbox.url}/crm/v3/properties/contacts",
        json={"label": "One of a test", "groupName": "contactinformation", **definition},
        headers={"authorization": "Bearer of somebody"},
        timeout=60,
    )
    assert answer.ok, answer.text


@pytest.mark.parametrize("echo", [True, False], ids=["trace ids are told", "they are not"])
def test_a_hundred_new_contacts_take_one_request_and_each_learns_its_own_id(
    client: Open, hubspot_sandbox: HubSpotSandbox, echo: bool
) -> None:
    hubspot_sandbox.configure(echo_trace_ids=echo)
    crm = client()
    outcomes = send(crm, *(contact(crm, number, email=f"P{number}@Example.com") for number in range(100)))
    assert {one.result for one in outcomes} == {Result.SYNCED}
    held = {one["id"]: one["properties"]["email"] for one in hubspot_sandbox.contacts()}
    assert [held[one.remote_id or ""] for one in outcomes] == [f"p{number}@example.com" for number in range(100)]
    assert [one["path"] for one in hubspot_sandbox.requests()] == ["/crm/v3/objects/contacts/batch/upsert"]
    traces = [one["objectWriteTraceId"] for one in bodies(hubspot_sandbox, "upsert")[0]["inputs"]]
    assert len(set(traces)) == 100
    assert sum(one.requests for one in outcomes) == 1


@pytest.mark.parametrize(
    ("custom", "kind", "words"),
    [
        ({"colors": "purple"}, "invalid_option", "one of the allowed options"),
        ({"createdate": "2024-01-01"}, "read_only", "read only property"),
        ({"shoe_size": "9"}, "unknown_property", "does not exist"),
        ({"score": "many"}, "invalid_value", "valid number"),
    ],
)
def test_of_many_the_one_with_a_value_that_is_refused_is_told_in_hubspots_words_and_the_rest_arrives(
    client: Open, hubspot_sandbox: HubSpotSandbox, custom: dict[str, Any], kind: str, words: str
) -> None:
    crm = client()
    fields = {"colors": ["red"], "score": 1}
    crm.schema.provision(dry_run=False, turn=at_once, custom_fields=fields)
    # Not known what the account has: else the value would be left out before.
    outcomes = send(crm, *(contact(crm, one, custom=custom if one == 7 else None) for one in range(10)))
    assert results(outcomes) == [kind if number == 7 else "synced" for number in range(10)]
    refused = outcomes[7]
    assert refused.result is Result.REJECTED
    assert words in (refused.message or "")
    assert (refused.message or "").endswith(".")
    assert "HUBSPOT_MAPPING_FILE" in (refused.message or "") or "orrect" in (refused.message or "")
    assert len(hubspot_sandbox.contacts()) == 9


def test_the_address_that_belongs_to_another_contact_as_a_further_one_is_refused(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    hubspot_sandbox.seed({"email": "boss@example.com", "hs_additional_emails": "p2@example.com"})
    crm = client()
    outcomes = send(crm, contact(crm, 1), contact(crm, 2), contact(crm, 3))
    assert results(outcomes) == ["synced", "duplicate_address", "synced"]
    assert "Contact already exists" in (outcomes[1].message or "")
    assert (hubspot_sandbox.contact("boss@example.com") or {}).get("firstname") is None


def test_without_trace_ids_in_the_errors_the_one_of_whom_nothing_is_said_is_the_one_that_is_refused(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    ada, bob = contact(crm, 1), contact(crm, 2)
    body = {
        "status": "COMPLETE",
        "results": [{"id": "101", "properties": {"email": "P1@Example.com"}}],
        "numErrors": 1,
        "errors": [{"status": "error", "category": "VALIDATION_ERROR", "message": "Not this one", "context": {}}],
    }
    for status in (207, 200):
        hubspot_sandbox.fault("status", status=status, body=body, times=1)
        outcomes = send(crm, ada, bob)
        assert results(outcomes) == ["synced", "rejected"]
        assert "Not this one" in (outcomes[1].message or "")
        assert not outcomes[1].whole


@pytest.mark.parametrize("more", [{}, {"numErrors": 2}], ids=["not a word", "only their number"])
def test_nobody_is_complete_of_whom_the_answer_says_nothing(
    client: Open, hubspot_sandbox: HubSpotSandbox, more: dict[str, Any]
) -> None:
    crm = client()
    body = {"status": "COMPLETE", "results": [{"id": "101", "properties": {"email": "p1@example.com"}}], **more}
    hubspot_sandbox.fault("status", status=200, body=body, times=1)
    outcomes = send(crm, *(contact(crm, number) for number in (1, 2, 3)))
    assert [one.result is Result.SYNCED for one in outcomes] == [True, False, False]
    assert [one.whole for one in outcomes] == [False, bool(more), bool(more)]
    assert [one.requests for one in outcomes] == [1, 0, 0]


def test_a_batch_that_is_refused_whole_is_told_so_and_of_one_contact_it_is_that_one(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    body = {"status": "error", "category": "VALIDATION_ERROR", "message": "Something is wrong"}
    hubspot_sandbox.fault("status", status=400, body=body)
    assert [(one.result, one.whole) for one in send(crm, contact(crm, 1), contact(crm, 2))] == [
        (Result.REJECTED, True),
        (Result.REJECTED, True),
    ]
    [alone] = send(crm, contact(crm, 1))
    assert (alone.result, alone.whole) == (Result.REJECTED, False)


def merge(sandbox: HubSpotSandbox, winner: Outcome, loser: Outcome) -> None:
    answer = requests.post(
        f"{sandbox.url}/crm/v3/objects/contacts/merge",
        json={"primaryObjectId": winner.remote_id, "objectIdToMerge": loser.remote_id},
        headers={"authorization": "Bearer of somebody"},
        timeout=60,
    )
    assert answer.ok, answer.text


@pytest.mark.parametrize("together", [True, False])
def test_two_contacts_that_hubspot_has_merged_are_told_and_the_one_that_stayed_is_not_overwritten(
    client: Open, hubspot_sandbox: HubSpotSandbox, together: bool
) -> None:
    crm = client()
    first, second = send(crm, contact(crm, 1), contact(crm, 2))
    merge(hubspot_sandbox, first, second)
    loser = delivered(crm, 2, second, first_name="Of the second")
    both = [delivered(crm, 1, first, first_name="Of the first"), loser] if together else [loser]
    outcome = send(crm, *both)[-1]
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "merged")
    assert first.remote_id is not None
    assert first.remote_id in (outcome.message or "")
    [held] = hubspot_sandbox.contacts()
    assert held["properties"]["email"] == "p1@example.com"
    assert held["properties"]["firstname"] == ("Of the first" if together else "N1")


def test_a_merged_contact_is_delivered_again_once_it_has_the_address_of_the_one_that_stayed(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    first, second = send(crm, contact(crm, 1), contact(crm, 2))
    merge(hubspot_sandbox, first, second)
    [outcome] = send(crm, delivered(crm, 2, second, email="p1@example.com", first_name="Of both"))
    assert (outcome.result, outcome.remote_id, outcome.remote_key) == (Result.SYNCED, first.remote_id, "p1@example.com")
    assert [one["properties"]["firstname"] for one in hubspot_sandbox.contacts()] == ["Of both"]


def test_a_contact_that_somebody_gave_another_address_at_hubspot_is_told_and_left_alone(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1))
    before = delivered(crm, 1, first, remote_key="another@example.com", email="third@example.com")
    [outcome] = send(crm, before)
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "other_address")
    assert [one["properties"]["email"] for one in hubspot_sandbox.contacts()] == ["p1@example.com"]


def test_whoever_has_unsubscribed_is_given_no_address_of_which_hubspot_does_not_know_that(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1))
    hubspot_sandbox.opt_out("p1@example.com")
    [outcome] = send(crm, delivered(crm, 1, first, email="new@example.com"))
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "consent")
    assert (hubspot_sandbox.contact("p1@example.com") or {})["hs_email_optout"] == "true"
    assert hubspot_sandbox.requests(path="update") == []


@pytest.mark.parametrize("name", ["hs_email_optout", "hs_email_optout_12345", "hs_object_id", "email"])
def test_no_field_of_a_contact_reaches_what_people_have_decided(
    client: Open, hubspot_sandbox: HubSpotSandbox, name: str
) -> None:
    crm = client()
    send(crm, contact(crm, 1, custom={name: "false"}))
    [sent] = bodies(hubspot_sandbox, "upsert")
    assert sent["inputs"][0]["properties"] == {"firstname": "N1", "email": "p1@example.com"}


def test_the_lifecycle_stage_is_set_with_the_creation_and_never_again(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    hubspot_sandbox.seed({"email": "p2@example.com", "lifecyclestage": "lead"})
    stage = {"lifecyclestage": "customer"}
    [first, second] = send(crm, contact(crm, 1, custom=stage), contact(crm, 2, custom=stage))
    assert (first.result, second.result) == (Result.SYNCED, Result.SYNCED)
    assert "lifecyclestage" not in first.sent_attributes
    assert (hubspot_sandbox.contact("p1@example.com") or {})["lifecyclestage"] == "customer"
    assert (hubspot_sandbox.contact("p2@example.com") or {})["lifecyclestage"] == "lead"
    sent = frozenset({"lifecyclestage"})
    send(crm, delivered(crm, 1, first, custom={"lifecyclestage": "evangelist"}), delivered(crm, 2, second, sent=sent))
    assert (hubspot_sandbox.contact("p1@example.com") or {})["lifecyclestage"] == "customer"
    assert (hubspot_sandbox.contact("p2@example.com") or {})["lifecyclestage"] == "lead"


@pytest.mark.parametrize("on_list", [False, True])
def test_the_check_names_the_scope_to_write_that_the_key_lacks_and_writes_nothing(
    client: Open, hubspot_sandbox: HubSpotSandbox, on_list: bool
) -> None:
    crm = client(list_id=hubspot_list(hubspot_sandbox) if on_list else None)
    hubspot_sandbox.configure(scopes=["crm.objects.contacts.read", "crm.lists.read"])
    [found] = [one for one in crm.check(turn=at_once) if not one.ok]
    assert (found.subject, found.blocking) == ("Scopes", True)
    lacking = "crm.objects.contacts.write" + (" and crm.lists.write" if on_list else "")
    assert found.detail.startswith(f"the key lacks {lacking}:")
    assert hubspot_sandbox.contacts() == []
    assert KEY not in str(hubspot_sandbox.requests())


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "status", "status": 404},
        {"action": "status", "status": 403},
        {"action": "garbage_json"},
        {"action": "reset_before"},
        {"action": "redirect"},
        {"action": "status", "status": 400, "body": {"category": "VALIDATION_ERROR", "message": f"Not found: {KEY}"}},
        {"action": "html", "status": 502, "body": f"<html>{KEY}</html>"},
    ],
    ids=lambda one: str(one.get("status", one["action"])),
)
def test_a_key_of_which_hubspot_tells_no_scopes_passes_the_check_and_stands_nowhere(
    client: Open, hubspot_sandbox: HubSpotSandbox, answer: dict[str, Any]
) -> None:
    hubspot_sandbox.fault(**answer, path="access-token-info$")
    findings = client().check(turn=at_once)
    assert all(one.ok for one in findings)
    [found] = [one for one in findings if one.subject == "Scopes"]
    assert "does not tell" in found.detail
    assert KEY not in str(findings)
    [asked] = hubspot_sandbox.requests(path="access-token-info$")
    assert asked["fault"] == answer["action"]
    assert KEY not in str(asked)


def test_a_list_that_is_not_there_is_about_the_setting_and_named_by_its_variable(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    for list_id in (99, hubspot_list(hubspot_sandbox, "DYNAMIC")):
        crm = client(list_id=list_id, name="hubspot_eu")
        [outcome] = send(crm, contact(crm, 1))
        assert (outcome.result, outcome.kind) == (Result.REFUSED, "settings")
        assert "HUBSPOT_EU_LIST_ID" in (outcome.message or "")
        problems = [one for one in crm.check(turn=at_once) if not one.ok and one.subject.startswith("List")]
        assert [one.blocking for one in problems] == [True]
        assert "HUBSPOT_EU_LIST_ID" in problems[0].detail


def test_whoever_was_not_put_on_the_list_before_the_run_ended_is_tried_again(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client(list_id=hubspot_list(hubspot_sandbox))
    turns = iter([True, False])
    ada = contact(crm, 1)
    [outcome] = crm.deliver([ada], turn=lambda contacts: contacts if next(turns) else [])
    assert outcome is not None
    assert outcome.result is Result.RETRY
    [again] = send(crm, ada)
    assert again.result is Result.SYNCED
    assert hubspot_sandbox.state()["lists"][0]["contacts"] == [again.remote_id]


def test_who_is_left_out_after_the_look_is_not_written_and_has_no_outcome(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    first, second = send(crm, contact(crm, 1), contact(crm, 2))
    known = [delivered(crm, 1, first, first_name="Eve"), delivered(crm, 2, second, first_name="Eve")]
    turns = iter([2, 1])
    outcomes = crm.deliver(known, turn=lambda contacts: contacts[: next(turns)])
    assert [one and one.result for one in outcomes] == [Result.SYNCED, None]
    assert [one["properties"]["firstname"] for one in hubspot_sandbox.contacts()] == ["Eve", "N2"]


def test_the_daily_limit_is_waited_for_until_midnight_of_the_account(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    hubspot_sandbox.configure(per_day=1)
    assert send(crm, contact(crm, 1))[0].result is Result.SYNCED
    outcomes = send(crm, contact(crm, 2), contact(crm, 3))
    assert results(outcomes) == ["daily_limit", "daily_limit"]
    assert {one.result for one in outcomes} == {Result.SNOOZED}
    assert outcomes[0].retry_after == UNKNOWN_RESET
    assert "daily limit" in (outcomes[0].message or "")
    hubspot_sandbox.configure(per_day=2)
    crm.identify(turn=at_once)
    hubspot_sandbox.configure(per_day=1)
    send(crm, contact(crm, 1))
    [waits] = send(crm, contact(crm, 2))
    assert waits.retry_after is not None
    assert timedelta() < waits.retry_after <= timedelta(days=1, minutes=1)
    assert waits.retry_after != UNKNOWN_RESET


def test_of_a_day_that_is_nearly_used_up_the_answers_tell_before_it_is(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    hubspot_sandbox.configure(per_ten_seconds=100, per_day=50)
    crm = client()
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.rate.limit, outcome.rate.remaining) == (None, 49)
    assert outcome.rate.window == timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (423, {}, "locked", timedelta(seconds=2)),
        (477, {"retry-after": "7200"}, "migrating", timedelta(hours=2)),
        (429, {}, "rate_limit", timedelta(seconds=10)),
    ],
)
def test_where_hubspot_asks_to_wait_nobody_is_charged(
    client: Open, hubspot_sandbox: HubSpotSandbox, status: int, headers: dict[str, str], kind: str, wait: timedelta
) -> None:
    hubspot_sandbox.fault("status", status=status, headers=headers)
    crm = client()
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.kind, outcome.retry_after) == (Result.SNOOZED, kind, wait)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 521, 523, 524])
def test_an_outage_is_tried_again(client: Open, hubspot_sandbox: HubSpotSandbox, status: int) -> None:
    hubspot_sandbox.fault("status", status=status)
    crm = client()
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")


def test_a_dated_version_of_the_api_is_one_setting(client: Open, hubspot_sandbox: HubSpotSandbox) -> None:
    crm = client(api_version="2026-03", list_id=hubspot_list(hubspot_sandbox))
    [first] = send(crm, contact(crm, 1))
    [second] = send(crm, delivered(crm, 1, first, first_name="Ada"))
    assert second.remote_id == first.remote_id
    assert all(one.ok for one in crm.check(turn=at_once))
    ours = {one["path"] for one in hubspot_sandbox.requests()} - {"/crm/v3/lists", SCOPES}
    assert all("/2026-03" in path for path in ours)


def test_a_property_that_somebody_else_has_made_meanwhile_is_there(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    crm = client()
    body = {
        "status": "error",
        "category": "OBJECT_ALREADY_EXISTS",
        "subCategory": "Properties.PROPERTY_WITH_NAME_EXISTS",
        "message": "A property named 'score' already exists.",
    }
    hubspot_sandbox.fault("status", method="POST", path="/properties/", status=409, body=body)
    assert crm.schema.provision(dry_run=False, turn=at_once, custom_fields={"score": 1}) == []


def _given(found: Mapping[str, InUse], _fields: Sequence[str]) -> Mapping[str, InUse]:
    return found


def test_options_that_are_missing_join_those_that_are_there(client: Open, hubspot_sandbox: HubSpotSandbox) -> None:
    crm = client()
    fields = {"colors": ["red"]}
    for values in (("red",), ("red", "blue")):
        in_use = {"colors": InUse(values=values)}
        crm.schema.provision(dry_run=False, turn=at_once, custom_fields=fields, values_in_use=partial(_given, in_use))
    [made] = [one for one in hubspot_sandbox.state()["properties"] if one["name"] == "colors"]
    assert [one["value"] for one in made["options"]] == ["red", "blue"]
    crm.know(crm.schema.attributes(turn=at_once)[1])
    send(crm, contact(crm, 1, custom={"colors": ["blue", "red"]}))
    assert (hubspot_sandbox.contact("p1@example.com") or {})["colors"] == "blue;red"


def test_options_that_are_there_stay_as_they_are_when_others_join_them(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    red = {"label": "Red", "value": "r", "description": "as blood", "displayOrder": 7, "hidden": True}
    with_property(hubspot_sandbox, name="colors", type="enumeration", fieldType="checkbox", options=[red])
    in_use = {"colors": InUse(values=("red", "blue"))}
    client().schema.provision(
        dry_run=False, turn=at_once, custom_fields={"colors": ["red"]}, values_in_use=partial(_given, in_use)
    )
    [made] = [one for one in hubspot_sandbox.state()["properties"] if one["name"] == "colors"]
    assert made["options"][0] == red
    assert [one["value"] for one in made["options"]] == ["r", "blue"]


def test_no_value_of_a_contact_becomes_a_lifecycle_stage(client: Open, hubspot_sandbox: HubSpotSandbox) -> None:
    crm = client()
    fields, in_use = {"Lifecycle stage": "Kunde"}, {"Lifecycle stage": InUse(values=("Kunde",))}
    given: dict[str, Any] = {"custom_fields": fields, "values_in_use": partial(_given, in_use)}
    assert crm.schema.provision(dry_run=False, turn=at_once, **given) == []
    [finding] = [one for one in crm.check(turn=at_once, **given) if one.subject == "Property lifecyclestage"]
    assert not finding.ok
    assert finding.detail.endswith("1 values in use are none of its options and are left out. Correct the values.")
    crm.know(crm.schema.attributes(turn=at_once)[1])
    assert any("correct the value" in one for one in contact(crm, 1, custom=fields).payload.warnings)


@pytest.mark.parametrize("field", ["email_opt_out", "hs_mail_optout", "create_date"])
def test_no_property_is_proposed_that_no_mapping_may_name(
    client: Open, hubspot_sandbox: HubSpotSandbox, field: str
) -> None:
    crm = client(f'[attributes]\n{field} = {{ from = "custom_fields.X", type = "text" }}\n')
    [finding] = [one for one in crm.check(turn=at_once) if one.subject == f"Property {field}"]
    assert finding.detail == "does not exist, so its values are left out. Run crm-pipelines provision hubspot."


def test_an_account_that_shows_no_property_at_all_is_an_answer_of_somebody_else(
    client: Open, hubspot_sandbox: HubSpotSandbox
) -> None:
    hubspot_sandbox.fault("status", path="/properties/", status=200, body={"results": []})
    outcome, rows = client().schema.attributes(turn=at_once)
    assert (outcome.result, rows) == (Result.RETRY, None)
