"""What a workflow found out about a contact: who may tell it, how often it counts, and what becomes of it."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from crm_pipelines.api.access import FAILURES_PER_MINUTE
from crm_pipelines.api.n8n import LARGEST_MESSAGE
from crm_pipelines_tests.fixtures.api import Api, error_of
from crm_pipelines_tests.fixtures.workflows import SECRET, Workflow, message_about
from crm_pipelines_tests.integration.contacts.states import put
from crm_pipelines_tests.patience import PATIENCE

PHONE = {"phone": "+1 202 555 0143"}
ALL_OF_IT = {
    "phone": "+1 (202) 555-0143",
    "address": {"street": "1 Main St", "city": "Springfield", "state": "IL", "zip": 62701, "country": "US"},
    "social_profiles": {"linkedin": "https://linkedin.example/in/ada", "xing": "https://xing.example/ada"},
    "company": {"name": "Analytical Engines", "website": "https://engines.example", "industry": "Machines", "size": 50},
    "additional_emails": ["ada@work.example"],
    "confidence_score": 85,
    "sources": ["registry", "hunter"],
    "job_title": "Countess",
}


@pytest.fixture
def ada(workflow: Workflow) -> UUID:
    return workflow.api.people.add(email="ada@example.com", name="Ada Lovelace", select=False)[0]


def test_blank_fields_are_filled_and_all_that_was_found_is_kept(workflow: Workflow, ada: UUID) -> None:
    metadata = {"enrichment_duration_seconds": 12.5, "api_calls_made": 3, "cost_estimate": 0.15, "source": "enrich"}
    answer = workflow.tell(ada, enriched_data=ALL_OF_IT, metadata=metadata)
    assert answer["success"] is True
    assert answer["already"] is False
    assert (answer["contact_id"], answer["enrichment_id"]) == (str(ada), "run-1")
    contact = workflow.contact(ada)
    assert contact["phone_number"] == "+12025550143"
    assert contact["email"] == "ada@example.com"
    assert contact["custom_fields"] == {
        "street": "1 Main St",
        "city": "Springfield",
        "state": "IL",
        "zip": "62701",
        "country": "US",
        "linkedin": "https://linkedin.example/in/ada",
        "company": "Analytical Engines",
        "company_website": "https://engines.example",
        "company_industry": "Machines",
        "company_size": "50",
    }
    custom = [f"custom_fields.{name}" for name in contact["custom_fields"]]
    assert sorted(answer["updated_fields"]) == sorted(["phone_number", *custom])
    [stored] = workflow.stored()
    assert stored["found"]["job_title"] == "Countess"
    assert stored["found"]["social_profiles"]["xing"] == "https://xing.example/ada"
    assert stored["found"]["additional_emails"] == ["ada@work.example"]
    assert (stored["confidence"], stored["sources"]) == (85, ["registry", "hunter"])
    assert (stored["duration_seconds"], stored["api_calls"], stored["cost_estimate"]) == (12.5, 3, 0.15)
    assert stored["filled"] == answer["updated_fields"]


def test_what_is_there_stays_unless_the_setting_names_it(workflow: Workflow) -> None:
    custom = {"Company": "Difference Engines", "linkedin": "https://linkedin.example/in/countess"}
    [contact] = workflow.api.people.add(name="Ada Lovelace", phone_number="+44 20 7946 0958", custom_fields="{}")
    workflow.api.people.run(
        "UPDATE crm_contacts SET custom_fields = CAST(:custom AS jsonb)", custom=str(custom).replace("'", '"')
    )
    answer = workflow.tell(contact, enriched_data={**ALL_OF_IT, "first_name": "Augusta", "last_name": "Lovelace"})
    after = workflow.contact(contact)
    assert (after["phone_number"], after["name"]) == ("+44 20 7946 0958", "Ada Lovelace")
    assert after["custom_fields"]["linkedin"] == "https://linkedin.example/in/countess"
    assert after["custom_fields"]["Company"] == "Analytical Engines", "under the name that it has here"
    assert "company" not in after["custom_fields"]
    assert answer["kept_fields"] == {
        "phone_number": "it has another value",
        "first_name": "it has another value",
        "last_name": "it has this value already",
        "custom_fields.linkedin": "it has another value",
    }
    assert workflow.stored()[0]["overwritten"] == ["custom_fields.Company"]


def test_a_custom_field_is_the_same_however_it_is_spelt_within_one_message(workflow: Workflow, ada: UUID) -> None:
    custom = {"Job Title": "Countess", "job_title": "Analyst", "★": "star", "❤": "heart", " ": "nameless"}
    answer = workflow.tell(ada, enriched_data={"custom_fields": custom})
    assert workflow.contact(ada)["custom_fields"] == {"Job Title": "Countess", "★": "star", "❤": "heart"}
    assert answer["kept_fields"] == {"custom_fields.Job Title": "it has another value"}


def test_a_name_is_filled_where_there_is_none_and_completed_where_a_part_is_missing(workflow: Workflow) -> None:
    [nobody], [half] = (workflow.api.people.add(name=name) for name in (None, "Ada"))
    for contact in (nobody, half):
        workflow.tell(contact, enriched_data={"first_name": "Ada", "last_name": "Lovelace"})
        after = workflow.contact(contact)
        assert [after[name] for name in ("name", "first_name", "last_name")] == ["Ada Lovelace", "Ada", "Lovelace"]


def test_a_phone_number_that_is_none_is_not_taken_and_one_that_says_so_in_words_is_blank(workflow: Workflow) -> None:
    [contact] = workflow.api.people.add(phone_number="Phone not found")
    answer = workflow.tell(contact, enriched_data={"phone": "on request"})
    assert answer["kept_fields"] == {"phone_number": "not a phone number"}
    assert workflow.contact(contact)["phone_number"] == "Phone not found"
    workflow.tell(contact, "run-2", enriched_data=PHONE)
    assert workflow.contact(contact)["phone_number"] == "+12025550143"


def test_the_same_message_counts_once_for_ever(workflow: Workflow, ada: UUID) -> None:
    first = workflow.tell(ada, enriched_data=PHONE)
    workflow.api.people.run("UPDATE crm_contacts SET phone_number = NULL")
    workflow.api.people.run("UPDATE crm_enrichments SET received_at = now() - interval '10 years'")
    workflow.tell(ada, "run-2", enriched_data={})
    again = workflow.tell(ada, minutes=1, metadata={"api_calls": 4}, enriched_data=PHONE)
    assert (first["already"], again["already"], again["updated_fields"]) == (False, True, [])
    assert workflow.contact(ada)["phone_number"] is None
    assert len(workflow.stored()) == 2


def test_the_same_id_with_other_content_is_refused_and_the_first_stays(workflow: Workflow, ada: UUID) -> None:
    workflow.tell(ada, enriched_data=PHONE)
    for other in (
        {"enriched_data": {"phone": "+1 202 555 0199"}},
        {"enriched_data": PHONE, "status": "partial"},
        {"enriched_data": PHONE, "error": "a source is missing"},
    ):
        assert workflow.refused(message_about(ada, **other)) == (409, "enrichment_changed")
    assert workflow.contact(ada)["phone_number"] == "+12025550143"
    assert len(workflow.stored()) == 1


def test_an_older_message_is_kept_and_overwrites_nothing(workflow: Workflow, ada: UUID) -> None:
    workflow.tell(ada, "later", minutes=1, enriched_data={"company": {"name": "New"}})
    answer = workflow.tell(ada, "earlier", enriched_data={"company": {"name": "Old"}, **PHONE})
    assert answer["updated_fields"] == ["phone_number"]
    assert "later message" in answer["kept_fields"]["custom_fields.company"]
    workflow.tell(ada, "latest", minutes=2, enriched_data={"company": {"name": "Newer"}})
    assert workflow.contact(ada)["custom_fields"]["company"] == "Newer"
    assert [one["enrichment_id"] for one in workflow.stored()] == ["later", "earlier", "latest"]


def test_a_later_message_of_which_nothing_was_taken_makes_none_outdated(workflow: Workflow, ada: UUID) -> None:
    workflow.tell(ada, "first", enriched_data={"company": {"name": "Old"}})
    workflow.tell(ada, "later", minutes=2, enriched_data={"company": {"name": "Old"}})
    answer = workflow.tell(ada, "between", minutes=1, enriched_data={"company": {"name": "New"}})
    assert answer["updated_fields"] == ["custom_fields.company"]


def test_a_time_in_the_future_is_refused_but_for_a_clock_that_is_a_little_ahead(workflow: Workflow, ada: UUID) -> None:
    answer = workflow.send(message_about(ada, minutes=12 * 60, enriched_data=PHONE))
    assert error_of(answer) == (422, "validation_failed")
    assert answer.json()["error"]["details"][0]["field"] == "body.timestamp"
    assert workflow.stored() == []
    workflow.tell(ada, minutes=2, enriched_data=PHONE)


@pytest.mark.parametrize("status", ["partial", "failed"])
def test_what_is_not_complete_is_kept_with_its_error_and_a_failed_one_fills_nothing(
    workflow: Workflow, ada: UUID, status: str
) -> None:
    error = f"the source refused {SECRET}"
    workflow.tell(ada, status=status, error=error, enriched_data=PHONE)
    [stored] = workflow.stored()
    assert (stored["status"], stored["error"]) == (status, "the source refused ***")
    assert bool(workflow.contact(ada)["phone_number"]) is (status == "partial")


@pytest.mark.parametrize("metadata", [None, {}, {"cost_estimate": None}, {"duration_seconds": 1}])
def test_no_part_of_the_metadata_is_needed(workflow: Workflow, ada: UUID, metadata: Any) -> None:
    workflow.tell(ada, enriched_data=PHONE, metadata=metadata)
    workflow.tell(ada, "run-2", metadata=metadata)
    assert len(workflow.stored()) == 2


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("enriched_data.phone", {"enriched_data": {"phone": "1" * 51}}),
        ("enriched_data.company.description", {"enriched_data": {"company": {"description": "x" * 10_001}}}),
        ("enriched_data.address.city", {"enriched_data": {"address": {"city": "a\0b"}}}),
        ("enriched_data.confidence_score", {"enriched_data": {"confidence_score": 101}}),
        ("enriched_data", {"enriched_data": {"nobody_asked": "x" * 100_001}}),
        ("enriched_data", {"enriched_data": {str(number): 1 for number in range(101)}}),
        ("enriched_data", {"enriched_data": "found"}),
        ("enriched_data.sources", {"enriched_data": {"sources": ["one"] * 101}}),
        ("metadata.cost_estimate", {"metadata": {"cost_estimate": -1}}),
        ("metadata.api_calls_made", {"metadata": {"api_calls_made": 10**20}}),
        ("enrichment_id", {"enrichment_id": "x" * 256}),
        ("enrichment_id", {"enrichment_id": ""}),
        ("enrichment_id", {"enrichment_id": "a\0b"}),
        ("error", {"error": "a\0b"}),
        ("error", {"error": "\ud800"}),
        ("status", {"status": "done"}),
        ("timestamp", {"timestamp": "2026-01-31T12:00:00"}),
        ("timestamp", {"timestamp": 1_700_000_000}),
        ("timestamp", {"timestamp": "0001-01-01T00:00:00+14:00"}),
        ("timestamp", {"timestamp": "0001-01-01T00:00:00Z"}),
        ("timestamp", {"timestamp": "9999-12-31T23:59:59-12:00"}),
        ("contact_id", {"contact_id": "ada"}),
        ("enrichment_data", {"enrichment_data": {}}),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_field(
    workflow: Workflow, ada: UUID, field: str, change: dict[str, Any]
) -> None:
    answer = workflow.send({**message_about(ada), **change})
    assert error_of(answer) == (422, "validation_failed")
    assert {one["field"] for one in answer.json()["error"]["details"]} == {f"body.{field}"}
    assert workflow.stored() == []


def test_a_message_that_is_too_large_is_refused(workflow: Workflow, ada: UUID) -> None:
    assert workflow.refused(message_about(ada, error="x" * LARGEST_MESSAGE)) == (413, "body_too_large")


def test_a_contact_that_is_not_there_is_not_found(workflow: Workflow, ada: UUID) -> None:
    assert workflow.refused(message_about(uuid4(), enriched_data=PHONE)) == (404, "contact_not_found")
    workflow.tell(ada, enriched_data=PHONE)
    workflow.api.call("DELETE", f"/contacts/{ada}")
    assert workflow.stored() == [], "it goes with the contact"
    assert workflow.refused(message_about(ada, enriched_data=PHONE)) == (404, "contact_not_found")


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "\xe9"])
def test_only_the_secret_opens(workflow: Workflow, ada: UUID, secret: str | None) -> None:
    answer = workflow.send(message_about(ada), secret=secret)
    assert error_of(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    token = workflow.api.token
    assert workflow.refused(message_about(ada), secret=token) == (401, "unauthorized"), "no token of the API, either"
    assert workflow.stored() == []


def test_of_whoever_does_not_show_the_secret_no_body_is_read(workflow: Workflow) -> None:
    url = f"{workflow.api.url}/webhooks/n8n/enrichment-complete"
    for shown in ({}, {"Authorization": "Bearer wrong"}):
        headers = {"Content-Type": "application/json", **shown}
        answer = requests.post(url, data=b"{", headers=headers, timeout=PATIENCE)
        assert error_of(answer) == (401, "unauthorized")


def test_the_secret_opens_nothing_else(workflow: Workflow) -> None:
    workflow.api.sign_in(SECRET)
    assert workflow.api.refused("GET", "/contacts") == (401, "unauthorized")


def test_guesses_at_the_secret_are_throttled_and_the_right_one_is_not_locked_out(workflow: Workflow, ada: UUID) -> None:
    for _ in range(FAILURES_PER_MINUTE):
        assert workflow.refused({}, secret="wrong") == (401, "unauthorized")
    assert workflow.refused({}, secret="wrong") == (429, "too_many_requests")
    workflow.tell(ada, enriched_data=PHONE)


def test_the_secret_of_health_is_that_of_the_messages(workflow: Workflow) -> None:
    url = f"{workflow.api.url}/webhooks/n8n/health"
    good = requests.get(url, headers={"Authorization": f"Bearer {SECRET}"}, timeout=PATIENCE)
    assert good.json()["status"] == "healthy"
    assert good.json()["webhook_url"] == "/api/v3/webhooks/n8n/enrichment-complete"
    assert error_of(requests.get(url, timeout=PATIENCE)) == (401, "unauthorized")


def test_without_a_secret_nothing_is_taken_and_the_answer_names_the_variable(serve_api: Callable[..., Api]) -> None:
    answer = Workflow(serve_api()).send({}, secret="")
    assert error_of(answer) == (503, "n8n_not_configured")
    assert "N8N_WEBHOOK_SECRET" in answer.json()["error"]["message"]


def test_each_message_stands_in_the_audit_log_once(workflow: Workflow, ada: UUID) -> None:
    for _ in range(2):
        workflow.tell(ada, enriched_data=PHONE)
    workflow.tell(ada, "run-2", status="failed")
    lines = workflow.api.people.all("SELECT token_id, action, crms, contacts, contact_ids FROM crm_api_writes")
    line = {"token_id": None, "action": "enrichment", "crms": ["n8n"], "contact_ids": [ada]}
    assert lines == [{**line, "contacts": 1}, {**line, "contacts": 0}]


def test_the_same_message_many_times_at_once_counts_once(workflow: Workflow, ada: UUID) -> None:
    answers = at_once(workflow, [message_about(ada, enriched_data=PHONE)] * 8)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sorted(answer.json()["already"] for answer in answers) == [False] + [True] * 7
    assert len(workflow.stored()) == 1
    assert workflow.contact(ada)["revision"] == 2


def test_two_messages_at_once_both_count_and_the_later_one_wins(workflow: Workflow, ada: UUID) -> None:
    messages = [
        message_about(ada, f"run-{number}", minutes=number / 10, enriched_data={"company": {"name": f"No. {number}"}})
        for number in range(8)
    ]
    answers = at_once(workflow, messages)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(workflow.stored()) == 8
    assert workflow.contact(ada)["custom_fields"] == {"company": "No. 7"}


def test_what_one_workflow_found_is_no_news_to_another(
    serve_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,n8n,n8n_eu:n8n")
    for name, secret in (("N8N", SECRET), ("N8N_EU", f"{SECRET}-eu")):
        monkeypatch.setenv(f"{name}_WEBHOOK_URL", f"https://{name.lower().replace('_', '-')}.example.com/webhook/x")
        monkeypatch.setenv(f"{name}_WEBHOOK_SECRET", secret)
    both = Workflow(serve_api())
    [contact] = both.api.people.add(select=False)
    with both.api.engine.begin() as connection:
        for crm in ("brevo", "n8n", "n8n_eu"):
            put(connection, contact, "synced", crm=crm)
    both.tell(contact, enriched_data=PHONE)
    states = both.api.people.all("SELECT crm, state FROM crm_syncs ORDER BY crm")
    assert {row["crm"]: row["state"] for row in states} == {"brevo": "queued", "n8n": "synced", "n8n_eu": "synced"}


def at_once(workflow: Workflow, messages: list[Any]) -> list[requests.Response]:
    answers: list[requests.Response] = []
    together = threading.Barrier(len(messages))

    def send(message: Any) -> None:
        together.wait(PATIENCE)
        answers.append(workflow.send(message))

    threads = [threading.Thread(target=send, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return answers
