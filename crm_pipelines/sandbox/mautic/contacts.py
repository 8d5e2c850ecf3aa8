"""The endpoints of single contacts."""

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.mautic.account import MANUAL, Account, Contact, members_json
from crm_pipelines.sandbox.mautic.answers import ApiError, not_found, php_array, read_body, read_id
from crm_pipelines.sandbox.mautic.saving import Manner, matching, save


def find(account: Account, text: object) -> Contact:
    """The contact with this id, or ApiError 404."""
    contact = account.contacts.get(read_id(text) or 0)
    if contact is None:
        raise not_found()
    return contact


def create_contact(account: Account, call: Call) -> Answer:
    """POST /contacts/new: 201 for a new contact, 200 for one that it matched."""
    given = read_body(call)
    known = matching(account, given)
    contact = save(account, known, given, Manner(put=False, clears=True))
    return _written(account, call, contact, new=known is None)


def edit_contact(account: Account, call: Call, contact_id: str) -> Answer:
    """PATCH and PUT /contacts/{id}/edit; PUT creates what there is not, with an id of its own."""
    put = call.method == "PUT"
    known = account.contacts.get(read_id(contact_id) or 0)
    if known is None and not put:
        raise not_found()
    contact = save(account, known, read_body(call), Manner(put=put, clears=put))
    return _written(account, call, contact, new=known is None)


def read_contact(account: Account, _: Call, contact_id: str) -> Answer:
    """GET /contacts/{id}."""
    return reply(200, {"contact": account.as_json(find(account, contact_id))})


def delete_contact(account: Account, _: Call, contact_id: str) -> Answer:
    """DELETE /contacts/{id}/delete: what the contact was, without its id."""
    contact = find(account, contact_id)
    described = account.as_json(contact)
    account.remove(contact)
    return reply(200, {"contact": {**described, "id": None}})


def read_segments(account: Account, _: Call, contact_id: str) -> Answer:
    """GET /contacts/{id}/segments: those that it is on; who was removed by hand is not told."""
    rows = members_json(account.segments.values(), find(account, contact_id).id)
    return reply(200, {"total": len(rows), "lists": php_array(rows)})


def add_dnc(account: Account, call: Call, contact_id: str, channel: str) -> Answer:
    """POST /contacts/{id}/dnc/{channel}/add."""
    contact, given = find(account, contact_id), read_body(call)
    reason = read_id(given.get("reason", MANUAL)) or 0
    if reason == 0:
        raise ApiError(
            400, "Invalid reason code given", details=["Reason code needs to be an integer and higher than 0."]
        )
    comments = str(given.get("comments") or "")
    account.add_dnc(contact, channel, reason=reason, comments=comments, channel_id=read_id(given.get("channelId") or 0))
    return reply(200, {"contact": account.as_json(contact)})


def remove_dnc(account: Account, _: Call, contact_id: str, channel: str) -> Answer:
    """POST /contacts/{id}/dnc/{channel}/remove."""
    contact = find(account, contact_id)
    found = account.remove_dnc(contact, channel)
    return reply(200, {"recordFound": found, "contact": account.as_json(contact)})


def _written(account: Account, call: Call, contact: Contact, *, new: bool) -> Answer:
    answer = reply(201 if new else 200, {"contact": account.as_json(contact)})
    location = f"http://{call.host}/api/contacts/{contact.id}".encode()
    return answer._replace(headers=(*answer.headers, (b"location", location))) if new else answer
