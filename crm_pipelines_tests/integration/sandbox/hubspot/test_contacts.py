"""Single contacts, and the values of their properties."""

import pytest

from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, PROPERTIES, Hub


def define(hub: Hub, name: str, kind: str, field_type: str, *options: str) -> None:
    definition = {
        "name": name,
        "label": name,
        "groupName": "contactinformation",
        "type": kind,
        "fieldType": field_type,
        "options": [{"label": option.upper(), "value": option, "hidden": False} for option in options],
    }
    answer = hub.post(PROPERTIES, definition)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("path", [CONTACTS, "/crm/objects/2026-03/contacts", "/crm/objects/2026-09/0-1"])
def test_a_contact_is_created_read_changed_and_archived(hub: Hub, path: str) -> None:
    created = hub.post(path, {"properties": {"email": "Ann@Example.org", "firstname": "Ann"}})
    assert created.status_code == 201
    content = created.json()
    assert content["properties"]["email"] == "ann@example.org"
    assert created.headers["location"].endswith(f"/{content['id']}")
    by_address = hub.get(f"{path}/ANN@example.org", idProperty="email", properties="lastname,firstname")
    assert by_address.json()["properties"].items() >= {"firstname": "Ann", "lastname": None}.items()
    changed = hub.patch(f"{path}/ann@example.org", {"properties": {"email": "new@example.org"}}, idProperty="email")
    assert (changed.status_code, changed.json()["id"]) == (200, content["id"])
    assert hub.delete(f"{path}/{content['id']}").status_code == 204
    assert hub.get(f"{path}/{content['id']}").status_code == 404


def test_a_taken_address_is_a_conflict_that_names_its_contact(hub: Hub) -> None:
    ann, bob = hub.create("ann@example.org"), hub.create("bob@example.org")
    for answer in (
        hub.post(CONTACTS, {"properties": {"email": "ANN@example.org"}}),
        hub.patch(f"{CONTACTS}/{bob}", {"properties": {"email": "ann@example.org"}}),
    ):
        assert (answer.status_code, answer.json()["category"]) == (409, "CONFLICT")
        assert answer.json()["message"] == f"Contact already exists. Existing ID: {ann}"


def test_a_contact_needs_an_address_or_a_name(hub: Hub) -> None:
    assert hub.post(CONTACTS, {"properties": {"phone": "1"}}).status_code == 400
    assert hub.post(CONTACTS, {"properties": {"lastname": "Lee"}}).status_code == 201


