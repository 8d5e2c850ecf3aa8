"""n8n's own Mautic node, which was made for real ones, works with the sandbox of Mautic."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.judges.running import N8n
from crm_pipelines_tests.judges.workflows import Credentials, new_path, node, webhook, workflow
from crm_pipelines_tests.patience import PATIENCE

USER = ("n8n", "a-password")
SIMPLE = {"options": {"rawData": False}}
"""The node gives the contact's fields alone."""

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def mautic(mautic_sandbox: MauticSandbox) -> MauticSandbox:
    """It takes names and passwords, as the node's plain credential has them."""
    mautic_sandbox.configure(basic_auth=True)
    return mautic_sandbox


@pytest.fixture
def credentials(n8n: N8n, mautic: MauticSandbox) -> Credentials:
    return n8n.credential("mauticApi", url=mautic.url, username=USER[0], password=USER[1])


@pytest.fixture
def run(n8n: N8n, credentials: Credentials) -> Run:
    """Runs one operation of the node, and returns the items that it gives; what failed is raised as an error."""

    def run_node(operation: str, resource: str = "contact", **parameters: Any) -> list[dict[str, Any]]:
        path = new_path()
        asked = {"resource": resource, "operation": operation, **parameters}
        trigger = webhook(path)
        trigger["parameters"]["responseData"] = "allEntries"
        made = n8n.publish(workflow(trigger, node("Mautic", "mautic", 1, asked, credentials=credentials)))
        answer = requests.post(n8n.webhook(path), json={}, timeout=PATIENCE)
        if answer.ok:
            items: list[dict[str, Any]] = answer.json()
            return items
        [execution] = n8n.wait_for_executions(made, 1)
        error = execution["data"]["resultData"]["error"]
        raise NodeError(f"{error.get('httpCode')} {error['message']} {error.get('description')}")

    return run_node


class NodeError(Exception):
    """In the words of n8n."""


def create(run: Run, email: str = "ada@example.com", **parameters: Any) -> dict[str, Any]:
    [made] = run("create", email=email, firstName="Ada", lastName="Lovelace", **{**SIMPLE, **parameters})
    return made


def test_a_contact_is_created_and_found_again_by_its_id(run: Run, mautic: MauticSandbox) -> None:
    made = create(run, additionalFields={"phone": "+12025550143", "addressUi": {"addressValues": {"city": "London"}}})
    assert (made["email"], made["firstname"], made["city"]) == ("ada@example.com", "Ada", "London")
    [found] = run("get", contactId=str(made["id"]), **SIMPLE)
    assert found == made
    held = mautic.contact("ada@example.com")
    assert held is not None
    assert held["phone"] == "+12025550143"


def test_a_contact_with_a_known_address_is_the_same_contact(run: Run, mautic: MauticSandbox) -> None:
    first = create(run)
    second = create(run, email="ADA@example.com", company="Analytical Engines")
    assert (second["id"], second["company"]) == (first["id"], "Analytical Engines")
    assert len(mautic.contacts()) == 1


def test_a_contact_is_changed_and_keeps_what_was_not_named(run: Run) -> None:
    made = create(run)
    [raw] = run("update", contactId=str(made["id"]), updateFields={"lastName": "King", "title": "Countess"})
    assert raw["id"] == made["id"]
    changed = raw["fields"]["all"]
    assert (changed["firstname"], changed["lastname"], changed["title"]) == ("Ada", "King", "Countess")


def test_a_list_of_contacts_is_read_page_by_page(run: Run, mautic: MauticSandbox) -> None:
    mautic.seed(*({"email": f"person{number}@example.com"} for number in range(65)))
    everybody = run("getAll", returnAll=True, **SIMPLE)
    assert len({one["email"] for one in everybody}) == 65
    some = run("getAll", returnAll=False, limit=5, options={"orderBy": "id", "orderByDir": "desc", "rawData": False})
    # JavaScript puts an object's keys that are numbers into their own order, whichever order Mautic gave them.
    assert {one["email"] for one in some} == {f"person{number}@example.com" for number in range(60, 65)}
    [found] = run("getAll", returnAll=False, limit=5, options={"search": "email:person7@example.com", "rawData": False})
    assert found["email"] == "person7@example.com"


def test_a_list_of_no_contacts_is_none(run: Run) -> None:
    assert run("getAll", returnAll=True, **SIMPLE) in ([], [{}])


def test_a_contact_is_put_into_a_segment_and_taken_out_again(run: Run, mautic: MauticSandbox) -> None:
    made = requests.post(f"{mautic.url}/api/segments/new", json={"name": "News"}, auth=USER, timeout=PATIENCE)
    segment, contact = str(made.json()["list"]["id"]), str(create(run)["id"])

    def members() -> list[str]:
        url = f"{mautic.url}/api/contacts/{contact}/segments"
        return [
            one["name"] for one in dict(requests.get(url, auth=USER, timeout=PATIENCE).json()["lists"] or {}).values()
        ]

    assert run("add", "contactSegment", contactId=contact, segmentId=segment) == [{"success": 1}]
    assert members() == ["News"]
    assert run("remove", "contactSegment", contactId=contact, segmentId=segment) == [{"success": 1}]
    assert members() == []


def test_who_does_not_want_mail_is_noted_and_the_note_taken_back(run: Run, mautic: MauticSandbox) -> None:
    contact = str(create(run)["id"])
    asked = {"contactId": contact, "channel": "email"}
    [noted] = run("editDoNotContactList", **asked, action="add", additionalFields={"reason": 1, "comments": "by phone"})
    assert [one["channel"] for one in noted["doNotContact"]] == ["email"]
    assert mautic.opted_out("ada@example.com")
    run("editDoNotContactList", **asked, action="remove")
    assert not mautic.opted_out("ada@example.com")


def test_a_contact_is_deleted(run: Run, mautic: MauticSandbox) -> None:
    contact = str(create(run)["id"])
    [gone] = run("delete", contactId=contact)
    assert gone["fields"]["all"]["email"] == "ada@example.com"
    assert mautic.contacts() == []


def test_what_mautic_refuses_reaches_the_node_as_an_error(run: Run, mautic: MauticSandbox) -> None:
    with pytest.raises(NodeError, match="404"):
        run("get", contactId="4711")
    with pytest.raises(NodeError, match="email"):
        create(run, email="nobody at all")
    mautic.configure(basic_auth=False)
    with pytest.raises(NodeError, match="403"):
        create(run)


def test_the_editors_lists_of_fields_and_segments_are_filled(
    n8n: N8n, credentials: Credentials, mautic: MauticSandbox
) -> None:
    requests.post(f"{mautic.url}/api/segments/new", json={"name": "News"}, auth=USER, timeout=PATIENCE)
    fields = n8n.options("mautic", 1, "getContactFields", credentials)
    assert {"email", "firstname", "phone"} <= {one["value"] for one in fields}
    [segment] = n8n.options("mautic", 1, "getSegments", credentials)
    assert segment["name"] == "News"
