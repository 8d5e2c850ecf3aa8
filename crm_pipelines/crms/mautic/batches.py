"""One batch that writes contacts: its rows, and what the answer says of each. Pure.

The status of the answer tells nothing: 201, or 200, even if every row was refused. What became of a row stands under
its number in `statusCodes`, `contacts` and `errors`, each a list, or an object where numbers are missing. Who has no
status of success and no contact with the right address is not confirmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crm_pipelines.crms.answers import with_advice
from crm_pipelines.crms.batching import hidden
from crm_pipelines.crms.mautic.api import listed
from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.finding import address_in, id_in
from crm_pipelines.crms.mautic.forms import is_dropped, row_of, values_of
from crm_pipelines.crms.mautic.outcomes import outcome_of_row, said_in
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Sendable
from crm_pipelines.scrubbing import without_secrets

Row = Mapping[str, Any]

UNCONFIRMED = "Mautic's answer does not confirm this contact."
UNEXPLAINED = "Mautic refused this contact and does not say why."
ANOTHERS = "Mautic answered with a contact of another address."

_LONGEST_WORDS = 100


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """One contact of a batch; `target` is the id of the contact to be updated, None to create or find it by address.

    `moves`: the address is among what changes. `without` are fields that Mautic refused for what they held, with its
    words.
    """

    contact: Sendable
    target: str | None = None
    moves: bool = False
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> Payload:
        """What is sent of it."""
        payload = self.contact.payload
        if not self.without:
            return payload
        kept = {name: value for name, value in payload.attributes.items() if name not in self.without}
        return replace(payload, attributes=kept, clear=payload.clear - self.without.keys())

    def as_json(self) -> dict[str, Any]:
        """By id the address only where it changes: with it Mautic looks for others that have it, and merges them."""
        row = row_of(self.payload)
        if self.target is None:
            return {**row, "email": self.contact.payload.key}
        return {**row, **({"email": self.contact.payload.key} if self.moves else {}), "id": int(self.target)}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of one input. `misfits`: fields that were refused, and nothing else was; `lost`: values that Mautic
    dropped although they were taken, see `forms.is_dropped`; `stale` are those of them in whose place it has others."""

    outcome: Outcome
    misfits: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


def judge(
    inputs: Sequence[BatchRow],
    answer: Outcome,
    body: Row,
    *,
    secrets: tuple[str, ...],
    advice: Mapping[str, str],
    account: AccountFields | None,
) -> list[Judged]:
    """What became of each input, in order; `answer` is what the whole request came to, `body` what it says."""
    if answer.result is not Result.SYNCED:
        whole = answer.result is Result.REJECTED and len(inputs) > 1
        return [Judged(outcome=replace(answer, whole=whole))] * len(inputs)
    codes, contacts, errors = (listed(body.get(name)) for name in ("statusCodes", "contacts", "errors"))

    def judged(number: str, one: BatchRow) -> Judged:
        code, row, error = codes.get(number), contacts.get(number), errors.get(number)
        status = code if isinstance(code, int) else 0
        hide = (*secrets, *hidden([one.contact]))
        if isinstance(error, dict):
            refused = outcome_of_row(error, status, hide=hide, advice=advice)
            told = replace(refused, http_status=answer.http_status)
            return Judged(outcome=told, misfits=_misfits(error, one, hide) if told.kind == "invalid_value" else {})
        if 400 <= status < 500 and status != 404:
            return Judged(outcome=replace(answer, result=Result.REJECTED, kind="rejected", message=UNEXPLAINED))
        if status not in {200, 201} or not isinstance(row, dict) or not id_in(row):
            return Judged(outcome=unconfirmed(answer))
        return _written(one, row, answer, advice, account)

    return [judged(str(number), one) for number, one in enumerate(inputs)]


def unconfirmed(answer: Outcome) -> Outcome:
    """Of whom the answer says nothing."""
    return replace(answer, result=Result.RETRY, kind="outage", message=UNCONFIRMED)


def _misfits(error: Row, one: BatchRow, hide: tuple[str, ...]) -> dict[str, str]:
    """The fields that the refusal is about, if each of them can be left out, with Mautic's words about it."""
    fields, details = said_in(error).fields, error.get("details")
    if not fields or not fields <= one.payload.attributes.keys() or not isinstance(details, dict):
        return {}
    return {name: without_secrets(_words(details[name]), hide)[:_LONGEST_WORDS] for name in sorted(fields)}


def _words(said: Any) -> str:
    first = next(iter(listed(said).values()), said)
    return first if isinstance(first, str) else "it does not fit"


def _written(
    one: BatchRow, row: Row, answer: Outcome, advice: Mapping[str, str], account: AccountFields | None
) -> Judged:
    if address_in(row) != one.contact.payload.key or one.target not in {None, id_in(row)}:
        message = with_advice(ANOTHERS, advice["duplicate_address"])
        return Judged(outcome=replace(answer, result=Result.REJECTED, kind="duplicate_address", message=message))
    sent, shown = one.payload.attributes, values_of(row)
    absent = sent.keys() - shown.keys()
    other = {name for name in sent.keys() & shown.keys() if not same(name, sent[name], shown[name], account)}
    kept = {name for name in one.payload.clear if shown.get(name) not in (None, "")}
    lost = frozenset(name for name in other if is_dropped(sent[name]))
    warnings = [f"{name}: Mautic keeps another value than the one that was sent" for name in sorted(other - lost)]
    warnings += [f"{name} is blank here, but Mautic keeps its value: clear it there by hand" for name in sorted(kept)]
    warnings += [f"{name} was left out, since Mautic has no such field now" for name in sorted(absent)]
    warnings += [f"{name} was left out, since Mautic refused it: {said}" for name, said in one.without.items()]
    remote_id = id_in(row)
    if (former := one.contact.remote_id) not in {None, remote_id}:
        warnings.append(f"Mautic's contact {former} is {remote_id} now: merged there, or deleted and made again")
    outcome = replace(
        answer,
        remote_key=one.contact.payload.key,
        remote_id=remote_id,
        sent_attributes=frozenset((sent.keys() | kept) - absent),
        left_out=frozenset(other | absent | one.without.keys()),
        warnings=tuple(warnings),
    )
    stale = frozenset(name for name in lost if shown[name] not in (None, ""))
    return Judged(outcome=outcome, lost=lost, stale=stale)


def same(name: str, ours: Any, theirs: Any, account: AccountFields | None) -> bool:
    """Whether two values mean the same to Mautic; a blank one and none do."""
    if ours in (None, "") or theirs in (None, ""):
        return ours in (None, "") and theirs in (None, "")
    known = None if account is None else account.get(name)
    if known is None or name == "email":
        return str(ours) == str(theirs)
    return bool(known.same_form(ours) == known.same_form(theirs))
