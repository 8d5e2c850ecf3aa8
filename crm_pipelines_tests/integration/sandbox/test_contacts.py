"""Contacts behave as Brevo's documentation and reports say."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api

ANN = {"email": "ann@example.org", "ext_id": "a-1", "attributes": {"FIRSTNAME": "Ann", "SMS": "+14196056306"}}


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["code"], answer.json()["message"]


def test_create_answers_201_with_an_id_and_stores_normal_forms(api: Api) -> None:
    answer = api.post("/contacts", {**ANN, "email": "Ann@Example.ORG", "listIds": [2]})
    assert (answer.status_code, answer.json()) == (201, {"id": 1})
    contact = api.get("/contacts/1").json()
    assert contact["email"] == "ann@example.org"
    assert contact["attributes"] == {"FIRSTNAME": "Ann", "SMS": "14196056306", "EXT_ID": "a-1"}
    assert contact["listIds"] == [2]
    assert contact["createdAt"].endswith("+02:00")


def test_update_enabled_updates_and_answers_204_without_an_id(api: Api) -> None:
    api.post("/contacts", ANN)
    answer = api.post(
        "/contacts", {"email": "ANN@example.org", "attributes": {"LASTNAME": "Lee"}, "updateEnabled": True}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get("/contacts/ann@example.org").json()["attributes"]["LASTNAME"] == "Lee"
    assert api.get("/contacts/ann@example.org").json()["attributes"]["FIRSTNAME"] == "Ann"


def test_an_existing_address_is_refused_without_update_enabled(api: Api) -> None:
    api.post("/contacts", ANN)
    answer = api.post("/contacts", {"email": "ann@example.org"})
    assert refusal(answer) == (
        400,
        "duplicate_parameter",
        "Unable to create contact, email is already associated with another Contact",
    )
    assert answer.json()["metadata"] == {"duplicate_identifiers": ["email"]}


@pytest.mark.parametrize("update", [True, False])
def test_a_phone_of_another_contact_refuses_the_whole_request(api: Api, update: bool) -> None:
    api.post("/contacts", ANN)
    body = {"email": "bob@example.org", "attributes": {"SMS": "0014196056306"}, "updateEnabled": update}
    answer = api.post("/contacts", body)
    assert refusal(answer)[2] == "Unable to create contact, SMS is already associated with another Contact"
    assert answer.json()["metadata"] == {"duplicate_identifiers": ["SMS"]}
    assert api.get("/contacts/bob@example.org").status_code == 404


def test_an_update_into_two_conflicts_names_both(api: Api) -> None:
    api.post("/contacts", ANN)
    api.post("/contacts", {"email": "bob@example.org"})
    body = {"email": "bob@example.org", "ext_id": "a-1", "attributes": {"SMS": "14196056306"}, "updateEnabled": True}
    answer = api.post("/contacts", body)
    assert refusal(answer)[2] == "Unable to update contact, SMS or EXT_ID are already associated with another Contact"
    assert answer.json()["metadata"] == {"duplicate_identifiers": ["SMS", "EXT_ID"]}


def test_force_merge_keeps_the_contact_modified_last_and_deletes_the_other(api: Api) -> None:
    api.post("/contacts", ANN)
    api.post("/contacts", {"email": "bob@example.org"})
    body = {"email": "bob@example.org", "ext_id": "a-1", "updateEnabled": True, "forceMerge": True, "getId": True}
    assert api.post("/contacts", body).json() == {"id": 2}
    assert api.get("/contacts/1").status_code == 404
    assert api.get("/contacts/a-1", identifierType="ext_id").json()["email"] == "bob@example.org"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({}, "missing_parameter", "Please provide Email or SMS attribute value to create user"),
        ({"email": "no address"}, "invalid_parameter", "Invalid email address"),
        ({"email": "a@b.org", "attributes": {"SMS": "Phone not found"}}, "invalid_parameter", "Invalid phone number"),
        ({"email": "a@b.org", "attributes": {"SMS": "4196056"}}, "invalid_parameter", "Invalid phone number"),
        ({"email": "a@b.org", "listIds": ["2"]}, "invalid_parameter", "listIds/0 should be type number"),
        ({"email": "a@b.org", "listIds": 2}, "invalid_parameter", "listIds should be type array"),
        ({"email": "a@b.org", "listIds": [77]}, "invalid_parameter", "List ID does not exist"),
        (["a@b.org"], "bad_request", "Input must be a valid JSON object"),
    ],
)
def test_wrong_bodies_are_refused_in_brevos_words(api: Api, body: Any, code: str, message: str) -> None:
    assert refusal(api.post("/contacts", body)) == (400, code, message)


def test_unknown_attributes_and_values_that_do_not_fit_are_lost_without_a_word(
    api: Api, brevo_sandbox: BrevoSandbox
) -> None:
    kinds = {"BIRTHDAY": "date", "AGE": "float", "HAS_GMAIL": "boolean", "NOTE": "text"}
    brevo_sandbox.configure(attributes=kinds)
    misfits = {"BIRTHDAY": "tomorrow", "AGE": "old", "HAS_GMAIL": "perhaps", "NOTE": ["a"], "NOPE": "x", "note": "x"}
    assert api.post("/contacts", {"email": "ann@example.org", "attributes": misfits}).status_code == 201
    assert api.get("/contacts/1").json()["attributes"] == {}
    fitting = {"BIRTHDAY": "2001-02-03", "AGE": 0, "HAS_GMAIL": False, "NOTE": "x"}
    api.put("/contacts/1", {"attributes": fitting})
    assert api.get("/contacts/1").json()["attributes"] == fitting


def test_an_empty_text_clears_an_attribute_and_an_identifier(api: Api) -> None:
    api.post("/contacts", ANN)
    api.put("/contacts/1", {"attributes": {"FIRSTNAME": "", "SMS": ""}})
    assert api.get("/contacts/1").json()["attributes"] == {"EXT_ID": "a-1"}
    assert api.post("/contacts", {"email": "bob@example.org", "attributes": {"SMS": "14196056306"}}).ok


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("ann@example.org", None),
        ("ANN%40example.org", "email_id"),
        ("1", None),
        ("1", "contact_id"),
        ("14196056306", None),
        ("%2B14196056306", "phone_id"),
        ("a-1", "ext_id"),
    ],
)
def test_a_contact_is_found_by_each_of_its_identifiers(api: Api, identifier: str, kind: str | None) -> None:
    api.post("/contacts", ANN)
    query = {"identifierType": kind} if kind else {}
    assert api.get(f"/contacts/{identifier}", **query).json()["id"] == 1


def test_finding_nobody_and_asking_wrongly_differ(api: Api) -> None:
    api.post("/contacts", ANN)
    assert refusal(api.get("/contacts/bob@example.org")) == (404, "document_not_found", "Contact does not exist")
    assert refusal(api.get("/contacts/a-1")) == (400, "invalid_parameter", "Invalid email address")
    wrong = api.get("/contacts/a-1", identifierType="email_id")
    assert refusal(wrong) == (400, "invalid_parameter", "Invalid value passed for identifierType email_id")
    assert api.put("/contacts/14196056306", {"attributes": {}}).status_code == 404


def test_an_address_changes_through_the_attribute_email(api: Api) -> None:
    api.post("/contacts", ANN)
    assert api.put("/contacts/ann@example.org", {"attributes": {"EMAIL": "New@example.org"}}).status_code == 204
    assert api.get("/contacts/new@example.org").json()["id"] == 1
    assert api.get("/contacts/ann@example.org").status_code == 404
    assert api.post("/contacts", {"email": "ann@example.org"}).status_code == 201


def test_an_address_of_another_contact_cannot_be_taken_over(api: Api) -> None:
    api.post("/contacts", ANN)
    api.post("/contacts", {"email": "bob@example.org"})
    answer = api.put("/contacts/ann@example.org", {"attributes": {"EMAIL": "bob@example.org"}})
    assert answer.json()["metadata"] == {"duplicate_identifiers": ["email"]}


def test_changing_the_address_of_a_blocked_contact_removes_the_block(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "ann@example.org", "emailBlacklisted": True})
    api.put("/contacts/ann@example.org", {"attributes": {"FIRSTNAME": "Ann"}})
    assert api.get("/contacts/1").json()["emailBlacklisted"] is True
    api.put("/contacts/ann@example.org", {"attributes": {"EMAIL": "new@example.org"}})
    assert api.get("/contacts/1").json()["emailBlacklisted"] is False


def test_put_moves_between_lists(api: Api) -> None:
    api.post("/contacts", {**ANN, "listIds": [2]})
    other = api.post("/contacts/lists", {"name": "Other", "folderId": 1}).json()["id"]
    api.put("/contacts/1", {"listIds": [other], "unlinkListIds": [2]})
    assert api.get("/contacts/1").json()["listIds"] == [other]


def test_a_deleted_contact_is_gone_and_frees_its_identifiers(api: Api) -> None:
    api.post("/contacts", {**ANN, "listIds": [2]})
    assert api.delete("/contacts/ann@example.org").status_code == 204
    assert api.delete("/contacts/ann@example.org").status_code == 404
    assert api.post("/contacts", ANN).json() == {"id": 2}


def test_an_sms_only_contact_shows_a_made_up_address(api: Api) -> None:
    assert api.post("/contacts", {"attributes": {"SMS": "+14196056306"}}).status_code == 201
    assert api.get("/contacts/14196056306").json()["email"] == "14196056306@mailin-sms.com"


def test_pages_are_sorted_by_creation_newest_first(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed(*({"email": f"c{number}@example.org"} for number in range(5)))
    newest = api.get("/contacts", limit=2).json()
    assert ([contact["id"] for contact in newest["contacts"]], newest["count"]) == ([5, 4], 5)
    last = api.get("/contacts", limit=2, offset=4, sort="asc").json()
    assert [contact["id"] for contact in last["contacts"]] == [5]
    assert refusal(api.get("/contacts", limit=1001))[:2] == (400, "out_of_range")


def test_contacts_are_filtered_by_ids_lists_time_and_value(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed(
        {"email": "a@example.org", "listIds": [2]}, {"email": "b@example.org", "attributes": {"LASTNAME": "Lee"}}
    )

    def found(**query: Any) -> list[int]:
        answer = api.get("/contacts", sort="asc", **query).json()
        assert answer["count"] == len(answer["contacts"])
        return [contact["id"] for contact in answer["contacts"]]

    assert found(ids="2,9") == [2]
    assert found(listIds="2") == [1]
    assert found(filter='equals(LASTNAME,"Lee")') == [2]
    modified = api.get("/contacts/2").json()["modifiedAt"]
    assert 2 in found(modifiedSince=modified)
    assert found(modifiedSince="2999-01-01T00:00:00.000Z") == []
    assert found(createdSince="2999-01-01T00:00:00.000Z") == []
    assert api.get("/contacts", modifiedSince="yesterday").status_code == 400
    assert found(no_such_filter="x") == [1, 2]


def test_a_batch_updates_all_its_contacts(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org"}, {"email": "b@example.org", "attributes": {"SMS": "14196056306"}})
    rows = [
        {"email": "A@example.org", "attributes": {"LASTNAME": "Lee"}, "listIds": [2]},
        {"sms": "+14196056306", "emailBlacklisted": True},
    ]
    assert api.post("/contacts/batch", {"contacts": rows}).status_code == 204
    first, second = brevo_sandbox.contacts()
    assert (first["attributes"], first["listIds"], second["emailBlacklisted"]) == ({"LASTNAME": "Lee"}, [2], True)


def test_a_batch_with_an_unknown_contact_or_a_conflict_changes_nothing(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org"}, {"email": "b@example.org", "attributes": {"SMS": "14196056306"}})
    before = brevo_sandbox.contacts()
    known = {"email": "a@example.org", "attributes": {"LASTNAME": "Lee"}}
    unknown = api.post("/contacts/batch", {"contacts": [known, {"id": 77}, {"email": "x@example.org"}]})
    assert refusal(unknown) == (404, "document_not_found", "No contact found for indexes 1,2")
    conflict = api.post(
        "/contacts/batch", {"contacts": [{"email": "a@example.org", "attributes": {"SMS": "14196056306"}}]}
    )
    assert conflict.json()["metadata"] == {"duplicate_identifiers": ["SMS"]}
    twice = [{"id": number, "ext_id": "same"} for number in (1, 2)]
    assert api.post("/contacts/batch", {"contacts": twice}).status_code == 400
    assert brevo_sandbox.contacts() == before
