"""Clients that break one promise each: what a CRM module could get wrong, whatever the CRM."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from crm_pipelines.crms.base import Crm, Identity
from crm_pipelines.crms.bulk import ImportRow, ImportTarget
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Remembered
from crm_pipelines.crms.schema import Finding
from crm_pipelines.crms.turns import Turn
from crm_pipelines_tests.conformance.client import Client, Contact
from crm_pipelines_tests.conformance.subject import KEY, Remote, Subject
from crm_pipelines_tests.one_contact import at_once


class Flawed(Client):
    """Right, so far. `subject` is the account, at which flaws may do what a wrong request would do."""

    def __init__(self, crm: Crm, subject: Subject) -> None:
        super().__init__(crm)
        self.subject = subject

    def store(self, address: str, **known: Any) -> None:
        """As a wrong request would."""
        self.subject.seed(Remote(address=address, remote_id="", **known))


class _EachOutcome(Flawed):
    """Tells of each delivery what `changed` makes of it."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        return [self.changed(one) for one in super().deliver(contacts, turn=turn)]

    def changed(self, outcome: Outcome) -> Outcome:
        return outcome


class _AfterEach(Flawed):
    """Does `more` once a contact has arrived."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        former = [contact.remote_key for contact in contacts]
        outcomes = super().deliver(contacts, turn=turn)
        for contact, outcome, key in zip(contacts, outcomes, former, strict=True):
            if outcome.result is Result.SYNCED:
                self.more(contact, key)
        return outcomes

    def more(self, contact: Contact, former: str | None) -> None:
        pass


class CallsOutagesSynced(_EachOutcome):
    """Takes an answer that confirms nothing for a success."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, result=Result.SYNCED) if outcome.kind == "outage" else outcome


class CallsLimitsOutages(_EachOutcome):
    """Counts an attempt where the CRM asks to wait."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, result=Result.RETRY) if outcome.result is Result.SNOOZED else outcome


class ForgetsHowLongToWait(_EachOutcome):
    """Comes back at once."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, retry_after=None if outcome.retry_after is None else timedelta(seconds=1))


class BlamesTheContactForTheKey(_EachOutcome):
    """Rejects the contact where the credentials are refused."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, result=Result.REJECTED) if outcome.result is Result.REFUSED else outcome


class OverlooksRates(_EachOutcome):
    """Does not read the headers of the rate limit."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, rate=RateHeaders())


class GuessesTheWindow(_EachOutcome):
    """Takes every limit for one of a second."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, rate=replace(outcome.rate, window=timedelta(seconds=1)))


class ForgetsWhomItAsked(_EachOutcome):
    """Does not say of which contacts it asked."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, answered=False)


class CountsARequestForEach(_EachOutcome):
    """Takes one request for each contact, however many there were."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, requests=1)


class TellsTheKey(_EachOutcome):
    """Repeats the CRM's words as they are."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, message=(outcome.message or "").replace("***", KEY))


class SaysNothingOfWhatIsLeftOut(_EachOutcome):
    """Leaves out without a word."""

    def prepare(self, contact: Contact) -> Payload:
        return replace(super().prepare(contact), warnings=(), left_out=frozenset())

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, warnings=(), left_out=frozenset())


class DropsAnOutcome(Flawed):
    """Says nothing of the last of many."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        return super().deliver(contacts, turn=turn)[: max(1, len(contacts) - 1)]


class SwapsOutcomes(Flawed):
    """Tells the first what became of the last."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        return super().deliver(contacts, turn=turn)[::-1]


class RefusesAllForOne(Flawed):
    """Gives up the whole request for one contact."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        outcomes = super().deliver(contacts, turn=turn)
        refused = [one for one in outcomes if one.result is Result.REJECTED]
        return refused * len(outcomes) if len(refused) == 1 else outcomes


class CallsAllSyncedForOne(Flawed):
    """Takes the status of the request for the outcome of each."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        outcomes = super().deliver(contacts, turn=turn)
        synced = any(one.result is Result.SYNCED for one in outcomes)
        return [replace(one, result=Result.SYNCED) for one in outcomes] if synced else outcomes


class TakesZeroForBlank(Flawed):
    """Sends nothing that is false in Python."""

    def prepare(self, contact: Contact) -> Payload:
        payload = super().prepare(contact)
        return replace(payload, attributes={name: value for name, value in payload.attributes.items() if value})


class ClearsNothing(Flawed):
    """Leaves at the CRM what is blank here."""

    def prepare(self, contact: Contact) -> Payload:
        return replace(super().prepare(contact), clear=frozenset())


