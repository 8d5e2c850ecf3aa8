"""Where a case stands: one account, a client for it, and short words for what cases do all the time."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.turns import Turn
from crm_pipelines_tests.conformance.client import Client, Contact
from crm_pipelines_tests.conformance.subject import Capability, Fault, Oddity, Remote, Subject, Variant
from crm_pipelines_tests.conformance.subjects import KINDS
from crm_pipelines_tests.one_contact import at_once


class Bench:
    """One account, reset. `other` gives a second account of the same kind, reset too; `wrap` makes clients."""

    def __init__(self, subject: Subject, other: Callable[[], Subject], wrap: Callable[[Crm], Client] = Client) -> None:
        self.subject = subject
        self._other = other
        self._wrap = wrap
        self._opened: list[Client] = []
        self.client = self.open()

    def open(self, *, at: Subject | None = None, **settings: Any) -> Client:
        """A client, of this account unless `at` another, that knows the account's fields where they must be known."""
        client = self._wrap((at or self.subject).open(Variant(**settings)))
        self._opened.append(client)
        if client.crm.schema is not None:
            client.learn()
        return client

    def other(self) -> Subject:
        """Another account."""
        subject = self._other()
        subject.reset()
        return subject

    def send(self, *contacts: Contact, client: Client | None = None, turn: Turn = at_once) -> list[Outcome]:
        """Deliver them together and remember what it came to."""
        outcomes = list((client or self.client).deliver(contacts, turn=turn))
        assert len(outcomes) == len(contacts), "one outcome each"
        for contact, outcome in zip(contacts, outcomes, strict=True):
            contact.remember(outcome)
        return outcomes

    def sync(self, *contacts: Contact, client: Client | None = None) -> list[Outcome]:
        """As `send`; all arrive."""
        outcomes = self.send(*contacts, client=client)
        assert {outcome.result for outcome in outcomes} == {Result.SYNCED}, outcomes
        return outcomes

    def lose(self, contact: Contact, fault: Fault = Fault.RESET_AFTER, *, client: Client | None = None) -> Outcome:
        """Send the contact; what it comes to while its writing request meets this fault."""
        self.subject.fault(fault)
        [outcome] = self.send(contact, client=client)
        self.subject.end_faults()
        return outcome

    @property
    def lost(self) -> Result:
        """What a contact comes to whose request may have been applied, if no right answer came."""
        return Result.RETRY if Capability.REPEATABLE in self.subject.capabilities else Result.UNKNOWN

    def held(self, at: Subject | None = None) -> dict[str, Remote]:
        """What the account holds, by address; no address twice."""
        found = (at or self.subject).held()
        assert len({one.address for one in found}) == len(found), found
        return {one.address: one for one in found}

    def only(self, contact: Contact) -> Remote:
        """The one contact that the account holds, which has this one's address."""
        held = self.held()
        assert list(held) == [contact.address]
        return held[contact.address]

    def answer_oddly(self, oddity: Oddity) -> None:
        """From now on answers about several contacts are like this; skips what this CRM never does."""
        if oddity not in self.subject.oddities:
            pytest.skip(f"{self.subject.kind} never has {oddity.value}")
        self.subject.answer_oddly(oddity)

    def names(self, field: str, told: Iterable[str]) -> bool:
        """Whether these words name the custom field, as the user does or as the CRM does."""
        return any(name in one for one in told for name in (field, self.subject.names[field]))

    def close(self) -> None:
        """Close every client."""
        for client in self._opened:
            client.close()


def needed(case: Callable[..., None]) -> frozenset[Capability]:
    """What a case asks of a kind, by itself or with its module."""
    places = (case, sys.modules[case.__module__])
    marks = (mark for place in places for mark in getattr(place, "pytestmark", ()) if mark.name == "needs")
    return frozenset(one for mark in marks for one in mark.args)


def kinds_that_claim(asked: frozenset[Capability]) -> list[str]:
    """Those of which a case may ask this. Fails where there is none: the case would stand for nothing."""
    found = [name for name, kind in KINDS.items() if asked <= kind.capabilities]
    if not found:
        pytest.fail(f"no kind claims all of this: {'; '.join(sorted(one.value for one in asked))}", pytrace=False)
    return found
