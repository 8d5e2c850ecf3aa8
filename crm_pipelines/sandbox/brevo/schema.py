"""The endpoints of attributes, and of the account itself."""

import hashlib
import re
from typing import Any

from crm_pipelines.sandbox.brevo.account import Account
from crm_pipelines.sandbox.brevo.answers import invalid, not_found, read_body
from crm_pipelines.sandbox.brevo.attributes import TYPES_OF_CATEGORY, Attribute
from crm_pipelines.sandbox.core.answers import Answer, Call, reply

_LONGEST_OPTION = 200


def list_attributes(account: Account, _: Call) -> Answer:
    """GET /contacts/attributes: all of them, without pages."""
    return reply(200, {"attributes": [attribute.as_json() for attribute in account.attributes.values()]})


def create_attribute(account: Account, call: Call, category: str, name: str) -> Answer:
    """POST /contacts/attributes/{category}/{name}: 201 without content."""
    body = read_body(call) if call.raw_body else {}
    if category not in TYPES_OF_CATEGORY:
        raise invalid("Attribute category is invalid")
    if name.upper() in account.attributes or name.upper() == "EMAIL":
        raise invalid("Attribute name must be unique")
    if account.habits.refuses_names and re.search(account.habits.refuses_names, name.upper()):
        raise invalid("Invalid attribute name")
    default = {"category": "category", "calculated": "float", "global": "float"}.get(category, "text")
    attribute = Attribute(name.upper(), category, str(body.get("type") or default))
    if attribute.type not in TYPES_OF_CATEGORY[category]:
        raise invalid("Attribute type is invalid")
    _read_options(attribute, body)
    account.attributes[attribute.name] = attribute
    account.revision += 1
    return reply(201)


def update_attribute(account: Account, call: Call, category: str, name: str) -> Answer:
    """PUT: the options or the formula; never the type. 204."""
    attribute = _attribute(account, category, name)
    body = read_body(call)
    if not body.keys() & {"enumeration", "multiCategoryOptions", "value"}:
        raise invalid("Nothing to update: enumeration, multiCategoryOptions or value is missing")
    _read_options(attribute, body)
    account.revision += 1
    return reply(204)


def delete_attribute(account: Account, _: Call, category: str, name: str) -> Answer:
    """DELETE: with the values that contacts have. 204."""
    attribute = _attribute(account, category, name)
    for contact in account.contacts.values():
        contact.attributes.pop(attribute.name, None)
    account.owners.get(attribute.name, {}).clear()
    del account.attributes[attribute.name]
    account.revision += 1
    return reply(204)


def delete_option(account: Account, _: Call, name: str, option: str) -> Answer:
    """DELETE /contacts/attributes/multiple-choice/{name}/{option}: 204."""
    attribute = account.attributes.get(name)
    if attribute is None or option not in attribute.choices:
        raise not_found("Attribute option does not exist")
    attribute.choices.remove(option)
    account.revision += 1
    return reply(204)


def read_account(account: Account, call: Call) -> Answer:
    """GET /account."""
    told: dict[str, str | None]
    if account.one_for_each_key:
        who = hashlib.sha256(call.key.encode()).hexdigest()[:24]
        told = {"organization_id": who, "email": f"owner@{who}.example"}
    else:
        told = {"organization_id": account.organization, "email": account.owner_email}
    return reply(
        200,
        {
            **{name: value for name, value in told.items() if value is not None},
            "user_id": 1,
            "enterprise": False,
            "companyName": "crm-pipelines sandbox",
            "firstName": "Sandbox",
            "lastName": "Account",
            "address": {"street": "", "city": "", "zipCode": "", "country": ""},
            "marketingAutomation": {"enabled": False},
            "plan": [{"type": "free", "credits": 300, "creditsType": "sendLimit"}],
            "relay": {
                "enabled": False,
                "data": {"userName": "sandbox@example.com", "relay": "smtp-relay.brevo.com", "port": 587},
            },
        },
    )


def _attribute(account: Account, category: str, name: str) -> Attribute:
    attribute = account.attributes.get(name)
    if attribute is None or attribute.category != category:
        raise not_found("Attribute does not exist")
    return attribute


def _read_options(attribute: Attribute, body: dict[str, Any]) -> None:
    """Take over what fits the kind of attribute, or raise ApiError 400."""
    try:
        options = {int(row["value"]): str(row["label"]) for row in body.get("enumeration") or []}
        choices = [str(choice) for choice in body.get("multiCategoryOptions") or []]
    except (KeyError, TypeError, ValueError):
        raise invalid("enumeration should be an array of objects with value and label") from None
    if any(len(text) > _LONGEST_OPTION for text in [*options.values(), *choices]):
        raise invalid(f"Options should not exceed {_LONGEST_OPTION} characters")
    if attribute.category == "category" and options:
        attribute.options = options
    if attribute.type == "multiple-choice":
        attribute.choices = list(dict.fromkeys([*attribute.choices, *choices]))
    if attribute.category in ("calculated", "global") and body.get("value"):
        attribute.formula = str(body["value"])
