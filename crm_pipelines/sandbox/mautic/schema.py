"""The endpoints of fields."""

from collections.abc import Mapping
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.mautic.account import Account
from crm_pipelines.sandbox.mautic.answers import (
    ApiError,
    InvalidError,
    is_on,
    not_found,
    php_array,
    read_body,
    read_id,
    read_page,
)
from crm_pipelines.sandbox.mautic.fields import GROUPS, TYPES, Field, free_alias
from crm_pipelines.sandbox.mautic.values import LIMITED

_TAKEN_WORDS = ("contact_id", "company_id")


def list_fields(account: Account, call: Call) -> Answer:
    """GET /fields/contact: pages of 30, as an object by their ids; those that wait for their column, too."""
    start, limit = read_page(call, account.config.page_limit)
    every = [field for field in account.fields.values() if field.published or not is_on(call, "published")]
    shown = every[start : start + limit] if limit else every[start:]
    return reply(200, {"total": len(every), "fields": php_array({field.id: field.as_json() for field in shown})})


def read_field(account: Account, _: Call, field_id: str) -> Answer:
    """GET /fields/contact/{id}."""
    return reply(200, {"field": _field(account, field_id).as_json()})


def create_field(account: Account, call: Call) -> Answer:
    """POST /fields/contact/new: 201 with the alias that it got, 202 when its column is made later."""
    given = read_body(call)
    label, kind = _text(given, "label"), _text(given, "type")
    if not label:
        raise InvalidError({"label": "Label is required."})
    if kind not in TYPES:
        raise InvalidError({"type": "This value is not valid."})
    properties = _properties(kind, given)
    alias = free_alias(_text(given, "alias") or label, account.fields)
    if alias in _TAKEN_WORDS:
        raise InvalidError({"alias": f'"{alias}" is a restricted alias.'})
    queued = account.config.background_fields
    account.last_field_id += 1
    field = Field(
        id=account.last_field_id,
        order=account.last_field_id,
        alias=alias,
        label=label,
        type=kind,
        group=given["group"] if given.get("group") in GROUPS else "core",
        properties=properties,
        published=not queued and bool(given.get("isPublished", True)),
        queued=queued,
        required=bool(given.get("isRequired", False)),
        unique=bool(given.get("isUniqueIdentifier", given.get("isUniqueIdentifer", False))),
        public=bool(given.get("isPubliclyUpdatable", False)),
        length_limit=read_id(given.get("charLengthLimit") or 0) if kind in LIMITED else None,
    )
    account.fields[alias] = field
    account.revision += 1
    return reply(202 if queued else 201, {"field": field.as_json()})


def edit_field(account: Account, call: Call, field_id: str) -> Answer:
    """PATCH /fields/contact/{id}/edit: label, choices and the like; alias and type stay."""
    field, given = _field(account, field_id), read_body(call)
    if "properties" in given:
        field.properties = _properties(field.type, given)
    field.label = _text(given, "label") or field.label
    field.published = bool(given.get("isPublished", field.published))
    field.required = bool(given.get("isRequired", field.required))
    field.unique = bool(given.get("isUniqueIdentifier", field.unique))
    account.index_again(field.alias)
    account.revision += 1
    return reply(200, {"field": field.as_json()})


def delete_field(account: Account, _: Call, field_id: str) -> Answer:
    """DELETE /fields/contact/{id}/delete: with the values that contacts have. A fixed field stays."""
    field = _field(account, field_id)
    if field.fixed:
        raise ApiError(403, "You do not have access to the requested area/action.")
    for contact in account.contacts.values():
        account.store(contact, {field.alias: None})
    del account.fields[field.alias]
    account.index_again(field.alias)
    account.revision += 1
    return reply(200, {"field": {**field.as_json(), "id": None}})


def run_cron(account: Account) -> int:
    """Make the columns of the fields that wait for them; returns how many there were."""
    waiting = [field for field in account.fields.values() if field.queued]
    for field in waiting:
        field.queued, field.published = False, True
    account.revision += 1
    return len(waiting)


def _properties(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    properties = given.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    if kind == "boolean" and not properties.get("yes"):
        raise ApiError(400, "A 'positive' label is required.")
    if kind == "boolean" and not properties.get("no"):
        raise ApiError(400, "A 'negative' label is required.")
    chosen_from = properties.get("list")
    if (kind in ("select", "multiselect") and not chosen_from) or not isinstance(chosen_from or [], list):
        raise ApiError(400, "A list for the select box must be specified.")
    return properties


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value.strip() if isinstance(value, str) else ""


def _field(account: Account, field_id: str) -> Field:
    number = read_id(field_id)
    field = next((field for field in account.fields.values() if field.id == number), None)
    if field is None:
        raise not_found()
    return field
