"""Clients that break one promise each: what a CRM module could get wrong, whatever the CRM."""

import html
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from crm_pipelines.crms.base import Crm, Identity
from crm_pipelines.crms.bulk import ImportRow, Imports, ImportTarget
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Remembered, Sendable
from crm_pipelines.crms.schema import Finding
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines_tests.conformance.client import Client, Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, KEY, Remote, Subject
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
        unconfirmed = outcome.result in {Result.RETRY, Result.UNKNOWN}
        return replace(outcome, result=Result.SYNCED) if unconfirmed else outcome


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
    """Takes one request for each contact, beside those that there were."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, requests=outcome.requests + 1)


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


class ForgetsWhoIsTooMany(Flawed):
    """Sends no more than one request holds."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        return super().hand_over(contacts[: self.crm.most_per_request], turn=turn)


class SendsOneByOne(Flawed):
    """Makes a request for each."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        return [outcome for one in contacts for outcome in super(SendsOneByOne, self).hand_over([one], turn=turn)]


class BlamesEachForAWhole(_EachOutcome):
    """Does not say that a request was refused as a whole."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, whole=False)


class CallsTheCulpritWhole(_EachOutcome):
    """Still does not know whom a refusal is about when there was only one."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, whole=outcome.result is Result.REJECTED)


class AppliesWhatWasRefused(Flawed):
    """Sends by another way what was refused as a whole, and says nothing of it."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        outcomes = super().deliver(contacts, turn=turn)
        for contact, outcome in zip(contacts, outcomes, strict=True):
            if outcome.whole:
                self.store(contact.address)
        return outcomes


class TakesSilenceForSuccess(_EachOutcome):
    """Takes for arrived of whom nothing is said."""

    def changed(self, outcome: Outcome) -> Outcome:
        said_nothing = outcome.result in {Result.RETRY, Result.UNKNOWN} and outcome.http_status in {200, 201, 207}
        return replace(outcome, result=Result.SYNCED) if said_nothing else outcome


class LetsTheLastCarryTheRequests(Flawed):
    """Has the number of requests at another contact than the one that tells something."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        outcomes = super().deliver(contacts, turn=turn)
        *others, last = [replace(one, requests=0) for one in outcomes]
        return [*others, replace(last, requests=sum(one.requests for one in outcomes))]


class AddsEachTime(_AfterEach):
    """Makes another contact each time."""

    def more(self, contact: Contact, former: str | None) -> None:
        if former is not None:
            self.store(f"again.{contact.address}")


class MistakesWhatMayBeRepeated(_EachOutcome):
    """Asks a person where a request may be made again, or makes it again where it must not."""

    def changed(self, outcome: Outcome) -> Outcome:
        other = {Result.RETRY: Result.UNKNOWN, Result.UNKNOWN: Result.RETRY}
        return replace(outcome, result=other.get(outcome.result, outcome.result))


class AsksAPersonWhereNothingWasSent(_EachOutcome):
    """Takes every outage for one in which something may have been applied."""

    def changed(self, outcome: Outcome) -> Outcome:
        return replace(outcome, result=Result.UNKNOWN) if outcome.result is Result.RETRY else outcome


class DoesNotHeedTheTurn(Flawed):
    """Sends whomever it was given."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        def heedless(sendables: Sequence[Sendable]) -> Sequence[Sendable]:
            turn(sendables)
            return sendables

        return super().hand_over(contacts, turn=heedless)


class WaitsOnceForAllRequests(Flawed):
    """Goes by its first turn whatever requests it takes."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        asked: list[Sequence[Sendable]] = []

        def once(sendables: Sequence[Sendable]) -> Sequence[Sendable]:
            asked.append(turn(sendables) if not asked else sendables)
            return asked[-1]

        return super().hand_over(contacts, turn=once)


class AsksForOthersToo(Flawed):
    """Asks before each request about everybody."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        met: dict[str, Sendable] = {}

        def about_all(sendables: Sequence[Sendable]) -> Sequence[Sendable]:
            met.update({one.external_id: one for one in sendables})
            passing = turn(list(met.values()))
            return [one for one in sendables if one in passing]

        return super().hand_over(contacts, turn=about_all)


