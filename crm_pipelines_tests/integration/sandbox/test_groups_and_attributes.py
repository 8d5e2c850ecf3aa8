"""Lists, folders, attributes and the account."""

import pytest

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api


def test_a_new_account_has_brevos_folder_list_and_attributes_only(api: Api) -> None:
    assert [folder["id"] for folder in api.get("/contacts/folders").json()["folders"]] == [1]
    assert [group["id"] for group in api.get("/contacts/lists").json()["lists"]] == [2]
    names = {attribute["name"] for attribute in api.get("/contacts/attributes").json()["attributes"]}
    assert names == {"FIRSTNAME", "LASTNAME", "SMS", "EXT_ID", "WHATSAPP", "LANDLINE_NUMBER", "BLACKLIST"}


def test_a_french_account_has_other_names(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(language="fr")
    api.post("/contacts", {"email": "a@example.org", "attributes": {"PRENOM": "Ann", "FIRSTNAME": "Ann"}})
    assert api.get("/contacts/1").json()["attributes"] == {"PRENOM": "Ann"}


def test_lists_are_created_read_renamed_and_deleted(api: Api) -> None:
    number = api.post("/contacts/lists", {"name": "News", "folderId": 1}).json()["id"]
    assert api.put(f"/contacts/lists/{number}", {"name": "Letters"}).status_code == 204
    found = api.get(f"/contacts/lists/{number}").json()
    assert (found["name"], found["folderId"], found["totalSubscribers"]) == ("Letters", 1, 0)
    assert api.get("/contacts/lists", limit=1).json()["count"] == 2
    assert api.delete(f"/contacts/lists/{number}").status_code == 204
    assert api.get(f"/contacts/lists/{number}").status_code == 404
    assert api.post("/contacts/lists", {"folderId": 1}).json()["message"] == "List name is missing"
    assert api.post("/contacts/lists", {"name": "x", "folderId": 9}).json()["message"] == "Folder ID does not exist"


def test_folders_take_their_lists_along(api: Api) -> None:
    folder = api.post("/contacts/folders", {"name": "Shop"}).json()["id"]
    group = api.post("/contacts/lists", {"name": "News", "folderId": folder}).json()["id"]
    assert [row["id"] for row in api.get(f"/contacts/folders/{folder}/lists").json()["lists"]] == [group]
    assert api.put(f"/contacts/folders/{folder}", {"name": "Store"}).status_code == 204
    assert api.get(f"/contacts/folders/{folder}").json()["name"] == "Store"
    assert api.delete(f"/contacts/folders/{folder}").status_code == 204
    assert api.get(f"/contacts/lists/{group}").status_code == 404


def test_list_membership_is_added_read_and_removed(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org", "ext_id": "x-1"}, {"email": "b@example.org"})
    added = api.post("/contacts/lists/2/contacts/add", {"emails": ["a@example.org", "no@example.org"]})
    assert added.status_code == 201
    assert added.json() == {"contacts": {"success": ["a@example.org"], "failure": ["no@example.org"]}}
    assert api.post("/contacts/lists/2/contacts/add", {"ids": [2]}).status_code == 201
    rows = api.get("/contacts/lists/2/contacts", sort="asc").json()
    assert ([row["id"] for row in rows["contacts"]], rows["count"]) == ([1, 2], 2)
    assert api.post("/contacts/lists/2/contacts/remove", {"extIds": ["x-1"]}).status_code == 201
    everything = api.post("/contacts/lists/2/contacts/remove", {"all": True}).json()["contacts"]
    assert everything["total"] == 1
    assert api.get(f"/processes/{everything['processId']}").json()["status"] == "completed"
    assert api.get("/contacts/lists/2").json()["uniqueSubscribers"] == 0


def test_who_is_taken_off_a_list_by_name_has_left_it_until_put_on_it_again(
    api: Api, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "ada@example.com", "listIds": [2]})

    def left() -> object:
        return api.get("/contacts/ada@example.com").json()["listUnsubscribed"]

    assert left() is None
    api.put("/contacts/ada@example.com", {"unlinkListIds": [2]})
    assert left() is None, "not the person's own act"
    before = brevo_sandbox.contacts()[0]["modifiedAt"]
    brevo_sandbox.seed({"email": "ada@example.com", "listIds": [2]})
    api.post("/contacts/lists/2/contacts/remove", {"emails": ["ada@example.com"]})
    assert left() == [2]
    assert brevo_sandbox.contacts()[0]["modifiedAt"] >= before
    api.put("/contacts/ada@example.com", {"attributes": {"FIRSTNAME": "Ada"}})
    assert left() == [2]
    api.post("/contacts", {"email": "ada@example.com", "listIds": [2], "updateEnabled": True})
    assert left() is None


@pytest.mark.parametrize("emails", [["A@example.org"], ["nobody@example.org"], ["b@example.org"]])
def test_adding_nobody_says_the_same_for_case_absence_and_membership(
    api: Api, brevo_sandbox: BrevoSandbox, emails: list[str]
) -> None:
    brevo_sandbox.seed({"email": "a@example.org"}, {"email": "b@example.org", "listIds": [2]})
    answer = api.post("/contacts/lists/2/contacts/add", {"emails": emails})
    assert answer.status_code == 400
    assert answer.json()["message"] == "Contact already in list and/or does not exist"


def test_list_calls_take_at_most_150_contacts(api: Api) -> None:
    answer = api.post("/contacts/lists/2/contacts/add", {"ids": list(range(151))})
    assert answer.status_code == 400
    assert api.get("/contacts/lists/2/contacts", limit=501).status_code == 400


def test_attributes_are_created_once_and_used(api: Api) -> None:
    assert api.post("/contacts/attributes/normal/DOMAIN_ID", {"type": "text"}).status_code == 201
    again = api.post("/contacts/attributes/normal/DOMAIN_ID", {"type": "text"})
    assert (again.status_code, again.json()["message"]) == (400, "Attribute name must be unique")
    api.post("/contacts", {"email": "a@example.org", "attributes": {"DOMAIN_ID": "d"}})
    assert api.get("/contacts/1").json()["attributes"] == {"DOMAIN_ID": "d"}
    assert api.delete("/contacts/attributes/normal/DOMAIN_ID").status_code == 204
    assert api.get("/contacts/1").json()["attributes"] == {}
    assert api.delete("/contacts/attributes/normal/DOMAIN_ID").status_code == 404
    assert api.post("/contacts/attributes/normal/X", {"type": "integer"}).status_code == 400


def test_options_of_category_and_multiple_choice_attributes(api: Api) -> None:
    options = [{"value": 1, "label": "yes"}, {"value": 2, "label": "no"}]
    assert api.post("/contacts/attributes/category/ANSWER", {"enumeration": options}).status_code == 201
    choice = {"type": "multiple-choice", "multiCategoryOptions": ["USA"]}
    assert api.post("/contacts/attributes/normal/PLACES", choice).status_code == 201
    assert api.put("/contacts/attributes/normal/PLACES", {"multiCategoryOptions": ["INDIA"]}).status_code == 204
    body = {"email": "a@example.org", "attributes": {"ANSWER": 2, "PLACES": ["USA", "MARS", "INDIA"]}}
    api.post("/contacts", body)
    api.put("/contacts/1", {"attributes": {"ANSWER": "yes", "PLACES": ["MARS"]}})
    assert api.get("/contacts/1").json()["attributes"] == {"ANSWER": 2, "PLACES": ["USA", "INDIA"]}
    assert api.delete("/contacts/attributes/multiple-choice/PLACES/USA").status_code == 204
    described = {row["name"]: row for row in api.get("/contacts/attributes").json()["attributes"]}
    assert described["PLACES"]["multiCategoryOptions"] == ["INDIA"]
    assert described["ANSWER"]["enumeration"][0] == {"value": 1, "valueStr": "1", "label": "yes"}
    assert (
        api.post("/contacts/attributes/category/LONG", {"enumeration": [{"value": 1, "label": "x" * 201}]}).status_code
        == 400
    )


def test_the_account_is_readable(api: Api) -> None:
    account = api.get("/account").json()
    assert account["email"] == "sandbox@example.com"
    assert account["plan"][0]["type"] == "free"


def test_unknown_paths_and_methods_are_told_apart(api: Api) -> None:
    assert (api.get("/nothing").status_code, api.delete("/contacts").json()["code"]) == (404, "method_not_allowed")