@pytest.mark.parametrize(
    ("identifier", "words"),
    [("8", "resource not found"), ("ann@example.org", "Object not found.  objectId are usually numeric.")],
)
def test_who_is_not_there_is_not_found(hub: Hub, identifier: str, words: str) -> None:
    answer = hub.get(f"{CONTACTS}/{identifier}")
    assert (answer.status_code, answer.json()["message"]) == (404, words)
    assert hub.patch(f"{CONTACTS}/{identifier}", {"properties": {}}).status_code == 404


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("nonsense", "1", "PROPERTY_DOESNT_EXIST"),
        ("hs_object_id", "1", "READ_ONLY_VALUE"),
        ("hs_email_optout", "false", "READ_ONLY_VALUE"),
        ("lastmodifieddate", "2026-01-01", "READ_ONLY_VALUE"),
        ("email", "no address", "INVALID_EMAIL"),
        ("email", "a@example.org, b@example.org", "INVALID_EMAIL"),
        ("hs_lead_status", "New", "INVALID_OPTION"),
        ("score", "1,000", "INVALID_NUMBER"),
        ("score", "1.2.3", "INVALID_NUMBER"),
        ("score", "ten", "INVALID_NUMBER"),
        ("born", "04/05/1984", "INVALID_DATE"),
        ("born", "1984-13-01", "INVALID_DATE"),
        ("born", "3600000", "INVALID_DATE"),
        ("seen", "yesterday", "INVALID_DATE"),
        ("vip", "yes", "INVALID_OPTION"),
        ("likes", "tea;beer", "INVALID_OPTION"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_property_and_code(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, name: str, value: str, code: str
) -> None:
    define(hub, "score", "number", "number")
    define(hub, "born", "date", "date")
    define(hub, "seen", "datetime", "date")
    define(hub, "vip", "bool", "booleancheckbox")
    define(hub, "likes", "enumeration", "checkbox", "tea", "coffee")
    answer = hub.post(CONTACTS, {"properties": {"firstname": "Ann", name: value}})
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    (detail,) = answer.json()["errors"]
    assert (detail["code"], detail["context"]) == (code, {"propertyName": [name]})
    assert hubspot_sandbox.contacts() == []


@pytest.mark.parametrize(
    ("kind", "field_type", "value", "stored"),
    [
        ("number", "number", "-12.50", "-12.50"),
        ("number", "number", "0", "0"),
        ("date", "date", "1984-05-04", "1984-05-04"),
        ("date", "date", "452476800000", "1984-05-04"),
        ("datetime", "date", "2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ("datetime", "date", "1767319445000", "2026-01-02T02:04:05Z"),
        ("bool", "booleancheckbox", "false", "false"),
        ("enumeration", "checkbox", "tea;coffee", "tea;coffee"),
        ("string", "textarea", "Zoë 李 🙂\n" + "x" * 5000, "Zoë 李 🙂\n" + "x" * 5000),
    ],
)
def test_a_value_that_fits_is_stored(hub: Hub, kind: str, field_type: str, value: str, stored: str) -> None:
    define(hub, "own", kind, field_type, *(("tea", "coffee") if kind == "enumeration" else ()))
    assert hub.properties(hub.create("a@example.org", own=value), "own") == {"own": stored}


def test_an_empty_text_clears_a_property(hub: Hub) -> None:
    ann = hub.create("ann@example.org", firstname="Ann")
    hub.patch(f"{CONTACTS}/{ann}", {"properties": {"firstname": ""}})
    assert hub.properties(ann, "firstname") == {"firstname": None}


def test_a_lifecycle_stage_goes_forward_only_unless_it_is_cleared(hub: Hub) -> None:
    ann = hub.create("ann@example.org", lifecyclestage="customer")

    def stage(*values: str) -> str | None:
        for value in values:
            assert hub.patch(f"{CONTACTS}/{ann}", {"properties": {"lifecyclestage": value}}).status_code == 200
        return hub.properties(ann, "lifecyclestage")["lifecyclestage"]

    assert stage("lead") == "customer"
    assert stage("evangelist") == "evangelist"
    assert stage("", "lead") == "lead"


def test_a_further_address_becomes_the_primary_one_and_the_other_way_round(
    hub: Hub, hubspot_sandbox: HubSpotSandbox
) -> None:
    (ann,) = hubspot_sandbox.seed({"email": "ann@example.org", "hs_additional_emails": "b@example.org;c@example.org"})
    hub.patch(f"{CONTACTS}/{ann}", {"properties": {"email": "b@example.org"}})
    assert hub.properties(str(ann), "email", "hs_additional_emails") == {
        "email": "b@example.org",
        "hs_additional_emails": "ann@example.org;c@example.org",
    }
    assert hub.get(f"{CONTACTS}/ann@example.org", idProperty="email").json()["id"] == str(ann)


def test_who_is_erased_is_gone_also_from_the_recycle_bin(hub: Hub) -> None:
    for erase in (
        lambda number: {"objectId": number},
        lambda _: {"objectId": "Ann@example.org", "idProperty": "email"},
    ):
        ann = hub.create("ann@example.org")
        assert hub.post(f"{CONTACTS}/gdpr-delete", erase(ann)).status_code == 204
        assert hub.get(f"{CONTACTS}/{ann}").status_code == 404
        assert hub.get(f"{CONTACTS}/{ann}", archived="true").status_code == 404
    bob = hub.create("bob@example.org")
    hub.delete(f"{CONTACTS}/{bob}")
    hub.post(f"{CONTACTS}/gdpr-delete", {"objectId": bob})
    assert hub.get(f"{CONTACTS}/{bob}", archived="true").status_code == 404


def test_an_address_that_was_erased_before_it_was_there_never_comes(hub: Hub) -> None:
    assert hub.post(f"{CONTACTS}/gdpr-delete", {"objectId": "X@example.org", "idProperty": "email"}).status_code == 204
    answer = hub.post(CONTACTS, {"properties": {"email": "x@example.org"}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "INVALID_EMAIL")


def test_contacts_are_listed_in_pages(hub: Hub) -> None:
    ids = [hub.create(f"c{number}@example.org") for number in range(3)]
    first = hub.get(CONTACTS, limit=2).json()
    second = hub.get(CONTACTS, limit=2, after=first["paging"]["next"]["after"]).json()
    assert [one["id"] for one in first["results"] + second["results"]] == ids
    assert "paging" not in second
    assert hub.get(CONTACTS, limit=101).status_code == 400


def test_an_opt_out_is_read_with_its_time_and_belongs_to_the_address(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    ann = hub.create("ann@example.org")
    hubspot_sandbox.opt_out("ann@example.org")
    assert hub.properties(ann, "hs_email_optout") == {"hs_email_optout": "true"}
    path = "/communication-preferences/v4/statuses/batch/unsubscribe-all/read"
    rows = hub.post(path, {"inputs": ["Ann@example.org", "bob@example.org"]}, channel="EMAIL").json()["results"]
    told = {row["subscriberIdString"]: row["wideStatuses"] for row in rows}
    (status,) = told["Ann@example.org"]
    assert (status["status"], status["wideStatusType"], status["channel"]) == ("UNSUBSCRIBED", "PORTAL_WIDE", "EMAIL")
    assert status["timestamp"].endswith("Z")
    assert told["bob@example.org"] == []
    hub.patch(f"{CONTACTS}/{ann}", {"properties": {"email": "new@example.org"}})
    assert hub.properties(ann, "hs_email_optout") == {"hs_email_optout": None}
