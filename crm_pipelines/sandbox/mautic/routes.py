"""Which endpoint answers which request, and which permission its user needs."""

from collections.abc import Callable

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.core.routing import Endpoint, Routes
from crm_pipelines.sandbox.mautic import batches, contacts, reading, schema, segments
from crm_pipelines.sandbox.mautic.account import EDIT, Account
from crm_pipelines.sandbox.mautic.answers import ACCESS_DENIED, ApiError, ShortError

_API = "/api"


def _needing(*permissions: str) -> Callable[[Endpoint], Endpoint]:
    def guard(endpoint: Endpoint) -> Endpoint:
        def guarded(account: Account, call: Call, *arguments: str) -> Answer:
            if not account.may(*permissions):
                raise ApiError(403, ACCESS_DENIED)
            return endpoint(account, call, *arguments)

        return guarded

    return guard


_views = _needing("lead:leads:viewother")
_creates = _needing("lead:leads:create")
_edits = _needing(EDIT)
_deletes = _needing("lead:leads:deleteother")
_views_fields = _needing("lead:fields:view")
_changes_fields = _needing("lead:fields:full")
_views_segments = _needing("lead:lists:viewown")
_fills_segments = _needing("lead:lists:viewown", EDIT)


def read_self(_: Account, __: Call) -> Answer:
    """GET /users/self: whom the token stands for."""
    user = {"id": 1, "username": "sandbox", "firstName": "Sandbox", "lastName": "User", "email": "sandbox@example.org"}
    return reply(200, user)


_ROUTES = Routes(
    [
        ("/contacts", {"GET": _views(reading.list_contacts)}),
        ("/contacts/new", {"POST": _creates(contacts.create_contact)}),
        ("/contacts/batch/new", {"POST": _creates(batches.create_batch)}),
        ("/contacts/batch/edit", {"PATCH": batches.edit_batch, "PUT": batches.edit_batch}),
        ("/segments", {"GET": _views_segments(segments.list_segments)}),
        ("/segments/new", {"POST": _views_segments(segments.create_segment)}),
        ("/fields/contact", {"GET": _views_fields(schema.list_fields)}),
        ("/fields/contact/new", {"POST": _changes_fields(schema.create_field)}),
        ("/users/self", {"GET": read_self}),
        (r"/contacts/(\d+)", {"GET": _views(contacts.read_contact)}),
        (r"/contacts/([^/]+)/edit", {"PATCH": _edits(contacts.edit_contact), "PUT": _edits(contacts.edit_contact)}),
        (r"/contacts/(\d+)/delete", {"DELETE": _deletes(contacts.delete_contact)}),
        (r"/contacts/(\d+)/segments", {"GET": _views(contacts.read_segments)}),
        (r"/contacts/(\d+)/dnc/([a-z]+)/add", {"POST": _edits(contacts.add_dnc)}),
        (r"/contacts/(\d+)/dnc/([a-z]+)/remove", {"POST": _edits(contacts.remove_dnc)}),
        (r"/segments/(\d+)", {"GET": _views_segments(segments.read_segment)}),
        (r"/segments/(\d+)/delete", {"DELETE": _views_segments(segments.delete_segment)}),
        (r"/segments/(\d+)/contact/(\d+)/add", {"POST": _fills_segments(segments.add_contact)}),
        (r"/segments/(\d+)/contact/(\d+)/remove", {"POST": _fills_segments(segments.remove_contact)}),
        (r"/segments/(\d+)/contacts/add", {"POST": _fills_segments(segments.add_contacts)}),
        (r"/fields/contact/(\d+)", {"GET": _views_fields(schema.read_field)}),
        (r"/fields/contact/(\d+)/edit", {"PATCH": _changes_fields(schema.edit_field)}),
        (r"/fields/contact/(\d+)/delete", {"DELETE": _changes_fields(schema.delete_field)}),
    ]
)


def route(call: Call) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and its arguments from the path, or ShortError 404 or 405."""
    found = _ROUTES.find(call.path.removeprefix(_API).rstrip("/")) if call.path.startswith(f"{_API}/") else None
    if found is None:
        raise ShortError(404, f'No route found for "{call.method} {call.path}"', None)
    methods, arguments = found
    if call.method not in methods:
        raise ShortError(405, f'No route found for "{call.method} {call.path}": Method Not Allowed', None)
    return methods[call.method], arguments
