"""Up to 200 contacts at once."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import CONTACTS, Client, error

NEW, EDIT = f"{CONTACTS}/batch/new", f"{CONTACTS}/batch/edit"


def people(n: int) -> list[dict[str, Any]]:
    return [{"email": f"{number}@example.org", "firstname": str(number)} for number in range(n)]


def test_a_batch_creates_and_updates_and_tells_what_became_of_each(client: Client) -> None:
    ann = client.create("1@example.org", lastname="Lee")
    content = client.upsert(*people(3))
    assert content["statusCodes"] == [201, 200, 201]
    assert "errors" not in content
    assert content["contacts"][1]["id"] == ann
    assert client.values(ann).items() >= {"firstname": "1", "lastname": "Lee"}.items()
    assert client.upsert(*people(3))["statusCodes"] == [200, 200, 200]


def test_all_rows_may_fail_under_201_and_lists_with_gaps_are_objects(client: Client) -> None:
    content = client.upsert({"email": "a@example.org"}, {"email": "bad"}, {"email": "c@example.org"})
    assert content["statusCodes"] == [201, 400, 201]
    assert set(content["contacts"]) == {"0", "2"}
    assert content["errors"] == {
        "1": {"code": 400, "message": "email: bad is invalid.", "details": {"email": ["bad is invalid."]}, "type": None}
    }
    content = client.upsert({"email": "bad"}, {"email": "worse"})
    assert (content["contacts"], content["statusCodes"]) == ([], [400, 400])
    assert [one["message"] for one in content["errors"]] == ["email: bad is invalid.", "email: worse is invalid."]


def test_an_address_twice_in_a_batch_is_created_and_then_updated(client: Client) -> None:
    content = client.upsert({"email": "a@example.org", "city": "Rome"}, {"email": "A@example.org,", "city": "Oslo"})
    assert content["statusCodes"] == [201, 200]
    assert content["contacts"][0]["id"] == content["contacts"][1]["id"]
    assert client.values(content["contacts"][0]["id"])["city"] == "Oslo"


def test_what_mautics_own_tests_expect_of_a_second_batch(client: Client) -> None:
    """The order of LeadApiControllerFunctionalTest: create, then update with an untidy address and without a name."""
    place = {"city": "Lyon", "country": "France", "preferred_locale": "fr_FR", "timezone": "Europe/Paris"}
    ann: dict[str, Any] = {
        "email": "ann@example.org",
        "firstname": "Ann",
        "points": 4,
        "tags": ["a", "b"],
        "owner": 1,
        **place,
    }
    bob: dict[str, Any] = {"email": "bob@example.org", "firstname": "Bob", "tags": ["a", "b", "c"]}
    first = client.upsert(ann, bob, {"email": "cy@example.org"})
    assert first["statusCodes"] == [201, 201, 201]
    assert [one["points"] for one in first["contacts"]] == [4, 0, 0]
    del ann["tags"]
    ann |= {"email": "ann@example.org,", "firstname": None, "owner": None, "city": "Nice", "timezone": "Europe/Rome"}
    bob |= {"tags": ["d", "e", "-c"], "owner": 1, "points": 3}
    second = client.upsert(ann, bob, {"email": "cy@example.org"})
    assert second["statusCodes"] == [200, 200, 200]
    assert [one["id"] for one in second["contacts"]] == [one["id"] for one in first["contacts"]]
    assert [one["points"] for one in second["contacts"]] == [4, 3, 0]
    assert [len(one["tags"]) for one in second["contacts"]] == [2, 4, 0]
    assert [one["owner"] for one in second["contacts"]] == [None, {"id": 1}, None]
    kept = {"email": "ann@example.org", "firstname": "Ann", "city": "Nice", "timezone": "Europe/Rome"}
    assert second["contacts"][0]["fields"]["all"].items() >= {**place, **kept}.items()


def test_rows_without_a_unique_value_are_new_each_time(client: Client) -> None:
    assert client.upsert({"firstname": "Ann"})["statusCodes"] == [201]
    assert client.upsert({"firstname": "Ann"})["statusCodes"] == [201]


def test_overwriting_with_blank_in_a_batch_leaves_alone_what_is_not_named(client: Client) -> None:
    ann = client.create("ann@example.org", firstname="Ann", lastname="Lee")
    client.upsert({"email": "ann@example.org", "lastname": "", "overwriteWithBlank": True})
    assert client.values(ann) == {"id": ann, "email": "ann@example.org", "firstname": "Ann", "points": 0}


@pytest.mark.parametrize(("method", "path"), [("POST", NEW), ("PATCH", EDIT)])
def test_more_than_200_are_refused_with_500(client: Client, method: str, path: str) -> None:
    told = error(client(method, path, people(201)))
    assert (told["code"], told["message"]) == (500, "A max of 200 entities are supported at a time.")
    assert client.get(CONTACTS).json()["total"] == "0"
    assert set(client.upsert(*people(200))["statusCodes"]) == {201}


def test_a_batch_that_dies_in_its_middle_leaves_what_was_saved(client: Client, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.configure(dies_after_rows=2)
    answer = client.post(NEW, people(4))
    assert error(answer)["message"].startswith("Looks like I encountered an error (error #500).")
    assert [one["fields"]["all"]["firstname"] for one in mautic_sandbox.contacts()] == ["0", "1"]
    # The next one lives.
    assert client.upsert(*people(4))["statusCodes"] == [200, 200, 201, 201]
    mautic_sandbox.configure(dies_after_rows=4)
    assert client.post(NEW, people(4)).status_code == 500


@pytest.mark.parametrize("poison", [{"phone": "1" * 192}, {"website": f"https://{'x' * 192}.org"}])
def test_a_row_that_the_database_refuses_ends_the_batch_and_the_rows_before_it_stay(
    client: Client, mautic_sandbox: MauticSandbox, poison: dict[str, str]
) -> None:
    first, last = people(2)
    assert client.post(NEW, [first, {"email": "poison@example.org", **poison}, last]).status_code == 500
    assert [one["fields"]["all"]["email"] for one in mautic_sandbox.contacts()] == ["0@example.org"]


def test_patch_edits_by_id_and_does_not_find_whom_there_is_not(client: Client) -> None:
    ann = client.create("ann@example.org", firstname="Ann", city="Rome")
    answer = client.patch(EDIT, [{"id": ann, "email": "new@example.org", "firstname": ""}, {"id": 99, "city": "Oslo"}])
    content = answer.json()
    assert (answer.status_code, content["statusCodes"]) == (200, [200, 404])
    assert content["errors"] == {"1": {"message": "Item was not found.", "code": 404, "type": "api"}}
    assert client.values(ann).items() >= {"email": "new@example.org", "firstname": "Ann", "city": "Rome"}.items()


def test_put_clears_and_creates_without_looking_for_the_address(client: Client, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.configure(checks_unique=False)
    ann = client.create("ann@example.org", city="Rome")
    rows = [{"id": ann, "email": "ann@example.org"}, {"id": "rubbish", "email": "ann@example.org"}]
    content = client.put(EDIT, rows).json()
    assert content["statusCodes"] == [200, 201]
    assert content["contacts"][1]["id"] == ann + 1
    assert "city" not in client.values(ann)


def test_a_row_without_an_id_shifts_the_rows_behind_it(client: Client) -> None:
    ann = client.create("ann@example.org", city="Rome")
    content = client.patch(EDIT, [{"city": "Oslo"}, {"id": ann, "city": "Bonn"}]).json()
    assert content["statusCodes"] == [400, 404]
    assert content["errors"][0]["message"] == "ID is missing from the payload."
    assert client.values(ann)["city"] == "Oslo"


def test_rows_without_permission_fail_under_an_answer_that_is_none(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    ann = client.create("ann@example.org")
    mautic_sandbox.configure(permissions=["lead:leads:create"])
    content = client.upsert({"email": "ann@example.org"}, {"email": "bob@example.org"})
    assert content["statusCodes"] == [403, 201]
    assert content["errors"][0]["type"] == "api"
    edited = client.patch(EDIT, [{"id": ann, "city": "Rome"}])
    assert (edited.status_code, edited.json()["statusCodes"]) == (200, [403])
    mautic_sandbox.configure(permissions=[])
    assert client.post(NEW, people(1)).status_code == 403


def test_control_has_one_contact_refused_in_words_of_its_own(client: Client, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.configure(refused={"1@example.org": "Not this one."})
    content = client.upsert(*people(3))
    assert content["statusCodes"] == [201, 400, 201]
    assert content["errors"]["1"]["message"] == "Not this one."


def test_a_batch_may_be_an_object_and_is_answered_with_its_keys(client: Client) -> None:
    content = client.post(NEW, {"5": {"email": "a@example.org"}, "7": {"email": "bad"}}).json()
    assert content["statusCodes"] == {"5": 201, "7": 400}
    assert (set(content["contacts"]), set(content["errors"])) == ({"5"}, {"7"})


def test_an_empty_batch_is_no_error(client: Client) -> None:
    assert client.upsert() == {"contacts": [], "statusCodes": []}


@pytest.mark.parametrize("body", [["x"], [7]])
def test_a_row_that_is_none_breaks_the_request(client: Client, body: Any) -> None:
    assert client.post(NEW, body).status_code == client.patch(EDIT, body).status_code == 500
    assert client.post(NEW, 7).status_code == 400