class SpoilsLetters(Flawed):
    """Sends what is left of a text in an old encoding."""

    def prepare(self, contact: Contact) -> Payload:
        payload = super().prepare(contact)
        spoilt = {
            name: value.encode("latin-1", "replace").decode("latin-1") if isinstance(value, str) else value
            for name, value in payload.attributes.items()
        }
        return replace(payload, attributes=spoilt)


class MakesASecond(_AfterEach):
    """Creates a contact where one was to be renamed."""

    def more(self, contact: Contact, former: str | None) -> None:
        if former not in {None, self.prepare(contact).key}:
            self.store(former or "")


class TakesOverAnAddress(Flawed):
    """Changes the contact that has the address, whoever it is."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        for contact in contacts:
            contact.remote_key = contact.remote_key and self.prepare(contact).key
        return super().deliver(contacts, turn=turn)


class SubscribesAgain(_AfterEach):
    """Sends the flag of the opt-out along, as false."""

    def more(self, contact: Contact, former: str | None) -> None:
        self.store(self.prepare(contact).key)


class PutsOnTheListAgain(_AfterEach):
    """Asks for the list each time."""

    def more(self, contact: Contact, former: str | None) -> None:
        self.store(self.prepare(contact).key, on_list=True)


class OverwritesMarks(_AfterEach):
    """Sets our id where another system has set its own."""

    def more(self, contact: Contact, former: str | None) -> None:
        self.store(self.prepare(contact).key, mark=str(contact.record["id"]))


class DoesNotWaitForItsTurn(Flawed):
    """Sends at once."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        return super().deliver(contacts)


class KeepsTheGateToItself(Flawed):
    """Makes an outcome of what the turn raises."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        with suppress(RuntimeError):
            return super().deliver(contacts, turn=turn)
        return [Outcome(result=Result.RETRY, kind="outage", message="No.") for _ in contacts]


class SharesItsAccount(Flawed):
    """Keeps the first account in a global variable."""

    first: ClassVar[dict[str, Crm]] = {}

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        own = self.crm
        self.crm = self.first.setdefault(self.subject.kind, own)
        try:
            return super().deliver(contacts, turn=turn)
        finally:
            self.crm = own


class NamesTheAccountByTheKey(Flawed):
    """Makes the account's name itself."""

    def identify(self) -> tuple[Outcome, Identity | None]:
        outcome, identity = super().identify()
        return outcome, identity and replace(identity, account=self.crm.credentials_fingerprint)


class AcceptsEveryKey(Flawed):
    """Checks nothing."""

    def check(self, custom: Mapping[str, Any] | None = None, *, turn: Turn = at_once) -> Sequence[Finding]:
        return [replace(one, ok=True) for one in super().check(custom, turn=turn)]


class CreatesNothing(Flawed):
    """Plans only."""

    def provision(self, custom: Mapping[str, Any], *, dry_run: bool = False, turn: Turn = at_once) -> Sequence[str]:
        return super().provision(custom, dry_run=True, turn=turn)


class CallsEverythingTheSame(Flawed):
    """Compares nothing."""

    def compare(self, contact: Contact, held: Held) -> Sequence[Compared]:
        return [replace(one, same=True) for one in super().compare(contact, held)]


class TakesAnOutageForNobody(Flawed):
    """Says that the CRM has no such contact where it did not answer."""

    def look_up(self, contact: Contact) -> tuple[Outcome, Held | None]:
        outcome, held = super().look_up(contact)
        return replace(outcome, result=Result.SYNCED), held


class ForgetsWhatItMayHaveSent(Flawed):
    """Goes on after a lost answer as if nothing had been sent, and as if the CRM were sure of the contact."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        for contact in contacts:
            if not contact.remembered.certain:
                self.subject.delete(contact.address)
                self.store(contact.address)
                contact.remembered = Remembered()
        return super().deliver(contacts, turn=turn)


class ProvesWithoutLooking(Flawed):
    """Takes an import for delivered once the CRM has taken it."""

    @property
    def imports(self) -> Any:
        return _Unproved(super().imports)


class _Unproved:
    def __init__(self, imports: Any) -> None:
        self._imports = imports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._imports, name)

    def row(self, payload: Payload, target: ImportTarget) -> ImportRow | None:
        row: ImportRow | None = self._imports.row(payload, target)
        return row and replace(row, proof=b"")

    def proof(self, _held: Held, _names: Sequence[str]) -> bytes:
        return b""
