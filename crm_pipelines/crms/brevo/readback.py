"""Reads one contact back and compares it with what was sent, each field in Brevo's normal form."""

from collections.abc import Sequence, Set

import requests

from crm_pipelines.crms.base import ADDRESS, LIST, MISSING, BeforeRequest, Outcome, Payload, Result
from crm_pipelines.crms.brevo.normal_form import normal
from crm_pipelines.crms.brevo.outcomes import classify, classify_exception, json_object
from crm_pipelines.crms.brevo.upsert import Send
from crm_pipelines.crms.transport import Answer


def differences(
    payload: Payload,
    names: Set[str],
    *,
    remote_id: str | None,
    send: Send,
    before_request: BeforeRequest,
    list_ids: Sequence[int],
    secrets: tuple[str, ...],
) -> tuple[Outcome, frozenset[str] | None]:
    """See `Crm.differences`. By our id, then by Brevo's number: so no address stands in a path."""
    outcome: Outcome | None = None
    for identifier_type, identifier in {"ext_id": payload.external_id, "contact_id": remote_id}.items():
        if identifier is None:
            continue
        before_request()
        try:
            answer = send("GET", f"/contacts/{identifier}", params={"identifierType": identifier_type})
        except requests.RequestException as error:
            return classify_exception(error), None
        outcome = classify(answer, hide=(*secrets, payload.key))
        if outcome.result is Result.SYNCED:
            return outcome, _compare(payload, names, answer, list_ids)
        if outcome.result is not Result.REJECTED or outcome.http_status != 404:
            return outcome, None
    assert outcome is not None
    return outcome, frozenset({MISSING})


def _compare(payload: Payload, names: Set[str], answer: Answer, list_ids: Sequence[int]) -> frozenset[str] | None:
    contact = json_object(answer)
    attributes = contact.get("attributes") if contact else None
    if contact is None or not isinstance(attributes, dict):
        return None
    differing = {
        name
        for name in names
        if name not in attributes or normal(name, attributes[name]) != normal(name, payload.attributes[name])
    }
    if str(contact.get("email")).lower() != payload.key:
        differing.add(ADDRESS)
    lists = contact.get("listIds")
    if not set(list_ids) <= set(lists if isinstance(lists, list) else ()):
        differing.add(LIST)
    return frozenset(differing)