class GivesUpAllForOneLeftOut(Flawed):
    """Sends nobody any more once somebody was left out."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        left_out: list[Sendable] = []

        def all_or_none(sendables: Sequence[Sendable]) -> Sequence[Sendable]:
            passing = turn(sendables)
            left_out.extend(one for one in sendables if one not in passing)
            return [] if left_out else passing

        return super().hand_over(contacts, turn=all_or_none)


class TellsOfWhomItDidNotSend(Flawed):
    """Makes an outage of having been left out."""

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        nothing = Outcome(result=Result.RETRY, kind="outage", message="No.")
        return [one or nothing for one in super().hand_over(contacts, turn=turn)]


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


class EscapesMarkup(Flawed):
    """Takes every text for one of a page."""

    def prepare(self, contact: Contact) -> Payload:
        payload = super().prepare(contact)
        escaped = {
            name: html.escape(value) if isinstance(value, str) else value for name, value in payload.attributes.items()
        }
        return replace(payload, attributes=escaped)


class MakesASecond(_AfterEach):
    """Creates a contact where one was to be renamed."""

    def more(self, contact: Contact, former: str | None) -> None:
        if former not in {None, self.prepare(contact).key}:
            self.store(former or "")


class TakesOverAnAddress(Flawed):
    """Changes the contact that has the address, whoever it is."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        outcomes = super().deliver(contacts, turn=turn)
        for contact, outcome in zip(contacts, outcomes, strict=True):
            if outcome.kind == "duplicate_address":
                self.store(contact.address, fields={FIRST_NAME: contact.record["name"]})
        return outcomes


class SubscribesAgain(_AfterEach):
    """Sends the flag of the opt-out along, as false."""

    def more(self, contact: Contact, former: str | None) -> None:
        self.store(self.prepare(contact).key)


class PutsOnTheListAgain(_AfterEach):
    """Asks for the list each time."""

    def more(self, contact: Contact, former: str | None) -> None:
        self.store(self.prepare(contact).key, on_list=True)


class PutsOnTheListAfterALostAnswer(Flawed):
    """Does not know after a lost answer that it had asked for the list, and asks again."""

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        uncertain = [one for one in contacts if not one.remembered.certain]
        outcomes = super().deliver(contacts, turn=turn)
        for contact in uncertain:
            self.store(contact.address, on_list=True)
        return outcomes


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


class SaysOtherwiseOfRepeating(Flawed):
    """Calls repeatable what is not, or the other way round."""

    def __init__(self, crm: Crm, subject: Subject) -> None:
        super().__init__(crm, subject)
        self.crm.repeatable = not crm.repeatable


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


class _OtherImports(Flawed):
    """Imports in another way, `other`."""

    other: ClassVar[type["_Imports"]]

    @property
    def imports(self) -> Any:
        return self.other(super().imports, self.subject)


class _Imports:
    def __init__(self, imports: Imports, subject: Subject) -> None:
        self.imports = imports
        self.subject = subject

    def __getattr__(self, name: str) -> Any:
        return getattr(self.imports, name)


class _Unproved(_Imports):
    def row(self, payload: Payload, target: ImportTarget) -> ImportRow | None:
        row = self.imports.row(payload, target)
        return row and replace(row, proof=b"")

    def proof(self, _held: Held, _names: Sequence[str]) -> bytes:
        return b""


class _BlocksNobody(_Imports):
    def blocked(self, _held: Held) -> frozenset[str]:
        return frozenset()


class _BlocksOptOuts(_Imports):
    def blocked(self, held: Held) -> frozenset[str]:
        opted_out = {one.address for one in self.subject.held() if one.opted_out}
        return self.imports.blocked(held) if held.key in opted_out else frozenset()


class ProvesWithoutLooking(_OtherImports):
    """Takes an import for delivered once the CRM has taken it."""

    other = _Unproved


class ImportsWhoOptedOut(_OtherImports):
    """Asks nobody's leave before an import."""

    other = _BlocksNobody


class ImportsWhoLeftTheList(_OtherImports):
    """Looks at opt-outs from everything only."""

    other = _BlocksOptOuts
