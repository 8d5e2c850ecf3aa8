"""The judge of HubSpot's requests and answers finds what is wrong."""

from typing import Any

import pytest

from crm_pipelines_tests.hubspot_models import complaints_about_answer, complaints_about_request

UPSERT = "/crm/v3/objects/contacts/batch/upsert"
ROW: dict[str, Any] = {"id": "a@example.org", "idProperty": "email", "properties": {"firstname": "Ann"}}
RESULT: dict[str, Any] = {
    "id": "101",
    "new": True,
    "properties": {"email": "a@example.org", "lastname": None},
    "createdAt": "2026-01-02T03:04:05.678Z",
    "updatedAt": "2026-01-02T03:04:05Z",
    "archived": False,
}
ANSWER: dict[str, Any] = {
    "status": "COMPLETE",
    "startedAt": "2026-01-02T03:04:05.678Z",
    "completedAt": "2026-01-02T03:04:05.678Z",
    "results": [RESULT],
}


@pytest.mark.parametrize("path", [UPSERT, "/crm/objects/2026-03/contacts/batch/upsert"])
def test_it_has_nothing_against_what_is_right(path: str) -> None:
    assert complaints_about_request("POST", path, {"inputs": [{**ROW, "objectWriteTraceId": "1"}]}) == []
    assert complaints_about_answer("POST", path, 200, ANSWER) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "inputs"),
        ({"inputs": ROW}, ".inputs is no list"),
        ({"inputs": [{"id": "a@example.org"}]}, ".inputs[0].properties"),
        ({"inputs": [{"properties": {}}]}, ".inputs[0].id"),
        ({"inputs": [{**ROW, "id": 1}]}, ".inputs[0].id is no str: 1"),
        ({"inputs": [{**ROW, "email": "a@example.org"}]}, ".inputs[0].email is unknown"),
        ({"inputs": [{**ROW, "properties": {"age": 1}}]}, ".inputs[0].properties.age is no str: 1"),
        ({"inputs": [{**ROW, "properties": {"age": None}}]}, ".inputs[0].properties.age is no str: None"),
        ([ROW], " is no object"),
    ],
)
def test_it_names_what_is_wrong_in_a_request(body: Any, complaint: str) -> None:
    (found,) = complaints_about_request("POST", UPSERT, body)
    assert complaint in found


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (201, ANSWER, "status 201"),
        (200, {**ANSWER, "status": "DONE"}, ".status"),
        (200, {**ANSWER, "numErrors": 0}, ".numErrors is unknown"),
        (200, {**ANSWER, "startedAt": 1}, ".startedAt is no datetime"),
        (200, {**ANSWER, "results": [{**RESULT, "new": "yes"}]}, ".results[0].new is no bool"),
        (200, {**ANSWER, "results": [{**RESULT, "new": None}]}, ".results[0].new"),
        (400, {"status": "error", "message": "x", "category": "VALIDATION_ERROR"}, ".correlationId"),
    ],
)
def test_it_names_what_is_wrong_in_an_answer(status: int, body: Any, complaint: str) -> None:
    (found,) = complaints_about_answer("POST", UPSERT, status, body)
    assert complaint in found


def test_it_knows_what_has_no_body_and_what_there_is_not_at_all() -> None:
    assert complaints_about_request("GET", "/crm/v3/objects/contacts/101", None) == []
    assert complaints_about_request("GET", "/crm/v3/objects/contacts/101", {}) == ["there should be no body"]
    assert complaints_about_answer("DELETE", "/crm/v3/objects/contacts/101", 204, None) == []
    assert complaints_about_request("POST", "/crm/v3/objects/contacts/batch/merge", {}) == [
        "HubSpot has no POST /crm/v3/objects/contacts/batch/merge"
    ]
