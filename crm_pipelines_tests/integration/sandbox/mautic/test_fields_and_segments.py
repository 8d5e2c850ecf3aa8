"""Fields and their aliases; segments and who is on them."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import CONTACTS, FIELDS, SEGMENTS, Client, error


def test_a_field_is_created_listed_changed_and_deleted(client: Client) -> None:
    field = client.define("plan", "select", properties={"list": [{"label": "A", "value": "a"}]})
    assert (field["alias"], field["type"], field["object"], field["isFixed"]) == ("plan", "select", "lead", False)
    listed = client.get(FIELDS).json()
    assert listed["fields"][str(field["id"])] == field
    assert listed["total"] == len(listed["fields"])
    path = f"{FIELDS}/{field['id']}"
    assert client.get(path).json() == {"field": field}
    change = {"label": "Plan", "alias": "other", "type": "text", "properties": {"list": [{"value": "b"}]}}
    changed = client.patch(f"{path}/edit", change).json()["field"]
    assert (changed["label"], changed["alias"], changed["type"]) == ("Plan", "plan", "select")
    ann = client.create("ann@example.org", plan="b")
    assert client.delete(f"{path}/delete").json()["field"]["id"] is None
    assert client.get(path).status_code == 404
    assert "plan" not in client.values(ann)


def test_the_fields_that_mautic_comes_with_stay(client: Client) -> None:
    email = next(one for one in client.get(FIELDS).json()["fields"].values() if one["alias"] == "email")
    assert (email["isUniqueIdentifier"], email["isFixed"]) == (True, True)
    assert client.delete(f"{FIELDS}/{email['id']}/delete").status_code == 403


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("city", "city1"),
        ("Größe (cm)", "grosse_cm"),
        ("a name that is far too long to be an alias", "a_name_that_is_far_too_lo"),
        ("order", "f_order"),
        ("12", "f_12"),
    ],
)
def test_an_alias_is_cleaned_cut_and_renamed_without_a_conflict(client: Client, wanted: str, given: str) -> None:
    assert client.define(wanted, "text")["alias"] == given
    again = client.define(wanted, "text")["alias"]
    assert again == ("city2" if wanted == "city" else f"{given}1")


@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        ("boolean", {}, "A 'positive' label is required."),
        ("boolean", {"yes": "Yes"}, "A 'negative' label is required."),
        ("boolean", {"no": "No"}, "A 'positive' label is required."),
        ("select", {}, "A list for the select box must be specified."),
        ("fancy", {}, "type: This value is not valid."),
    ],
)
def test_a_field_that_cannot_be_is_refused(client: Client, kind: str, properties: Any, said: str) -> None:
    answer = client.post(f"{FIELDS}/new", {"label": "own", "alias": "own", "type": kind, "properties": properties})
    assert error(answer)["message"] == said
    assert client.post(f"{FIELDS}/new", {"alias": "own", "type": "text"}).status_code == 400


def test_in_background_mode_a_field_takes_no_values_until_the_cron_has_run(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(background_fields=True)
    answer = client.post(f"{FIELDS}/new", {"label": "own", "alias": "own", "type": "text"})
    assert (answer.status_code, answer.json()["field"]["isPublished"]) == (202, False)
    ann = client.create("ann@example.org", own="lost")
    assert "own" not in client.values(ann)
    assert mautic_sandbox.run_cron() == 1
    client.patch(f"{CONTACTS}/{ann}/edit", {"own": "kept"})
    assert client.values(ann)["own"] == "kept"
    assert client.get(f"{FIELDS}/{answer.json()['field']['id']}").json()["field"]["isPublished"] is True


def test_a_page_of_fields_has_30(client: Client) -> None:
    for number in range(5):
        client.define(f"own{number}", "text")
    first = client.get(FIELDS).json()
    assert (len(first["fields"]), first["total"]) == (30, 33)
    assert len(client.get(FIELDS, limit="200").json()["fields"]) == 33


def test_contacts_come_and_go_on_a_segment(client: Client) -> None:
    ann, news, other = client.create("ann@example.org"), client.segment("News"), client.segment("Other")
    for _ in range(2):
        assert client.post(f"{SEGMENTS}/{news}/contact/{ann}/add").json() == {"success": 1}
    listed = client.get(f"{CONTACTS}/{ann}/segments").json()
    assert (listed["total"], set(listed["lists"])) == (1, {str(news)})
    assert client.post(f"{SEGMENTS}/{news}/contact/{ann}/remove").json() == {"success": 1}
    assert client.get(f"{CONTACTS}/{ann}/segments").json() == {"total": 0, "lists": []}
    assert client.post(f"{SEGMENTS}/{other}/contact/{ann}/remove").json() == {"success": 1}


def test_who_was_removed_by_hand_is_told_by_control_only_and_comes_back_when_added(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    ann, news = client.create("ann@example.org"), client.segment()
    client.post(f"{SEGMENTS}/{news}/contact/{ann}/add")
    client.post(f"{SEGMENTS}/{news}/contact/{ann}/remove")
    (state,) = mautic_sandbox.state()["segments"]
    assert (state["contacts"], state["members"][str(ann)]["removed"]) == ([], True)
    client.post(f"{SEGMENTS}/{news}/contacts/add", {"ids": [ann]})
    assert mautic_sandbox.state()["segments"][0]["contacts"] == [ann]


def test_many_are_added_at_once_and_each_is_told(client: Client) -> None:
    ann, bob, news = client.create("ann@example.org"), client.create("bob@example.org"), client.segment()
    answer = client.post(f"{SEGMENTS}/{news}/contacts/add", {"ids": [ann, str(bob), 99]})
    details = {str(ann): {"success": True}, str(bob): {"success": True}, "99": {"success": False}}
    assert (answer.status_code, answer.json()) == (200, {"success": 1, "details": details})
    assert error(client.post(f"{SEGMENTS}/{news}/contacts/add", {"id": [ann]}))["code"] == 400
    assert error(client.post(f"{SEGMENTS}/99/contacts/add", {"ids": [ann]}))["code"] == 404


def test_segments_are_listed_read_and_deleted(client: Client) -> None:
    assert client.get(SEGMENTS).json() == {"total": 0, "lists": []}
    news = client.segment("Our News")
    assert client.get(SEGMENTS).json()["lists"][str(news)]["alias"] == "our-news"
    assert client.get(f"{SEGMENTS}/{news}").json()["list"]["name"] == "Our News"
    assert client.delete(f"{SEGMENTS}/{news}/delete").json()["list"]["id"] is None
    assert error(client.get(f"{SEGMENTS}/{news}"))["code"] == 404
    assert client.post(f"{SEGMENTS}/new", {}).status_code == 400


def test_a_segment_that_is_not_published_takes_nobody(client: Client) -> None:
    ann, hidden = client.create("ann@example.org"), client.segment(isPublished=False)
    assert error(client.post(f"{SEGMENTS}/{hidden}/contact/{ann}/add"))["code"] == 403
    assert error(client.post(f"{SEGMENTS}/{hidden}/contacts/add", {"ids": [ann]}))["code"] == 403
    assert error(client.post(f"{SEGMENTS}/99/contact/{ann}/add"))["code"] == 404
    assert error(client.post(f"{SEGMENTS}/{hidden}/contact/99/add"))["code"] == 404


def test_who_is_deleted_is_on_no_segment(client: Client, mautic_sandbox: MauticSandbox) -> None:
    ann, news = client.create("ann@example.org"), client.segment()
    client.post(f"{SEGMENTS}/{news}/contact/{ann}/add")
    client.delete(f"{CONTACTS}/{ann}/delete")
    assert mautic_sandbox.state()["segments"][0]["members"] == {}
