"""What is decided about contacts over HTTP: for one, for many, and by many at once."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put

SELECT = "/contacts/crm/select"
FILTERED = "/contacts/crm/select/filtered"


@pytest.fixture
def contacts(api: Api) -> dict[str, UUID]:
    """One contact in each state, and one never selected, by the address `<state>@example.com`."""
    with api.engine.begin() as connection:
        ids = {state: add_contact(connection, f"{state}@example.com", name=state) for state in (*STATES, "new")}
        for state in STATES:
            put(connection, ids[state], state)
    return ids


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", [SELECT, f"{SELECT}/"])
def test_the_originals_request_selects_with_both_methods_and_either_spelling_of_the_path(
    api_of_two: Api, method: str, path: str
) -> None:
    api = api_of_two
    [contact] = api.people.add(select=False)
    answer = api.call(method, path, json={"contact_ids": [str(contact)], "crms": ["brevo"], "action": "select"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["crms"][0]["selected"] == 1
    assert api.people.states() == {"queued": 1}
    everywhere = {"contact_ids": [str(contact)], "crms": ["brevo_eu", "brevo"]}
    told = [api.call(method, path, json={**everywhere, "action": action}).json() for action in ("select", "unselect")]
    assert [one["selected"] for one in told[0]["crms"]] == [0, 1]
    assert [one["unselected"] for one in told[1]["crms"]] == [1, 1]


def test_every_id_is_accounted_for_with_the_reason(api: Api, contacts: dict[str, UUID]) -> None:
    stranger = str(uuid4())
    ids = [str(one) for one in contacts.values()]
    told = api.post(SELECT, {"contact_ids": [*ids, stranger, stranger], "crms": ["Brevo"], "action": "select"})
    [counts] = told["crms"]
    assert counts == {
        "crm": "brevo",
        "selected": 6,
        "already_queued": 2,
        "claimed": 1,
        "suppressed": 1,
        "unknown": 0,
        "unselected": 0,
        "unchanged": 0,
    }
    assert {(one["contact_id"], one["crm"], one["reason"]) for one in told["refused"]} == {
        (stranger, None, "not_found"),
        (str(contacts["suppressed"]), "brevo", "suppressed"),
    }
    told = api.post(SELECT, {"contact_ids": ids, "crms": ["brevo", "hubspot"], "action": "unselect"})
    assert [(one["crm"], one["unselected"], one["unchanged"]) for one in told["crms"]] == [
        ("brevo", 9, 0),
        ("hubspot", 0, 10),
    ]
    assert told["crms"][0]["suppressed"] == 1


def test_twenty_who_select_the_same_contacts_at_once_select_each_once(api_of_two: Api) -> None:
    api = api_of_two
    ids = [str(one) for one in api.people.add(50, select=False)]

    def select(number: int) -> dict[str, int]:
        order = ids[number:] + ids[:number]
        counts: dict[str, int] = api.another().post(SELECT, {"contact_ids": order, "crms": ["brevo", "brevo_eu"]})[
            "crms"
        ][0]
        return counts

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(select, range(20)))
    assert sum(one["selected"] for one in told) == 50
    assert sum(one["already_queued"] for one in told) == 19 * 50
    assert sum(write["contacts"] for write in api.writes()) == 100
    assert [row["revision"] for row in api.people.all("SELECT DISTINCT revision FROM crm_syncs")] == [1]


@pytest.mark.parametrize(
    "body",
    [
        {"contact_ids": [], "crms": ["brevo"]},
        {"contact_ids": ["1"], "crms": ["brevo"]},
        {"contact_ids": [str(uuid4())], "crms": []},
        {"contact_ids": [str(uuid4())], "crms": ["brewo"]},
        {"contact_ids": [str(uuid4())], "crms": ["brevo"], "action": "delete"},
        {"contact_ids": [str(uuid4())], "crms": ["brevo"], "acton": "unselect"},
        {"contact_ids": "all", "crms": ["brevo"]},
        [],
    ],
)
def test_a_selection_that_makes_no_sense_is_refused_whole(api: Api, body: object) -> None:
    assert api.refused("POST", SELECT, json=body) == (422, "validation_failed")
    assert api.writes() == []


@pytest.mark.parametrize(
    ("given", "matching"),
    [
        ({"status": "New"}, {"unselected", "new"}),
        ({"status": "Error"}, {"failed", "rejected"}),
        (
            {"domain": "EXAMPLE.com", "text": "ED@"},
            {"queued", "claimed", "synced", "unselected", "failed", "rejected", "skipped", "suppressed"},
        ),
        ({"text": "new"}, {"new"}),
        ({"domain": "ample.com"}, set()),
        ({"created_since": "2999-01-01T00:00:00Z"}, set()),
        ({"created_since": "2001-01-01T00:00:00+02:00", "email_type": "work"}, set()),
    ],
)
def test_a_filter_finds_those_for_which_all_of_it_holds(
    api: Api, contacts: dict[str, UUID], given: dict[str, str], matching: set[str]
) -> None:
    told = api.post("/contacts/search", {"filter": given})
    assert {one["name"] for one in told["items"]} == matching
    assert told["total"] == len(matching)
    assert api.post(FILTERED, {"filter": given, "crms": ["brevo"], "dry_run": True})["contacts"] == len(matching)


@pytest.mark.parametrize(
    "text", ["%", "_", "'", "'; DROP TABLE crm_contacts; --", "\\", "' OR '1'='1", "{matching}", ":crm", "*"]
)
def test_the_text_of_a_filter_is_never_a_pattern_and_never_sql(api: Api, contacts: dict[str, UUID], text: str) -> None:
    for field in ("text", "domain", "email_type"):
        body = {"filter": {field: text}, "crms": ["brevo"]}
        assert api.post(FILTERED, body)["contacts"] == 0
    assert len(api.people.all("SELECT id FROM crm_contacts")) == len(contacts)


def test_a_filter_that_says_nothing_means_nobody_until_everyone_is_said(api: Api, contacts: dict[str, UUID]) -> None:
    assert api.refused("POST", FILTERED, json={"crms": ["brevo"]}) == (422, "validation_failed")
    both = {"crms": ["brevo"], "everyone": True, "filter": {"status": "New"}}
    assert api.refused("POST", FILTERED, json=both) == (422, "validation_failed")
    assert api.post(FILTERED, {"crms": ["brevo"], "everyone": True})["crms"][0]["selected"] == 6


def test_thousands_are_selected_in_one_call_once_their_number_is_confirmed(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO crm_contacts (email) SELECT 'u' || i || '@bulk.example' FROM generate_series(1, 2000) i"
            )
        )
    body = {"filter": {"domain": "bulk.example"}, "crms": ["brevo"]}
    assert api.post(FILTERED, {**body, "dry_run": True})["contacts"] == 2_000
    for confirm in (None, 1000, 1_999):
        answer = api.call("POST", FILTERED, json={**body, "confirm": confirm})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "confirmation_required")
        assert answer.json()["error"]["details"] == {"contacts": 2_000}
    assert api.people.states() == {}
    told = api.post(FILTERED, {**body, "confirm": 2_000})
    assert told["crms"][0]["selected"] == 2_000
    [write] = api.writes()
    assert (write["action"], write["contacts"], write["contact_ids"]) == ("select_filtered", 2_000, [])


def test_a_triggered_contact_is_first_even_without_dagster_and_the_answer_says_so(
    api: Api, contacts: dict[str, UUID]
) -> None:
    answer = api.call(
        "POST", "/contacts/crm/sync/trigger", json={"contact_id": str(contacts["waiting"]), "crm": "brevo"}
    )
    told = answer.json()
    assert answer.status_code == 202
    assert (told["run_id"], told["run_url"], told["outcome"]) == (None, None, "already_queued")
    assert told["message"].startswith("First in the queue. Dagster did not start a run")
    first = api.people.all(
        "SELECT contact_id, attempts FROM crm_syncs WHERE state = 'queued' ORDER BY run_at, contact_id LIMIT 1"
    )
    assert first == [{"contact_id": contacts["waiting"], "attempts": 2}]
    assert api.people.sync(contacts["waiting"])["due_in"] < 0


def test_who_does_not_exist_or_is_suppressed_is_not_triggered(api: Api, contacts: dict[str, UUID]) -> None:
    for contact, error in ((uuid4(), (404, "contact_not_found")), (contacts["suppressed"], (409, "suppressed"))):
        assert (
            api.refused("POST", "/contacts/crm/sync/trigger", json={"contact_id": str(contact), "crm": "brevo"})
            == error
        )
    assert api.writes() == []


def test_retry_counts_first_and_then_requeues_by_ids_kind_or_all(api: Api, contacts: dict[str, UUID]) -> None:
    api.people.run("UPDATE crm_syncs SET run_at = now() + interval '1 hour' WHERE attempts = 2")
    everyone = {"crm": "brevo", "all": True}
    foreseen = api.post("/contacts/crm/retry", {**everyone, "dry_run": True})
    assert (foreseen["requeued"], foreseen["hastened"]) == (2, 1)
    assert api.writes() == []
    assert api.post("/contacts/crm/retry", {"crm": "brevo", "kind": "rejected"})["requeued"] == 1
    stranger = str(uuid4())
    by_id = api.post("/contacts/crm/retry", {"crm": "brevo", "contact_ids": [str(contacts["failed"]), stranger]})
    assert (by_id["requeued"], by_id["not_found"]) == (1, [stranger])
    assert api.post("/contacts/crm/retry", everyone)["hastened"] == 1
    assert [write["contacts"] for write in api.writes()] == [1, 1, 1]
    assert api.refused("POST", "/contacts/crm/retry", json={"crm": "brevo"}) == (422, "validation_failed")
    assert api.refused("POST", "/contacts/crm/retry", json={"crm": "brevo", "kind": "x"}) == (422, "invalid_request")


def test_who_may_have_arrived_is_retried_by_id_or_kind_and_not_with_all(api: Api, contacts: dict[str, UUID]) -> None:
    api.people.run("UPDATE crm_syncs SET last_error_kind = 'unknown' WHERE contact_id = :id", id=contacts["failed"])
    done = api.post("/contacts/crm/retry", {"crm": "brevo", "all": True})
    assert (done["requeued"], done["unknown"]) == (1, 1)
    asked = {"crm": "brevo", "kind": "unknown", "dry_run": True}
    assert api.post("/contacts/crm/retry", asked)["requeued"] == 1
    by_id = api.post("/contacts/crm/retry", {"crm": "brevo", "contact_ids": [str(contacts["failed"])]})
    assert (by_id["requeued"], by_id["unknown"]) == (1, 0)
