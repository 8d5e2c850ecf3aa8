"""The import is asynchronous, an upsert, and reports only what it did not take."""

from typing import Any

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api
from crm_pipelines_tests.patience import PATIENCE


def finish(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Import, and poll until the end."""
    answer = api.post("/contacts/import", body)
    assert answer.status_code == 202, answer.text
    number = answer.json()["processId"]
    while (process := api.get(f"/processes/{number}").json())["status"] in ("queued", "in_process"):
        pass
    assert isinstance(process, dict)
    return process


def rows(*emails: str, **attributes: Any) -> list[dict[str, Any]]:
    return [{"email": email, "attributes": attributes} for email in emails]


def test_rows_appear_only_when_the_process_ends(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(hold_imports=True)
    number = api.post("/contacts/import", {"listIds": [2], "jsonBody": rows("a@example.org")}).json()["processId"]
    assert api.get(f"/processes/{number}").json() == {"id": number, "name": "IMPORTUSER", "status": "in_process"}
    assert brevo_sandbox.contacts() == []
    assert brevo_sandbox.release() == 1
    while api.get(f"/processes/{number}").json()["status"] != "completed":
        pass
    assert [contact["listIds"] for contact in brevo_sandbox.contacts()] == [[2]]


def test_an_import_creates_and_updates_and_drops_unknown_attributes(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org", "attributes": {"LASTNAME": "Lee"}, "emailBlacklisted": True})
    body = {"listIds": [2], "jsonBody": rows("A@example.org", "b@example.org", FIRSTNAME="F", NOPE="x", LASTNAME="")}
    process = finish(api, body)
    assert process["status"] == "completed"
    assert set(process["info"]["import"].values()) == {None}
    old, new = brevo_sandbox.contacts()
    assert old["attributes"] == {"LASTNAME": "Lee", "FIRSTNAME": "F"}
    assert old["emailBlacklisted"] is True
    assert new["attributes"] == {"FIRSTNAME": "F"}


def test_existing_contacts_are_left_alone_on_request(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org"})
    finish(api, {"listIds": [2], "updateExistingContacts": False, "jsonBody": rows("a@example.org", FIRSTNAME="F")})
    assert [(contact["attributes"], contact["listIds"]) for contact in brevo_sandbox.contacts()] == [({}, [2])]


def test_empty_cells_erase_only_on_request(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "a@example.org", "attributes": {"LASTNAME": "Lee", "FIRSTNAME": "F"}})
    finish(api, {"listIds": [2], "emptyContactsAttributes": True, "jsonBody": rows("a@example.org", LASTNAME="")})
    assert [contact["attributes"] for contact in brevo_sandbox.contacts()] == [{"FIRSTNAME": "F"}]


def test_a_file_is_separated_by_semicolons_and_may_make_its_list(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    file = 'EMAIL;FIRSTNAME;SMS\na@example.org;"A;B";+14196056306\n;Only phone;14196056307\n'
    new_list = {"listName": "Fresh", "folderId": 1}
    finish(api, {"newList": new_list, "fileBody": file, "emailBlacklist": True, "disableNotification": True})
    first, second = brevo_sandbox.contacts()
    assert first["attributes"] == {"FIRSTNAME": "A;B", "SMS": "14196056306"}
    assert first["emailBlacklisted"] is True
    assert second["email"] == "14196056307@mailin-sms.com"
    state = brevo_sandbox.state()
    assert state["lists"][-1] == {"id": 3, "name": "Fresh", "folderId": 1, "contacts": [1, 2]}
    assert state["processes"][0]["notification"] is False


def test_rows_that_are_not_taken_are_reported_as_files(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "old@example.org", "ext_id": "x-1", "attributes": {"SMS": "14196056306"}})
    imported = [
        *rows("no address", "twice@example.org", "twice@example.org"),
        *rows("phone@example.org", SMS="+14196056306"),
        *rows("ext@example.org", EXT_ID="x-1"),
        *rows("bad-phone@example.org", SMS="Phone not found"),
    ]
    reports = finish(api, {"listIds": [2], "jsonBody": imported})["info"]["import"]

    def report(kind: str) -> str:
        return requests.get(reports[kind], timeout=PATIENCE).text

    assert report("invalid_emails") == "EMAIL;EXT_ID;SMS\nno address;;\n"
    assert report("duplicate_email_id") == "EMAIL;EXT_ID;SMS\ntwice@example.org;;\n"
    assert report("duplicate_phone_id") == "EMAIL;EXT_ID;SMS\nphone@example.org;;+14196056306\n"
    assert report("duplicate_ext_id") == "EMAIL;EXT_ID;SMS\next@example.org;x-1;\n"
    assert reports["duplicate_contact_id"] is None
    stored = [contact["email"] for contact in brevo_sandbox.contacts()]
    assert stored == ["old@example.org", "twice@example.org", "bad-phone@example.org"]


def test_a_share_of_the_rows_can_be_refused_evenly_spread(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(import_refuses=0.25)
    emails = [f"a{n}@example.org" for n in range(8)]
    reports = finish(api, {"listIds": [2], "jsonBody": rows(*emails)})["info"]["import"]
    assert requests.get(reports["invalid_emails"], timeout=PATIENCE).text.splitlines()[1:] == [
        "a3@example.org;;",
        "a7@example.org;;",
    ]
    assert len(brevo_sandbox.contacts()) == 6
    assert api.post("/contacts", {"email": "a3@example.org"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"listIds": [2]}, "Please provide one of fileBody, jsonBody or fileUrl"),
        ({"listIds": [2], "fileBody": "x", "jsonBody": rows("a@b.org")}, "Please provide one of"),
        ({"jsonBody": rows("a@b.org")}, "Please provide listIds or newList"),
        ({"listIds": [2], "fileBody": "NAME\nx\n"}, "We could not find any valid email or SMS or Contact ID"),
        ({"listIds": [2], "fileUrl": "http://127.0.0.1/x.csv"}, "The sandbox fetches nothing"),
        ({"listIds": [2], "fileBody": "EMAIL\n" + "x" * 10 * 1024 * 1024}, "The body should not exceed 10 MB"),
    ],
)
def test_wrong_imports_are_refused_at_once(api: Api, body: dict[str, Any], message: str) -> None:
    answer = api.post("/contacts/import", body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_an_import_can_end_badly(api: Api, brevo_sandbox: BrevoSandbox, end: str) -> None:
    brevo_sandbox.configure(import_status=end)
    process = finish(api, {"listIds": [2], "jsonBody": rows("a@example.org")})
    assert (process["status"], "info" in process, brevo_sandbox.contacts()) == (end, False, [])


def test_processes_are_listed_newest_first(api: Api) -> None:
    for _ in range(3):
        finish(api, {"listIds": [2], "jsonBody": rows("a@example.org")})
    listed = api.get("/processes", limit=2).json()
    assert ([process["id"] for process in listed["processes"]], listed["count"]) == ([3, 2], 3)
    assert api.get("/processes/9").status_code == 404
    assert api.get("/processes", limit=51).status_code == 400
