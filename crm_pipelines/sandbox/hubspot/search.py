"""The search for contacts."""

from collections.abc import Callable, Mapping
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import SHOWN, Account, Contact
from crm_pipelines.sandbox.hubspot.answers import invalid, read_body, read_text, read_texts

_MOST_PER_PAGE = 200
_MOST_RESULTS = 10_000
_MOST_GROUPS, _MOST_FILTERS = 5, 6
Test = Callable[[Contact], bool]


def search_contacts(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/search: pages of up to 200, oldest contacts first."""
    body = read_body(call)
    if body.get("query") or body.get("sorts"):
        raise invalid("The sandbox searches by filters only: leave out query and sorts")
    limit, after = _number(body, "limit", 10), _number(body, "after", 0)
    if limit > _MOST_PER_PAGE or after + limit > _MOST_RESULTS:
        raise invalid(f"A page has up to {_MOST_PER_PAGE} results, and all pages have {_MOST_RESULTS}")
    groups = _groups(account, body)
    rows = [
        contact
        for contact in account.contacts.values()
        if not groups or any(all(test(contact) for test in group) for group in groups)
    ]
    names = read_texts(body, "properties") or SHOWN
    page = {
        "total": len(rows),
        "results": [account.as_json(contact, names) for contact in rows[after : after + limit]],
    }
    if len(rows) > after + limit:
        page["paging"] = {"next": {"after": str(after + limit)}}
    return reply(200, page)


def _groups(account: Account, body: Mapping[str, Any]) -> list[list[Test]]:
    groups = body.get("filterGroups") or []
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise invalid("Invalid input JSON: filterGroups should be an array of objects")
    filters = [group.get("filters") for group in groups]
    if not all(isinstance(some, list) and all(isinstance(one, dict) for one in some) for some in filters):
        raise invalid("Invalid input JSON: filters should be an array of objects")
    if len(groups) > _MOST_GROUPS or any(len(some) > _MOST_FILTERS for some in filters):
        raise invalid(f"There may be {_MOST_GROUPS} filter groups of {_MOST_FILTERS} filters")
    return [[_test(account, one) for one in some] for some in filters]


def _test(account: Account, given: Mapping[str, Any]) -> Test:
    name = read_text(given, "propertyName")
    if name not in account.properties:
        raise invalid(f"There was a problem with the request: property {name} does not exist")
    match given.get("operator"):
        case "EQ":
            wanted = {read_text(given, "value").lower()}
        case "IN":
            wanted = {value.lower() for value in read_texts(given, "values")}
        case "HAS_PROPERTY":
            return lambda contact: account.value(contact, name) is not None
        case "NOT_HAS_PROPERTY":
            return lambda contact: account.value(contact, name) is None
        case _:
            raise invalid("The sandbox knows the operators EQ, IN, HAS_PROPERTY and NOT_HAS_PROPERTY")
    return lambda contact: (account.value(contact, name) or "").lower() in wanted


def _number(body: Mapping[str, Any], field: str, default: int) -> int:
    text = str(body.get(field) or default)
    if not text.isdecimal() or len(text) > 9:
        raise invalid(f"Invalid input JSON: {field} should be a number")
    return int(text)
