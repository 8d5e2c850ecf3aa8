"""Single contacts: how they are matched, and what becomes of their values."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import CONTACTS, Client, error


def test_a_contact_is_created_matched_read_and_deleted(client: Client) -> None:
    created = client.post(f"{CONTACTS}/new", {"email": "Ann@example.org", "firstname": "Ann", "owner": 1})
    assert created.status_code == 201
    contact = created.json()["contact"]
    assert created.headers["location"].endswith(f"/api/contacts/{contact['id']}")
    assert contact["fields"]["all"]["email"] == contact["fields"]["core"]["email"]["value"] == "Ann@example.org"
    assert (contact["points"], contact["fields"]["all"]["points"]) == (0, 0)
    matched = client.post(f"{CONTACTS}/new", {"email": "ann@EXAMPLE.org", "lastname": "Lee"})
    assert (matched.status_code, matched.json()["contact"]["id"]) == (200, contact["id"])
    assert matched.json()["contact"]["owner"] == {"id": 1}
    assert client.values(contact["id"]).items() >= {"firstname": "Ann", "lastname": "Lee"}.items()
    gone = client.delete(f"{CONTACTS}/{contact['id']}/delete")
    assert (gone.status_code, gone.json()["contact"]["id"]) == (200, None)
    assert error(client.get(f"{CONTACTS}/{contact['id']}"))["message"] == "Item was not found."


@pytest.mark.parametrize("sent", ["ann@example.org,", " ann@example.org ", "ann@exa,mple.org", "änn@example.org"])
def test_an_address_is_cleaned_before_it_is_matched_and_stored(client: Client, sent: str) -> None:
    kept = "nn@example.org" if sent.startswith("ä") else "ann@example.org"
    ann = client.create(kept)
    answer = client.post(f"{CONTACTS}/new", {"email": sent})
    assert (answer.status_code, answer.json()["contact"]["id"]) == (200, ann)
    assert client.values(ann)["email"] == kept


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("nobody", "email: nobody is invalid."),
        ("a@b", "email: a@b is invalid."),
        ("a..b@example.org", "email: a..b@example.org is invalid."),
        ("a&b@example.org", "email: a&b@example.org has characters not allowed in email addresses."),
    ],
)
def test_what_is_no_address_is_refused(client: Client, sent: str, said: str) -> None:
    told = error(client.post(f"{CONTACTS}/new", {"email": sent}))
    assert (told["code"], told["message"], told["details"]) == (400, said, {"email": [said.removeprefix("email: ")]})


def test_several_unique_fields_are_alternatives_and_the_newest_match_counts(client: Client) -> None:
    client.define("customer", "text", isUniqueIdentifier=True)
    first = client.create("ann@example.org")
    second = client.create("bob@example.org", customer="C-1")
    answer = client.post(f"{CONTACTS}/batch/new", [{"email": "ann@example.org", "customer": "c-1", "city": "Rome"}])
    # Two contacts are meant: a clash of unique values, whichever of them it would be.
    assert answer.json()["statusCodes"] == [422]
    assert client.post(f"{CONTACTS}/new", {"customer": "c-1"}).json()["contact"]["id"] == second
    assert client.post(f"{CONTACTS}/new", {"email": "ann@example.org"}).json()["contact"]["id"] == first


def test_of_two_with_the_same_address_the_newest_is_meant_where_nothing_checks(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    old, new = mautic_sandbox.seed({"email": "ann@example.org"}, {"email": "ann@example.org", "new": True})
    told = error(client.patch(f"{CONTACTS}/{old}/edit", {"city": "Rome"}))
    assert (told["code"], told["message"]) == (422, "email: This field must be unique.")
    mautic_sandbox.configure(checks_unique=False)
    answer = client.post(f"{CONTACTS}/new", {"email": "ann@example.org", "city": "Rome"})
    assert answer.json()["contact"]["id"] == new
    assert "city" not in client.values(old)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_address_of_another_contact_is_refused_and_nothing_is_changed(client: Client, method: str) -> None:
    ann, bob = client.create("ann@example.org"), client.create("bob@example.org")
    told = error(client(method, f"{CONTACTS}/{bob}/edit", {"email": "ANN@example.org", "city": "Rome"}))
    assert (told["code"], told["details"]) == (422, {"email": ["This field must be unique."]})
    assert client.values(bob)["email"] == "bob@example.org"
    assert "city" not in client.values(bob)
    assert client.values(ann)["email"] == "ann@example.org"


def test_where_nothing_checks_an_edit_with_the_address_of_another_contact_merges_the_two(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(checks_unique=False)
    edited = client.create("old@example.org", city="Rome", firstname="Ann", points=3, tags=["a"])
    other = client.create("new@example.org", city="Oslo", lastname="Lee", points=4, tags=["b"])
    segment = client.segment()
    client.post(f"/api/segments/{segment}/contact/{other}/add")
    client.post(f"{CONTACTS}/{other}/dnc/email/add", {"reason": 1})
    client.patch(f"{CONTACTS}/{other}/edit", {"company": "L"})
    answer = client.patch(f"{CONTACTS}/{edited}/edit", {"email": "new@example.org", "zipcode": "1"})
    assert (answer.status_code, answer.json()["contact"]["id"]) == (200, edited)
    values = {"email": "new@example.org", "firstname": "Ann", "lastname": "Lee", "company": "L", "zipcode": "1"}
    assert client.values(edited).items() >= {**values, "city": "Oslo", "points": 7}.items()
    assert [tag["tag"] for tag in answer.json()["contact"]["tags"]] == ["a", "b"]
    assert answer.json()["contact"]["doNotContact"] == []
    assert client.get(f"{CONTACTS}/{edited}/segments").json()["total"] == 1
    assert client.get(f"{CONTACTS}/{other}").status_code == 404
    assert mautic_sandbox.state()["merged"] == {str(other): edited}


@pytest.mark.parametrize("blank", ["", None, "  "])
def test_blank_values_are_ignored_unless_they_shall_overwrite(client: Client, blank: str | None) -> None:
    ann = client.create("ann@example.org", firstname="Ann", lastname="Lee", city="Rome")
    client.patch(f"{CONTACTS}/{ann}/edit", {"lastname": blank})
    assert client.values(ann)["lastname"] == "Lee"
    client.patch(f"{CONTACTS}/{ann}/edit", {"lastname": blank, "overwriteWithBlank": True})
    assert "lastname" not in client.values(ann)
    assert client.values(ann)["city"] == "Rome"
    # A single POST blanks what it does not name as well.
    client.post(f"{CONTACTS}/new", {"email": "ann@example.org", "firstname": blank, "overwriteWithBlank": True})
    assert set(client.values(ann)) == {"id", "email", "points"}


def test_put_clears_what_it_does_not_name_and_creates_whom_there_is_not(client: Client) -> None:
    ann = client.create("ann@example.org", firstname="Ann", points=3)
    client.put(f"{CONTACTS}/{ann}/edit", {"email": "ann@example.org", "city": "Rome"})
    assert client.values(ann) == {"id": ann, "email": "ann@example.org", "city": "Rome", "points": 0}
    created = client.put(f"{CONTACTS}/99/edit", {"email": "bob@example.org"})
    assert (created.status_code, created.json()["contact"]["id"]) == (201, ann + 1)
    assert client.patch(f"{CONTACTS}/99/edit", {}).status_code == 404


@pytest.mark.parametrize(
    ("alias", "sent", "on_new", "on_update"),
    [
        ("score", 0, None, 5),
        ("score", "0", None, 5),
        ("score", "0.0", None, 5),
        ("score", 0.5, 0.5, 5),
        ("score", -0.5, -0.5, 5),
        ("score", 1.5, 1.5, 1.5),
        ("zipcode", "0", "0", "5"),
        ("zipcode", "000", "000", "5"),
        ("zipcode", "010", "010", "010"),
        ("zipcode", "0 pts", "0 pts", "0 pts"),
        ("vip", False, 0, 0),
        ("vip", "0", 0, 0),
    ],
)
def test_zeros_get_lost_but_for_put(client: Client, alias: str, sent: Any, on_new: Any, on_update: Any) -> None:
    client.define("score", "number", properties={"scale": 2, "roundmode": 4})
    client.define("vip", "boolean", properties={"yes": "Yes", "no": "No"})
    ann = client.create("ann@example.org", **{alias: sent})
    assert client.values(ann).get(alias) == on_new
    client.patch(f"{CONTACTS}/{ann}/edit", {"score": 5, "zipcode": "5", "vip": True})
    client.patch(f"{CONTACTS}/{ann}/edit", {alias: sent, "overwriteWithBlank": True})
    assert client.values(ann)[alias] == on_update
    client.upsert({"email": "ann@example.org", alias: sent})
    assert client.values(ann)[alias] == on_update
    client.put(f"{CONTACTS}/{ann}/edit", {"email": "ann@example.org", alias: sent})
    put = float(sent) if alias == "score" else sent
    assert client.values(ann)[alias] == (int(put != "0" and put) if alias == "vip" else put)


@pytest.mark.parametrize(
    ("kind", "sent", "stored"),
    [
        ("boolean", "yes", 1),
        ("boolean", "on", 1),
        ("boolean", "si", 0),
        ("number", "12.9", 12),
        ("number", "ten", "This value is not valid."),
        ("date", "2024-02-29T10:00:00+01:00", "2024-02-29"),
        ("date", "yesterdayish", None),
        ("datetime", "2024-02-29T10:11:12+02:00", "2024-02-29 08:11:00"),
        ("time", "10:11", "10:11:00"),
        ("select", "a", "a"),
        ("select", "A", "This value is not valid."),
        ("multiselect", ["a", "b"], "a|b"),
        ("multiselect", "a|b", "a|b"),
        ("multiselect", ["c"], "This value is not valid."),
        ("country", "Germany", "Germany"),
        ("country", "DE", "This value is not valid."),
        ("locale", "en_GB", "en_GB"),
        ("locale", "English", "This value is not valid."),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("timezone", "Berlin", "This value is not valid."),
        ("text", "a <b>bold</b> &amp; brave", "a bold & brave"),
        ("text", "x" * 191, "x" * 191),
        ("text", "x" * 192, "This value is too long. It should have 191 characters or less."),
        ("text", ["x"], "This value is not valid."),
        ("text", 12.0, "12"),
        ("textarea", "x" * 5000, "x" * 5000),
    ],
)
def test_a_value_is_made_to_fit_or_refused(client: Client, kind: str, sent: Any, stored: Any) -> None:
    properties = {
        "boolean": {"yes": "Yes", "no": "No"},
        "select": {"list": [{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]},
    }
    client.define("own", kind, properties=properties.get("select" if "select" in kind else kind, {}))
    answer = client.post(f"{CONTACTS}/new", {"email": "ann@example.org", "own": sent})
    if answer.status_code == 201:
        assert answer.json()["contact"]["fields"]["all"]["own"] == stored
    else:
        assert error(answer)["details"] == {"own": [stored]}


def test_a_field_that_there_is_not_is_ignored_without_an_error(client: Client) -> None:
    ann = client.create("ann@example.org", fristname="Ann")
    assert set(client.values(ann)) == {"id", "email", "points"}


def test_a_fresh_instance_takes_only_64_letters(client: Client, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.configure(length_limit=64)
    client.define("longer", "text", charLengthLimit=100)
    ann = client.create("ann@example.org", firstname="x" * 64, longer="x" * 100)
    said = "firstname: This value is too long. It should have 64 characters or less."
    assert error(client.patch(f"{CONTACTS}/{ann}/edit", {"firstname": "x" * 65}))["message"] == said
    assert client.patch(f"{CONTACTS}/{ann}/edit", {"longer": "x" * 101}).status_code == 400


def test_a_required_field_must_have_a_value(client: Client) -> None:
    client.define("own", "text", isRequired=True)
    told = error(client.post(f"{CONTACTS}/new", {"email": "ann@example.org"}))
    assert told["details"] == {"own": ["This field is required."]}
    ann = client.create("ann@example.org", own="x")
    assert client.patch(f"{CONTACTS}/{ann}/edit", {"city": "Rome"}).status_code == 200


def test_tags_are_added_and_with_a_minus_taken_away(client: Client) -> None:
    ann = client.create("ann@example.org", tags=["a", "b"])
    client.patch(f"{CONTACTS}/{ann}/edit", {"tags": ["c", "-a"]})
    answer = client.patch(f"{CONTACTS}/{ann}/edit", {"city": "Rome"})
    assert [tag["tag"] for tag in answer.json()["contact"]["tags"]] == ["b", "c"]


def test_who_is_not_to_be_contacted_is_noted_told_and_forgotten(client: Client) -> None:
    ann = client.create("ann@example.org")
    path = f"{CONTACTS}/{ann}/dnc/email"
    assert error(client.post(f"{path}/add", {"reason": 0}))["message"] == "Invalid reason code given"
    (noted,) = client.post(f"{path}/add", {}).json()["contact"]["doNotContact"]
    assert (noted["channel"], noted["reason"], noted["channelId"]) == ("email", 3, None)
    (noted,) = client.post(f"{path}/add", {"reason": 1, "comments": "asked"}).json()["contact"]["doNotContact"]
    assert (noted["reason"], noted["comments"]) == (1, "asked")
    # Who unsubscribed stays so.
    (noted,) = client.post(f"{path}/add", {"reason": 2}).json()["contact"]["doNotContact"]
    assert noted["reason"] == 1
    assert client.patch(f"{CONTACTS}/{ann}/edit", {"city": "Rome"}).json()["contact"]["doNotContact"] == [noted]
    forgotten = client.post(f"{path}/remove").json()
    assert (forgotten["recordFound"], forgotten["contact"]["doNotContact"]) == (True, [])
    assert client.post(f"{path}/remove").json()["recordFound"] is False


def test_a_write_may_note_and_take_back_who_is_not_to_be_contacted(client: Client) -> None:
    answer = client.post(f"{CONTACTS}/new", {"email": "ann@example.org", "doNotContact": [{"reason": 2}]})
    (noted,) = answer.json()["contact"]["doNotContact"]
    assert (noted["channel"], noted["reason"]) == ("email", 2)
    row = {"id": answer.json()["contact"]["id"], "doNotContact": [{"channel": "email", "reason": 0}]}
    edited = client.put(f"{CONTACTS}/batch/edit", [{**row, "email": "ann@example.org"}]).json()
    assert edited["contacts"][0]["doNotContact"] == []


def test_a_phone_number_that_the_database_cannot_hold_breaks_the_request(client: Client) -> None:
    told = error(client.post(f"{CONTACTS}/new", {"email": "ann@example.org", "phone": "1" * 192}))
    assert told["code"] == 500
    assert "#500" in told["message"]
    assert client.get(CONTACTS).json()["contacts"] == {}
