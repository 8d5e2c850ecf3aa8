"""Which endpoint answers which request, and which scope it needs."""

import re
from collections.abc import Callable

from crm_pipelines.sandbox.core.answers import Answer, Call
from crm_pipelines.sandbox.core.routing import Endpoint, Routes
from crm_pipelines.sandbox.hubspot import batches, contacts, lists, portal, schema, search
from crm_pipelines.sandbox.hubspot.account import Account
from crm_pipelines.sandbox.hubspot.answers import ApiError, missing_scopes, not_found

SEARCH = "/objects/contacts/search"
KEY_IN_BODY = "/oauth/v2/private-apps/get/access-token-info"
"""The one request whose body has the key: HubSpot wants it there. The log, which tells no key, has no body of it."""

# /crm/v3/objects/contacts and /crm/objects/2026-03/contacts are the same; 0-1 is the type of contacts.
_VERSION = r"(?:v\d|\d{4}-\d{2}(?:-beta)?)"
_CRM = re.compile(rf"/crm/(?:{_VERSION}/(objects|properties|lists)|(objects|properties|lists)/{_VERSION})(/.*)?")
_OTHERS = re.compile(rf"(/account-info|/communication-preferences)/{_VERSION}(/.*)")
_TYPE = re.compile(r"(/objects|/properties)/(?:contacts?|0-1)(?=/|$)")


def _needing(*scopes: str) -> Callable[[Endpoint], Endpoint]:
    def guard(endpoint: Endpoint) -> Endpoint:
        def guarded(account: Account, call: Call, *arguments: str) -> Answer:
            for scope in scopes:
                if account.scopes is not None and scope not in account.scopes:
                    raise missing_scopes([scope])
            return endpoint(account, call, *arguments)

        return guarded

    return guard


_reads = _needing("crm.objects.contacts.read")
_writes = _needing("crm.objects.contacts.write")
_describes = _needing("crm.schemas.contacts.write")
_reads_lists = _needing("crm.lists.read")
_writes_lists = _needing("crm.lists.read", "crm.lists.write")
_reads_consent = _needing("communication_preferences.read")

_ROUTES = Routes(
    [
        ("/objects/contacts", {"POST": _writes(contacts.create_contact), "GET": _reads(contacts.list_contacts)}),
        ("/objects/contacts/batch/upsert", {"POST": _writes(batches.upsert_batch)}),
        ("/objects/contacts/batch/update", {"POST": _writes(batches.update_batch)}),
        ("/objects/contacts/batch/create", {"POST": _writes(batches.create_batch)}),
        ("/objects/contacts/batch/read", {"POST": _reads(batches.read_batch)}),
        ("/objects/contacts/batch/archive", {"POST": _writes(batches.archive_batch)}),
        ("/objects/contacts/gdpr-delete", {"POST": _writes(contacts.erase_contact)}),
        ("/objects/contacts/merge", {"POST": _writes(contacts.merge_contacts)}),
        (SEARCH, {"POST": _reads(search.search_contacts)}),
        ("/properties/contacts", {"GET": _reads(schema.list_properties), "POST": _describes(schema.create_property)}),
        ("/properties/contacts/batch/create", {"POST": _describes(schema.create_properties)}),
        ("/properties/contacts/batch/read", {"POST": _reads(schema.read_properties)}),
        ("/properties/contacts/groups", {"GET": _reads(schema.list_groups), "POST": _describes(schema.create_group)}),
        ("/properties/contacts/groups/([^/]+)", {"GET": _reads(schema.read_group)}),
        (
            "/properties/contacts/([^/]+)",
            {
                "GET": _reads(schema.read_property),
                "PATCH": _describes(schema.update_property),
                "DELETE": _describes(schema.archive_property),
            },
        ),
        ("/lists", {"GET": _reads_lists(lists.read_lists), "POST": _writes_lists(lists.create_list)}),
        (r"/lists/(\d+)", {"GET": _reads_lists(lists.read_list), "DELETE": _writes_lists(lists.delete_list)}),
        ("/lists/object-type-id/0-1/name/([^/]+)", {"GET": _reads_lists(lists.read_list_by_name)}),
        ("/lists/records/0-1/([^/]+)/memberships", {"GET": _reads_lists(lists.lists_of_contact)}),
        (r"/lists/(\d+)/memberships", {"GET": _reads_lists(lists.list_members)}),
        (r"/lists/(\d+)/memberships/add", {"PUT": _writes_lists(lists.add_members)}),
        (r"/lists/(\d+)/memberships/remove", {"PUT": _writes_lists(lists.remove_members)}),
        (r"/lists/(\d+)/memberships/add-and-remove", {"PUT": _writes_lists(lists.change_members)}),
        ("/account-info/details", {"GET": portal.read_details}),
        (KEY_IN_BODY, {"POST": portal.read_scopes}),
        (
            "/communication-preferences/statuses/batch/unsubscribe-all/read",
            {"POST": _reads_consent(portal.read_opt_outs)},
        ),
        (
            "/objects/contacts/(.+)",
            {
                "GET": _reads(contacts.read_contact),
                "PATCH": _writes(contacts.update_contact),
                "DELETE": _writes(contacts.archive_contact),
            },
        ),
    ]
)


def plain(path: str) -> str:
    """The path without its version, in whichever place that stands, and without a slash at the end."""
    path = path.rstrip("/")
    if match := _CRM.fullmatch(path):
        return _TYPE.sub(r"\1/contacts", f"/{match[1] or match[2]}{match[3] or ''}")
    match = _OTHERS.fullmatch(path)
    return f"{match[1]}{match[2]}" if match else path


def route(call: Call) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and its arguments from the path, or ApiError 404 or 405."""
    found = _ROUTES.find(plain(call.path))
    if found is None:
        raise not_found("The sandbox does not know this path")
    methods, arguments = found
    if call.method not in methods:
        raise ApiError(405, "HTTP 405 Method Not Allowed", "METHOD_NOT_ALLOWED")
    return methods[call.method], arguments
