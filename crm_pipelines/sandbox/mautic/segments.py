"""The endpoints of segments, and who is on them."""

import re

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.mautic.account import Account, Contact, Member, Segment
from crm_pipelines.sandbox.mautic.answers import (
    ACCESS_DENIED,
    BAD_REQUEST,
    ApiError,
    InvalidError,
    not_found,
    php_array,
    read_body,
    read_id,
    read_page,
)
from crm_pipelines.sandbox.mautic.times import now_ms


def create_segment(account: Account, call: Call) -> Answer:
    """POST /segments/new: 201. Of a segment the sandbox has a name and whether it is published, no filters."""
    given = read_body(call)
    name = given.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidError({"name": "A name is required."})
    alias = str(given.get("alias") or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
    account.last_segment_id += 1
    segment = Segment(
        id=account.last_segment_id, name=name.strip(), alias=alias, published=bool(given.get("isPublished", True))
    )
    account.segments[segment.id] = segment
    account.revision += 1
    return reply(201, {"list": segment.as_json()})


def list_segments(account: Account, call: Call) -> Answer:
    """GET /segments: as an object by their ids."""
    start, limit = read_page(call, account.config.page_limit)
    every = list(account.segments.values())
    shown = every[start : start + limit] if limit else every[start:]
    rows = {segment.id: segment.as_json() for segment in shown}
    return reply(200, {"total": len(every), "lists": php_array(rows)})


def read_segment(account: Account, _: Call, segment_id: str) -> Answer:
    """GET /segments/{id}."""
    return reply(200, {"list": _segment(account, segment_id).as_json()})


def delete_segment(account: Account, _: Call, segment_id: str) -> Answer:
    """DELETE /segments/{id}/delete: its contacts stay."""
    segment = _segment(account, segment_id)
    del account.segments[segment.id]
    account.revision += 1
    return reply(200, {"list": {**segment.as_json(), "id": None}})


def add_contact(account: Account, _: Call, segment_id: str, contact_id: str) -> Answer:
    """POST /segments/{id}/contact/{contactId}/add: also one that was removed from it by hand."""
    segment, contact = _pair(account, segment_id, contact_id)
    _add(account, segment, contact)
    return reply(200, {"success": 1})


def remove_contact(account: Account, _: Call, segment_id: str, contact_id: str) -> Answer:
    """POST /segments/{id}/contact/{contactId}/remove."""
    segment, contact = _pair(account, segment_id, contact_id)
    if contact.id in segment.members:
        segment.members[contact.id].removed = True
        account.revision += 1
    return reply(200, {"success": 1})


def add_contacts(account: Account, call: Call, segment_id: str) -> Answer:
    """POST /segments/{id}/contacts/add: what became of each is in `details`."""
    ids = read_body(call).get("ids")
    if ids is None:
        raise ApiError(400, BAD_REQUEST)
    segment = _visible(_segment(account, segment_id))
    details: dict[int | str, dict[str, bool]] = {}
    for one in ids if isinstance(ids, list) else []:
        contact = account.contacts.get(read_id(one) or 0)
        if contact is None:
            details[read_id(one) or str(one)] = {"success": False}
        else:
            _add(account, segment, contact)
            details[contact.id] = {"success": True}
    return reply(200, {"success": 1, "details": php_array(details)})


def _add(account: Account, segment: Segment, contact: Contact) -> None:
    member = segment.members.get(contact.id)
    if member is None or member.removed:
        segment.members[contact.id] = Member(added=now_ms() if member is None else member.added)
        account.revision += 1


def _pair(account: Account, segment_id: str, contact_id: str) -> tuple[Segment, Contact]:
    segment = _segment(account, segment_id)
    contact = account.contacts.get(read_id(contact_id) or 0)
    if contact is None:
        # So it stands in the answer: Mautic has no words for it.
        raise ApiError(404, "mautic.contact.error.notfound")
    return _visible(segment), contact


def _segment(account: Account, segment_id: str) -> Segment:
    segment = account.segments.get(read_id(segment_id) or 0)
    if segment is None:
        raise not_found()
    return segment


def _visible(segment: Segment) -> Segment:
    """Only a published segment takes contacts through the API, or ApiError 403."""
    if not segment.published:
        raise ApiError(403, ACCESS_DENIED)
    return segment
