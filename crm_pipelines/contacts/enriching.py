"""Takes what a workflow found out about a contact: once, in the order of its own time, and into blank fields.

The statements stand in enrichments.sql.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts import records
from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.settings.values import CUSTOM_FIELD

_SQL = load_statements("contacts/enrichments")

AHEAD = timedelta(minutes=5)
"""How far the clock of a workflow may be ahead of the database's."""

HAS_A_VALUE = "it has another value"
IS_THE_SAME = "it has this value already"
OUTDATED = "it has another value, and something of a later message was taken"


class EnrichmentChanged(CrmPipelinesError):
    """This enrichment_id came with other content already, which stays: every enrichment needs an id of its own."""


class FromTheFuture(CrmPipelinesError):
    """The time of the message is ahead of ours."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What was found for one field of the contact; with `problem` it cannot be taken, for that reason."""

    field: str
    value: Any
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """A message. `digest` tells whether it says the same as another; `found` and `metadata` are kept as they came."""

    contact_id: UUID
    crm: str
    enrichment_id: str
    digest: bytes
    status: str
    sent_at: datetime
    error: str | None
    confidence: int | None
    sources: Sequence[str]
    duration_seconds: float | None
    api_calls: int | None
    cost_estimate: float | None
    found: Mapping[str, Any]
    metadata: Mapping[str, Any]
    offers: Sequence[Offer]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of it, by field; `again`: it came before, and this is what became of it then."""

    filled: list[str]
    overwritten: list[str]
    kept: dict[str, str]
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of the offers goes to which field of the contact."""

    values: dict[str, Any]
    filled: list[str]
    overwritten: list[str]
    kept: dict[str, str]


def take(
    connection: sa.Connection, message: Enrichment, *, overwrite: Collection[str], workflows: Collection[str]
) -> Taken:
    """Store the message, and fill the contact from it, in the transaction that is given.

    `overwrite` are fields that need not be blank. The contact is queued again wherever it was delivered, but not for
    the destinations of `workflows`: it would come back from there enriched again, and so for ever.

    Raises ContactUnknown, EnrichmentChanged, and FromTheFuture.
    """
    contact = records.lock(connection, message.contact_id)
    who = {"contact_id": message.contact_id, "crm": message.crm, "enrichment_id": message.enrichment_id}
    earlier = connection.execute(_SQL["earlier"], who).one_or_none()
    if earlier is not None:
        if bytes(earlier.digest) != message.digest:
            raise EnrichmentChanged
        return Taken(filled=earlier.filled, overwritten=earlier.overwritten, kept=earlier.kept, again=True)
    when = {"contact_id": message.contact_id, "sent_at": message.sent_at}
    if connection.execute(_SQL["is_ahead"], {"sent_at": message.sent_at, "margin": AHEAD}).scalar_one():
        raise FromTheFuture
    outdated = bool(connection.execute(_SQL["is_outdated"], when).scalar_one())
    plan = plan_of(contact, message.offers, overwrite=overwrite, outdated=outdated)
    if plan.values:
        held = {"contact_id": message.contact_id, "crm": message.crm, "crms": list(workflows)}
        connection.execute(_SQL["hold"], held)
        records.update(connection, message.contact_id, plan.values)
        connection.execute(_SQL["settle"], {"contact_id": message.contact_id})
    connection.execute(
        _SQL["insert"],
        {
            **who,
            "digest": message.digest,
            "status": message.status,
            "sent_at": message.sent_at,
            "error": message.error,
            "confidence": message.confidence,
            "sources": list(message.sources),
            "duration_seconds": message.duration_seconds,
            "api_calls": message.api_calls,
            "cost_estimate": message.cost_estimate,
            "found": json.dumps(message.found),
            "metadata": json.dumps(message.metadata),
            "filled": plan.filled,
            "overwritten": plan.overwritten,
            "kept": json.dumps(plan.kept),
        },
    )
    return Taken(filled=plan.filled, overwritten=plan.overwritten, kept=plan.kept)


def plan_of(contact: Mapping[str, Any], offers: Sequence[Offer], *, overwrite: Collection[str], outdated: bool) -> Plan:
    """Which offers are taken: all for blank fields, others for fields of `overwrite` unless the message is outdated.

    A custom field is the same whatever the case, blanks and marks of its name; a phone number without a digit is blank.
    Of a name that is known as a whole, its parts are taken out.
    """
    plan = Plan(values={}, filled=[], overwritten=[], kept={})
    custom = dict(contact["custom_fields"])
    spelt = {_key(name): name for name in custom}
    columns = {**contact, **_parts(contact)}
    wanted = {_field_key(name) for name in overwrite}
    for offer in offers:
        is_custom = offer.field.startswith(CUSTOM_FIELD)
        name = offer.field.removeprefix(CUSTOM_FIELD)
        name = spelt.get(_key(name), name) if is_custom else name
        field = f"{CUSTOM_FIELD}{name}" if is_custom else name
        present = (custom if is_custom else columns).get(name)
        blank = _is_blank(name, present)
        hindrance = (
            None if blank else HAS_A_VALUE if _field_key(field) not in wanted else OUTDATED if outdated else None
        )
        if (why := offer.problem or (IS_THE_SAME if present == offer.value else hindrance)) is not None:
            plan.kept[field] = why
            continue
        if is_custom:
            custom[name] = offer.value
            spelt.setdefault(_key(name), name)
            plan.values["custom_fields"] = custom
        else:
            plan.values[name] = offer.value
        (plan.filled if blank else plan.overwritten).append(field)
    return plan


def _parts(contact: Mapping[str, Any]) -> Mapping[str, Any]:
    known = {name: contact[name] for name in ("first_name", "last_name")}
    return known if any(known.values()) else records.parts_of(contact["name"])


def _is_blank(name: str, value: Any) -> bool:
    if name == "phone_number":  # "Phone not found" is no number that somebody gave
        return not any(letter.isdigit() for letter in value or "")
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _field_key(field: str) -> str:
    name = field.removeprefix(CUSTOM_FIELD)
    return f"{CUSTOM_FIELD}{_key(name)}" if name != field else field


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()) or name
