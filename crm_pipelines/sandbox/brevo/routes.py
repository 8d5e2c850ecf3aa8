"""Which endpoint answers which request."""

from crm_pipelines.sandbox.brevo import contacts, groups, imports, schema
from crm_pipelines.sandbox.brevo.answers import ApiError
from crm_pipelines.sandbox.core.answers import Call
from crm_pipelines.sandbox.core.routing import Endpoint, Routes

_ROUTES = Routes(
    [
        ("/contacts", {"POST": contacts.create_contact, "GET": contacts.list_contacts}),
        ("/contacts/batch", {"POST": contacts.update_batch}),
        ("/contacts/import", {"POST": imports.import_contacts}),
        ("/contacts/attributes", {"GET": schema.list_attributes}),
        (
            r"/contacts/attributes/([^/]+)/([^/]+)",
            {"POST": schema.create_attribute, "PUT": schema.update_attribute, "DELETE": schema.delete_attribute},
        ),
        (r"/contacts/attributes/multiple-choice/([^/]+)/([^/]+)", {"DELETE": schema.delete_option}),
        ("/contacts/lists", {"GET": groups.list_lists, "POST": groups.create_list}),
        (
            r"/contacts/lists/(\d{1,18})",
            {"GET": groups.read_list, "PUT": groups.update_list, "DELETE": groups.delete_list},
        ),
        (r"/contacts/lists/(\d{1,18})/contacts", {"GET": groups.list_contacts_of_list}),
        (r"/contacts/lists/(\d{1,18})/contacts/add", {"POST": groups.add_to_list}),
        (r"/contacts/lists/(\d{1,18})/contacts/remove", {"POST": groups.remove_from_list}),
        ("/contacts/folders", {"GET": groups.list_folders, "POST": groups.create_folder}),
        (
            r"/contacts/folders/(\d{1,18})",
            {"GET": groups.read_folder, "PUT": groups.update_folder, "DELETE": groups.delete_folder},
        ),
        (r"/contacts/folders/(\d{1,18})/lists", {"GET": groups.list_lists_of_folder}),
        ("/processes", {"GET": imports.list_processes}),
        (r"/processes/(\d{1,18})", {"GET": imports.read_process}),
        ("/account", {"GET": schema.read_account}),
        (
            "/contacts/(.+)",
            {"GET": contacts.read_contact, "PUT": contacts.update_contact, "DELETE": contacts.delete_contact},
        ),
    ]
)


def route(call: Call) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and its arguments from the path, or ApiError 404 or 405."""
    found = _ROUTES.find(call.path)
    if found is None:
        raise ApiError(404, "document_not_found", "The sandbox does not know this path")
    methods, arguments = found
    if call.method not in methods:
        raise ApiError(405, "method_not_allowed", "Method not allowed")
    return methods[call.method], arguments
