"""One batch that writes contacts: its inputs, and what the answer says of each. Pure.

HubSpot's results come in any order, with addresses in lower case, and may be fewer than the inputs. So each is matched
by the trace id that was sent with it, else by its id or address, and whoever is not found among the results is not
confirmed, whatever the status of the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crm_pipelines.crms.addresses import normal_address
from crm_pipelines.crms.answers import with_advice
from crm_pipelines.crms.batching import hidden
from crm_pipelines.crms.hubspot.forms import CLEARED
from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.hubspot.outcomes import outcome_of_row
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable

Row = Mapping[str, Any]

UNCONFIRMED = "HubSpot's answer does not confirm this contact."
UNEXPLAINED = "HubSpot refused this contact and does not say why."
ANOTHERS = "HubSpot answered with a contact of another address."


@dataclass(frozen=True, kw_only=True)
class Input:
    """One contact of a batch; `target` is the id of the contact to be updated, None to create or find it by address."""

    contact: Sendable
    properties: Mapping[str, str]
    target: str | None = None

    @property
    def key(self) -> str:
        """Its address."""
        return self.contact.payload.key

    def as_json(self) -> dict[str, Any]:
        """With a trace id of its own: without one, a single refusal rejects the whole batch."""
        found = {"id": self.target} if self.target is not None else {"id": self.key, "idProperty": "email"}
        return {**found, "properties": self.properties, "objectWriteTraceId": self.contact.external_id}


def judge(
    inputs: Sequence[Input],
    answer: Outcome,
    body: Row,
    *,
    secrets: tuple[str, ...],
    advice: Mapping[str, str],
    account: AccountProperties | None,
) -> list[Outcome]:
    """What became of each input, in order; `answer` is what the whole request came to, `body` what it says."""
    if answer.result is not Result.SYNCED:
        whole = answer.result is Result.REJECTED and len(inputs) > 1
        return [replace(answer, whole=whole)] * len(inputs)
    results = _matched(inputs, [one for one in body.get("results") or () if isinstance(one, dict)], _of_result)
    rows = [one for one in body.get("errors") or () if isinstance(one, dict)]
    errors = _matched(inputs, rows, _of_error)
    unnamed = _unnamed(body, rows, errors)
    left = sum(number not in results and number not in errors for number in range(len(inputs)))

    def outcome(number: int, one: Input) -> Outcome:
        if number in results:
            return _written(one, results[number], answer, advice, account)
        row = errors.get(number)
        if row is None and not unnamed:
            return replace(answer, result=Result.RETRY, kind="outage", message=UNCONFIRMED)
        refused = outcome_of_row(row or unnamed[0], hide=(*secrets, *hidden([one.contact])), advice=advice)
        # One refusal and one contact of which nothing is said belong together. Of several, each has to be asked for.
        together = row is None and left > 1 and refused.result is Result.REJECTED
        return replace(refused, http_status=answer.http_status, request_id=answer.request_id, whole=together)

    return [outcome(number, one) for number, one in enumerate(inputs)]


def _matched(inputs: Sequence[Input], rows: Sequence[Row], names_of: Any) -> dict[int, Row]:
    """The rows by the number of their input."""
    numbers: dict[str, int] = {}
    for number, one in enumerate(inputs):
        numbers |= {one.contact.external_id: number, one.target if one.target is not None else one.key: number}
    found: dict[int, Row] = {}
    for row in rows:
        for name in names_of(row):
            if name in numbers:
                found.setdefault(numbers[name], row)
                if names_of is _of_result:
                    break
    return found


def _of_result(row: Row) -> list[str]:
    """By what a result names its input, the surest first."""
    return [str(row.get("objectWriteTraceId") or ""), str(row.get("id") or ""), address_in(row)]


def _of_error(row: Row) -> list[str]:
    context = row.get("context")
    listed = context if isinstance(context, dict) else {}
    named = [one for name in ("objectWriteTraceId", "ids", "id") for one in _listed(listed.get(name))]
    return [*named, str(row.get("id") or ""), *map(normal_address, named)]


def _unnamed(body: Row, rows: Sequence[Row], errors: Mapping[int, Row]) -> list[Row]:
    """The refusals that name no input; those that are only counted have no words."""
    named = {id(row) for row in errors.values()}
    count = body.get("numErrors")
    untold = count - len(rows) if isinstance(count, int) else 0
    return [*(row for row in rows if id(row) not in named), *([{"message": UNEXPLAINED}] * max(0, untold))]


def _written(
    one: Input, row: Row, answer: Outcome, advice: Mapping[str, str], account: AccountProperties | None
) -> Outcome:
    remote_id, shown = str(row.get("id") or ""), _properties(row)
    if not remote_id.isdecimal():
        return replace(answer, result=Result.RETRY, kind="outage", message=UNCONFIRMED)
    if "email" in shown and address_in(row) != one.key:
        message = with_advice(ANOTHERS, advice["duplicate_address"])
        return replace(answer, result=Result.REJECTED, kind="duplicate_address", message=message)
    held = one.contact.payload.attributes
    sent = {name for name in held.keys() & one.properties.keys() if name not in ONLY_ON_CREATION}
    other = {name for name in sent if name in shown and not _same(name, held[name], shown[name], account)}
    kept = {name for name, text in one.properties.items() if text == CLEARED and shown.get(name) not in (None, "")}
    warnings = [f"{name}: HubSpot keeps another value than the one that was sent" for name in sorted(other)]
    warnings += [f"{name} is blank here, but HubSpot keeps its value: clear it there by hand" for name in sorted(kept)]
    if (former := one.contact.remote_id) not in {None, remote_id}:
        warnings.append(f"HubSpot's contact {former} is {remote_id} now: merged there, or deleted and made again")
    return replace(
        answer,
        remote_key=one.key,
        remote_id=remote_id,
        sent_attributes=frozenset(sent | kept),
        left_out=frozenset(other),
        warnings=tuple(warnings),
    )


def _same(name: str, ours: Any, theirs: Any, account: AccountProperties | None) -> bool:
    known = None if account is None else account.get(name)
    return known is None or known.same_form(ours) == known.same_form(theirs)


def address_in(row: Row) -> str:
    """The address of a contact in an answer, in the form in which ours are sent; empty if it shows none."""
    found = _properties(row).get("email")
    return normal_address(found) if isinstance(found, str) else ""


def _properties(row: Row) -> Mapping[str, Any]:
    found = row.get("properties")
    return found if isinstance(found, dict) else {}


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
