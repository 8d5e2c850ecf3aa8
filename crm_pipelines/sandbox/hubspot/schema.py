"""The endpoints of properties and their groups."""

from collections.abc import Mapping
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import Account
from crm_pipelines.sandbox.hubspot.answers import (
    ApiError,
    invalid,
    not_found,
    read_body,
    read_inputs,
    read_text,
    wants_archived,
)
from crm_pipelines.sandbox.hubspot.properties import FIELD_TYPES, Group, Property, option
from crm_pipelines.sandbox.hubspot.times import as_time, now_ms

_MOST_UNIQUE = 10


def list_properties(account: Account, call: Call) -> Answer:
    """GET /properties/contacts: all of them, without pages."""
    source = account.archived_properties if wants_archived(call) else account.properties
    return reply(200, {"results": [described.as_json() for described in source.values()]})


def read_property(account: Account, call: Call, name: str) -> Answer:
    """GET /properties/contacts/{name}."""
    source = account.archived_properties if wants_archived(call) else account.properties
    if name not in source:
        raise _no_property(name)
    return reply(200, source[name].as_json())


def create_property(account: Account, call: Call) -> Answer:
    """POST /properties/contacts: 201; one of that name in the recycle bin comes back."""
    return reply(201, _create(account, read_body(call)).as_json())


def update_property(account: Account, call: Call, name: str) -> Answer:
    """PATCH /properties/contacts/{name}: options are replaced as a whole."""
    described = account.properties.get(name)
    if described is None:
        raise _no_property(name)
    body = read_body(call)
    if described.built_in and body.keys() & {"type", "fieldType", "label", "groupName"}:
        raise invalid(f"The definition of the property {name} is read only")
    if "type" in body or "fieldType" in body:
        described.type, described.field_type = _types(
            {"type": described.type, "fieldType": described.field_type, **body}
        )
    _describe(account, described, body)
    account.revision += 1
    return reply(200, described.as_json())


def archive_property(account: Account, _: Call, name: str) -> Answer:
    """DELETE /properties/contacts/{name}: into the recycle bin, its values are gone. 204."""
    described = account.properties.get(name)
    if described is None:
        raise _no_property(name)
    if described.built_in:
        raise invalid(f"The property {name} is defined by HubSpot and cannot be archived")
    described.archived = now_ms()
    account.archived_properties[name] = account.properties.pop(name)
    account.owners.pop(name, None)
    for contact in account.contacts.values():
        contact.properties.pop(name, None)
    account.revision += 1
    return reply(204)


def create_properties(account: Account, call: Call) -> Answer:
    """POST /properties/contacts/batch/create: 201, or 207 when some were refused."""
    created: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for row in read_inputs(read_body(call)):
        try:
            created.append(_create(account, row).as_json())
        except ApiError as error:
            errors.append(error.as_row(name=[str(row.get("name"))]))
    return _batch(created, errors, 201)


def read_properties(account: Account, call: Call) -> Answer:
    """POST /properties/contacts/batch/read: 200, or 207 when some are unknown."""
    body = read_body(call)
    source = account.archived_properties if body.get("archived") is True else account.properties
    names = [read_text(row, "name") for row in read_inputs(body)]
    errors = [_no_property(name).as_row(name=[name]) for name in names if name not in source]
    return _batch([source[name].as_json() for name in names if name in source], errors, 200)


def list_groups(account: Account, _: Call) -> Answer:
    """GET /properties/contacts/groups."""
    return reply(200, {"results": [group.as_json() for group in account.groups.values()]})


def read_group(account: Account, _: Call, name: str) -> Answer:
    """GET /properties/contacts/groups/{name}."""
    if name not in account.groups:
        raise not_found(f"Property group {name} does not exist")
    return reply(200, account.groups[name].as_json())


def create_group(account: Account, call: Call) -> Answer:
    """POST /properties/contacts/groups: 201."""
    body = read_body(call)
    group = Group(name=read_text(body, "name"), label=read_text(body, "label"))
    if group.name in account.groups:
        raise ApiError(409, f"A property group named '{group.name}' already exists.", "OBJECT_ALREADY_EXISTS")
    if isinstance(body.get("displayOrder"), int):
        group.display_order = body["displayOrder"]
    account.groups[group.name] = group
    account.revision += 1
    return reply(201, group.as_json())


def _create(account: Account, body: Mapping[str, Any]) -> Property:
    name, label = read_text(body, "name"), read_text(body, "label")
    kind, field_type = _types(body)
    if name in account.properties:
        raise ApiError(
            409,
            f"A property named '{name}' already exists.",
            "OBJECT_ALREADY_EXISTS",
            subcategory="Properties.PROPERTY_WITH_NAME_EXISTS",
        )
    described = Property(name=name, label=label, type=kind, field_type=field_type, group=read_text(body, "groupName"))
    described.unique = body.get("hasUniqueValue") is True
    if described.unique and sum(one.unique for one in account.properties.values()) >= _MOST_UNIQUE:
        raise invalid(f"There may be {_MOST_UNIQUE} properties with unique values")
    _describe(account, described, body)
    if kind == "enumeration" and not described.options and "options" not in body:
        raise invalid(f"The property {name} is an enumeration and needs options")
    archived = account.archived_properties.pop(name, None)
    if archived is not None:
        described.created = archived.created
    account.properties[name] = described
    account.revision += 1
    return described


def _types(body: Mapping[str, Any]) -> tuple[str, str]:
    kind, field_type = read_text(body, "type"), read_text(body, "fieldType")
    if field_type not in FIELD_TYPES.get(kind, ()):
        raise invalid(f"The type {kind} and the fieldType {field_type} do not go together")
    return kind, field_type


def _describe(account: Account, described: Property, body: Mapping[str, Any]) -> None:
    """Take over what may change in a property, or raise ApiError 400."""
    group = body.get("groupName", described.group)
    if group not in account.groups:
        raise invalid(f"Property group {group} does not exist")
    options = body.get("options")
    if options is not None:
        described.options = _options(options)
    described.group = group
    described.label = str(body.get("label", described.label))
    described.description = str(body.get("description") or described.description)
    described.hidden = body.get("hidden", described.hidden) is True
    described.form_field = body.get("formField", described.form_field) is True
    if isinstance(body.get("displayOrder"), int):
        described.display_order = body["displayOrder"]
    described.updated = now_ms()


def _options(given: object) -> dict[str, dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise invalid("Invalid input JSON: options should be an array of objects")
    return {
        read_text(one, "value"): option(
            read_text(one, "label"),
            hidden=one.get("hidden") is True,
            display_order=one["displayOrder"] if isinstance(one.get("displayOrder"), int) else -1,
            description=str(one.get("description") or ""),
        )
        for one in given
    }


def _no_property(name: str) -> ApiError:
    return not_found(f"Property {name} does not exist")


def _batch(results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int) -> Answer:
    now = as_time(now_ms())
    content: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
    return reply(207, {**content, "numErrors": len(errors), "errors": errors}) if errors else reply(status, content)
