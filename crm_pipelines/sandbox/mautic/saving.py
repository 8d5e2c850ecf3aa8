"""How Mautic stores what a request says of one contact: match, form, checks, merge, values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from crm_pipelines.sandbox.mautic.account import MANUAL, Account, Contact
from crm_pipelines.sandbox.mautic.answers import ApiError, CrashError, InvalidError, read_id
from crm_pipelines.sandbox.mautic.fields import Field
from crm_pipelines.sandbox.mautic.merging import merge
from crm_pipelines.sandbox.mautic.times import now_ms
from crm_pipelines.sandbox.mautic.values import (
    LONGEST_TEXT,
    MisfitError,
    UnreadableDateError,
    Value,
    clean_email,
    fitting,
    is_zero,
    truth,
)

_UNIQUE = "This field must be unique."
_REQUIRED = "This field is required."


class Manner(NamedTuple):
    """How a request writes. `put`: its method is PUT, which takes every value as it is. `clears`: a field that is
    not named counts as blank, as for PUT and for a single POST."""

    put: bool
    clears: bool


def matching(account: Account, given: Mapping[str, Any]) -> Contact | None:
    """The contact that the request means: the newest one that has one of its unique values, as they are when clean."""
    found: dict[int, Contact] = {}
    for field in account.unique_fields():
        value = given.get(field.alias)
        if value is None or isinstance(value, list | dict):
            continue
        text = clean_email(str(value)) if field.type == "email" else str(value).strip()
        if text and text != "0":
            found |= {contact.id: contact for contact in account.holders(field.alias, text)}
    return max(found.values(), key=lambda one: (one.created, one.id), default=None)


def save(account: Account, contact: Contact | None, given: Mapping[str, Any], manner: Manner) -> Contact:
    """Store the request in the contact, or in a new one.

    Raises ApiError for what Mautic refuses, CrashError for what its database does; nothing is stored then.
    """
    form = _read_form(account, contact, given, manner)
    _check_unique(account, contact, form)
    changes = {**_changes(contact, form, given, manner), **form.truths}
    if any(isinstance(value, str) and len(value) > LONGEST_TEXT for value in _columns(form.fields, changes)):
        raise CrashError
    if contact is None:
        contact = account.create()
    else:
        contact = _merged(account, contact, given)
        contact.updated = now_ms()
    account.store(contact, changes)
    _save_others(account, contact, given)
    return contact


class _Form(NamedTuple):
    """The values of the form, None for blank ones. `truths` are set past it."""

    fields: dict[str, Field]
    values: dict[str, Value]
    truths: dict[str, Value]


def _read_form(account: Account, contact: Contact | None, given: Mapping[str, Any], manner: Manner) -> _Form:
    form = _Form({field.alias: field for field in account.usable_fields()}, {}, {})
    problems: dict[str, str] = {}
    for alias, field in form.fields.items():
        current = contact.values.get(alias) if contact else None
        unnamed = None if manner.clears else current
        if field.type == "boolean" and given.get(alias) not in (None, ""):
            form.truths[alias] = truth(given[alias])
            continue
        try:
            form.values[alias] = (
                fitting(field, given[alias], account.config.length_limit) if alias in given else unnamed
            )
        except UnreadableDateError:
            form.values[alias] = unnamed
        except MisfitError as misfit:
            problems[alias] = str(misfit)
        if field.required and alias not in problems and form.values[alias] is None:
            problems[alias] = _REQUIRED
    if problems:
        raise InvalidError(problems)
    address = form.values.get("email")
    said = account.config.refused.get(str(address).lower()) if address is not None else None
    if said is not None:
        raise ApiError(400, said)
    return form


def _check_unique(account: Account, contact: Contact | None, form: _Form) -> None:
    """InvalidError 422 for a value that others have, also when this contact has it, too."""
    if not account.config.checks_unique:
        return
    problems = {}
    for field in account.unique_fields():
        value = form.values.get(field.alias)
        if value is not None and account.holders(field.alias, value) not in ([], [contact]):
            problems[field.alias] = _UNIQUE
    if problems:
        raise InvalidError(problems, 422)


def _changes(contact: Contact | None, form: _Form, given: Mapping[str, Any], manner: Manner) -> dict[str, Value]:
    """What is stored of the form: blank values and zeros only where the request overwrites with them."""
    overwrites = manner.put or bool(given.get("overwriteWithBlank"))
    changes: dict[str, Value] = {}
    for alias, value in form.values.items():
        if contact and contact.values.get(alias) == value:
            continue
        if value is None:
            if overwrites:
                changes[alias] = None
        elif manner.put or not _dropped(contact, form.fields[alias], value):
            changes[alias] = value
    return changes


def _dropped(contact: Contact | None, field: Field, value: Value) -> bool:
    """Whether a value gets lost on POST and PATCH. A new contact has been given all but the number 0 before that."""
    if contact is None:
        return field.type == "number" and value == 0
    return is_zero(value)


def _columns(fields: Mapping[str, Field], changes: Mapping[str, Value]) -> list[Value]:
    """The values that go into a column of 191 letters without the form having counted them."""
    return [value for alias, value in changes.items() if fields[alias].type in ("tel", "url")]


def _merged(account: Account, contact: Contact, given: Mapping[str, Any]) -> Contact:
    other = matching(account, given)
    if other is not None and other is not contact:
        merge(account, contact, other)
    return contact


def _save_others(account: Account, contact: Contact, given: Mapping[str, Any]) -> None:
    """Tags, owner, and who is not to be contacted."""
    for tag in _list(given.get("tags")):
        name = str(tag)
        if name.startswith("-"):
            contact.tags = [one for one in contact.tags if one != name[1:]]
        elif name and name not in contact.tags:
            contact.tags.append(name)
    if "owner" in given:
        contact.owner = read_id(given["owner"])
    for row in _list(given.get("doNotContact")):
        if not isinstance(row, dict):
            continue
        channel, reason = str(row.get("channel") or "email"), read_id(row.get("reason", MANUAL)) or 0
        if reason == 0:
            account.remove_dnc(contact, channel)
        else:
            account.add_dnc(contact, channel, reason=reason, comments=str(row.get("comments") or ""))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
