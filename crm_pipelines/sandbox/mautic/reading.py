"""The list of contacts: conditions, search, pages."""

import csv
import html
import re
from collections.abc import Callable
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.mautic.account import Account, Contact
from crm_pipelines.sandbox.mautic.answers import CrashError, is_on, read_page
from crm_pipelines.sandbox.mautic.values import Value, fold

_WHERE = re.compile(r"where\[(\d+)\]\[(col|expr|val)\]")
_SEARCHED = ("firstname", "lastname", "email", "company")
_ESCAPES = {"'": "&#39;", '"': "&#34;", "<": "&#60;", ">": "&#62;", "&": "&#38;"}
Test = Callable[[Contact], bool]


def list_contacts(account: Account, call: Call) -> Answer:
    """GET /contacts: the total as a text, contacts as an object by their ids."""
    tests = [*_conditions(account, call), _search(call.query().get("search", [""])[-1])]
    found = [contact for contact in account.contacts.values() if all(test(contact) for test in tests)]
    if call.query().get("orderByDir", ["ASC"])[-1].upper() == "DESC":
        found.reverse()
    start, limit = read_page(call, account.config.page_limit)
    shown = found[start : start + limit] if limit else found[start:]
    minimal = is_on(call, "minimal")
    rows = {str(contact.id): account.as_json(contact, minimal=minimal) for contact in shown}
    return reply(200, {"total": str(len(found)), "contacts": rows})


def _conditions(account: Account, call: Call) -> list[Test]:
    """All of them must hold. Raises CrashError for a column that there is not."""
    given: dict[str, dict[str, str]] = {}
    for name, values in call.query().items():
        if match := _WHERE.fullmatch(name):
            given.setdefault(match[1], {})[match[2]] = _escaped(values[-1])
    return [_condition(account, **{"col": "", "expr": "", "val": "", **one}) for one in given.values()]


def _escaped(text: str) -> str:
    """As Mautic cleans what it reads of a query; only the lists of `in` are turned back."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _condition(account: Account, col: str, expr: str, val: str) -> Test:
    alias = col.removeprefix("l.")
    if alias not in ("id", "date_added", "date_modified") and alias not in account.fields:
        raise CrashError
    if expr in ("in", "notIn"):
        wanted = _listed(val)
        return lambda contact: _is_one(_value(contact, alias), wanted, expr == "in")
    if expr not in _COMPARING:
        return lambda _: True
    return lambda contact: _COMPARING[expr](_value(contact, alias), val)


def _listed(val: str) -> set[str]:
    try:
        return {fold(one) for one in next(csv.reader([html.unescape(val)]), [])}
    except csv.Error:
        return {fold(val)}


def _is_one(value: Value, wanted: set[str], expected: bool) -> bool:
    return value is not None and (fold(value) in wanted) is expected


def _value(contact: Contact, alias: str) -> Value:
    return contact.id if alias == "id" else contact.values.get(alias)


def _like(value: Value, pattern: str) -> bool:
    parts = [re.escape(part) for part in fold(pattern).split("%")]
    return re.fullmatch(".*".join(parts), fold(value), re.DOTALL) is not None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


_COMPARING: dict[str, Callable[[Value, str], bool]] = {
    "eq": lambda value, given: value is not None and fold(value) == fold(given),
    "neq": lambda value, given: value is not None and fold(value) != fold(given),
    "lt": lambda value, given: value is not None and _number(value) < _number(given),
    "lte": lambda value, given: value is not None and _number(value) <= _number(given),
    "gt": lambda value, given: value is not None and _number(value) > _number(given),
    "gte": lambda value, given: value is not None and _number(value) >= _number(given),
    "like": lambda value, given: value is not None and _like(value, given),
    "isNull": lambda value, _: value is None,
    "isNotNull": lambda value, _: value is not None,
    "isEmpty": lambda value, _: value in (None, ""),
    "isNotEmpty": lambda value, _: value not in (None, ""),
}


def _search(text: str) -> Test:
    """Of Mautic's commands those that find by address, id or name; any other text is looked for in all of these."""
    command, colon, rest = text.partition(":")
    if not text:
        return lambda _: True
    if colon and command in ("email", *_SEARCHED):
        return lambda contact: command in contact.values and _like(contact.values[command], f"%{rest}%")
    if colon and command == "ids":
        wanted = rest.split(",")
        return lambda contact: str(contact.id) in wanted
    return lambda contact: any(_like(contact.values[name], f"%{text}%") for name in _SEARCHED if name in contact.values)
