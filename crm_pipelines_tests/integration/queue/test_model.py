"""The queue against a model of it: whatever the order of events, table and model agree after each."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm_pipelines.queue.claims import MAX_CRASHES, Queue
from crm_pipelines.queue.model import Attempt, Claim, Intent, RetryPolicy
from crm_pipelines_tests.fixtures.people import People

LEASE = timedelta(minutes=25)
POLICY = RetryPolicy(delays=(timedelta(minutes=5), timedelta(minutes=10)))
PEOPLE = 4
_one = st.integers(0, PEOPLE - 1)
_word = st.sampled_from(["x", "y"])


@dataclass
class Row:
    """What a row of crm_syncs is expected to hold; the last three count while it is claimed.

    `known`: what the CRM holds is known for sure. `maybe`: what it may hold. `put_off`: it waits without being charged.
    """

    state: str = "queued"
    revision: int = 1
    synced_revision: int = 0
    claim_no: int = 0
    attempts: int = 0
    crashes: int = 0
    due: bool = True
    known: bytes | None = None
    maybe: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    remote_key: str | None = None
    put_off: bool = False
    run: str = ""
    begun: bool = False
    lapsed: bool = False

    def queue(self, *, due: bool = True, put_off: bool = False) -> None:
        self.state, self.due, self.put_off = "queued", due, put_off


@dataclass(frozen=True)
class Held:
    """A claim that somebody once had, and the revision that would be sent on it."""

    contact: int
    claim: Claim
    run: str
    revision: int


class QueueModel(RuleBasedStateMachine):
    engine: sa.Engine

    @initialize()
    def begin(self) -> None:
        self.people = People(self.engine)
        self.people.run("TRUNCATE crm_contacts CASCADE")
        self.queue = Queue(self.engine, "brevo")
        self.ids: list[UUID] = self.people.add(PEOPLE, select=False)
        self.rows: dict[int, Row] = {}
        self.claims: list[Held] = []
        self.finished: set[tuple[int, int]] = set()
        self.edits = 0

    @rule(contact=_one)
    def select(self, contact: int) -> None:
        self.people.run("SELECT crm_select('brevo', :ids)", ids=[self.ids[contact]])
        row = self.rows.get(contact)
        if row is None:
            self.rows[contact] = Row()
        elif row.state == "claimed":
            row.revision += 1
            row.known = None
        elif row.state != "queued":
            row.revision += 1
            row.known = None
            row.attempts, row.crashes = 0, min(row.crashes, 1)
            row.queue(put_off=row.put_off)

    @rule(contact=_one)
    def unselect(self, contact: int) -> None:
        self.people.run("SELECT crm_unselect('brevo', :ids)", ids=[self.ids[contact]])
        row = self.rows.get(contact)
        if row is not None and row.state != "unselected":
            row.state, row.attempts, row.crashes = "unselected", 0, 0
            row.claim_no += 1

    @rule(contact=_one)
    def edit(self, contact: int) -> None:
        self.edits += 1
        self.people.run(
            "UPDATE crm_contacts SET name = :name WHERE id = :id", name=f"Edit {self.edits}", id=self.ids[contact]
        )
        row = self.rows.get(contact)
        if row is not None:
            row.revision += 1
            if row.state in {"synced", "failed", "skipped"}:
                row.attempts, row.crashes = 0, min(row.crashes, 1)
                row.queue()

    @rule(limit=st.integers(1, PEOPLE), run=st.sampled_from(["a", "b"]), suspects=st.booleans())
    def claim(self, limit: int, run: str, suspects: bool) -> None:
        claim = self.queue.claim_suspects if suspects else self.queue.claim
        free = {
            contact
            for contact, row in self.rows.items()
            if row.state == "queued" and row.due and (row.crashes > 0) == suspects
        }
        claims = claim(run, limit=limit, lease=LEASE)
        taken = {self.ids.index(claim.contact_id) for claim in claims}
        assert taken <= free
        assert len(claims) == len(taken) == min(limit, len(free))
        for one in claims:
            contact = self.ids.index(one.contact_id)
            row = self.rows[contact]
            row.state, row.run, row.begun, row.lapsed = "claimed", run, False, False
            row.claim_no += 1
            assert one.claim_no == row.claim_no
            self.claims.append(Held(contact, one, run, row.revision))

    def _is_current(self, held: Held) -> bool:
        return self.rows[held.contact].claim_no == held.claim.claim_no

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.claims))
        row = self.rows[held.contact]
        renewed = self.queue.renew([held.claim], lease=LEASE)
        if row.state == "claimed" and self._is_current(held):
            assert renewed == {held.claim.contact_id: row.revision}
            row.begun, row.lapsed = True, False
        else:
            assert renewed == {}

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), name=_word, key=_word)
    def intend(self, data: st.DataObject, name: str, key: str) -> None:
        held = data.draw(st.sampled_from(self.claims))
        row = self.rows[held.contact]
        intent = Intent(claim=held.claim, key=key, names=frozenset({name}))
        if row.state == "claimed" and self._is_current(held):
            assert self.queue.intend([intent]) == {held.claim.contact_id}
            row.known = None
            row.maybe |= {name}
            if row.remote_key != key:  # no word is the contact's address: it has changed since
                row.addresses |= {key}
        else:
            assert self.queue.intend([intent]) == set()

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        name=_word,
        key=_word,
        outcome=st.sampled_from(["synced", "unchanged", "retry", "rejected", "skipped", "snoozed", "stepped aside"]),
    )
    def finish(self, data: st.DataObject, name: str, key: str, outcome: str) -> None:
        held = data.draw(st.sampled_from(self.claims))
        confirmed = outcome in {"synced", "stepped aside"}
        outcome = outcome.replace("stepped aside", "snoozed")
        attempt = Attempt(
            claim=held.claim,
            revision=held.revision,
            outcome=outcome,
            duration=timedelta(),
            kind=None if outcome in {"synced", "unchanged"} else "some",
            retry_after=timedelta(minutes=1) if outcome == "snoozed" else None,
            payload_hash=name.encode() if outcome == "synced" else None,
            remote_key=key if confirmed else None,
            sent_attributes=frozenset({name} if confirmed else ()),
        )
        self.queue.record(held.run, [attempt])
        applied = [row.state for row in self.queue.apply(held.run, POLICY)]
        identity = (held.contact, held.claim.claim_no)
        if identity in self.finished:
            assert applied == []
            return
        self.finished.add(identity)
        row = self.rows[held.contact]
        late = row.state == "queued" and outcome in {"synced", "unchanged"}
        if not self._is_current(held) or not (row.state == "claimed" or late):
            assert applied == ["superseded"]
            return
        if outcome == "synced":
            row.known = name.encode()
        if confirmed:
            row.maybe, row.addresses, row.remote_key = frozenset({name}), frozenset(), key
        self._complete(row, outcome, held.revision)
        assert applied == [row.state]

    def _complete(self, row: Row, outcome: str, revision: int) -> None:
        if outcome == "snoozed":
            row.queue(due=False, put_off=True)
            return
        row.put_off = False
        row.crashes = 0
        if outcome in {"synced", "unchanged"}:
            row.synced_revision = revision
        if outcome == "retry":
            if row.attempts >= POLICY.max_retries:
                row.state = "failed"
            else:
                row.queue(due=False)
        elif row.revision == revision:
            row.state = {"synced": "synced", "unchanged": "synced", "rejected": "failed", "skipped": "skipped"}[outcome]
        else:
            row.queue()
        row.attempts = row.attempts + 1 if outcome in {"retry", "rejected"} else 0

    @rule(contact=_one)
    def let_the_lease_end(self, contact: int) -> None:
        self.people.run(
            "UPDATE crm_syncs SET lease_until = now() - interval '1 s' WHERE state = 'claimed' AND contact_id = :id",
            id=self.ids[contact],
        )
        if contact in self.rows and self.rows[contact].state == "claimed":
            self.rows[contact].lapsed = True

    @rule(ended=st.sampled_from(["a", "b", None]), orderly=st.booleans())
    def rescue(self, ended: str | None, orderly: bool) -> None:
        runs = [] if ended is None else [ended]
        rescued = self.queue.rescue(orderly_runs=runs if orderly else [], crashed_runs=[] if orderly else runs)
        returned = charged = 0
        for row in self.rows.values():
            if row.state == "claimed" and (row.lapsed or (row.run == ended and not row.begun)):
                returned += 1
                row.queue(put_off=True)
                if row.begun and not (orderly and row.run == ended):
                    charged += 1
                    row.crashes += 1
                    if row.crashes >= MAX_CRASHES:
                        row.state, row.put_off = "failed", False
        assert (rescued.returned, rescued.charged) == (returned, charged)

    @rule(run=st.sampled_from(["a", "b"]))
    def release(self, run: str) -> None:
        self.queue.release(run)
        for row in self.rows.values():
            if row.state == "claimed" and row.run == run and not row.begun:
                row.queue(put_off=True)

    @rule()
    def let_back_offs_end(self) -> None:
        self.people.make_due()
        for row in self.rows.values():
            row.due = True

    @invariant()
    def table_and_model_agree(self) -> None:
        if not hasattr(self, "rows"):
            return
        columns = "state, revision, synced_revision, claim_no, attempts, crashes, remote_key"
        more = (
            "run_at <= now() AS due, payload_hash AS known, sent_attributes AS maybe, maybe_keys AS addresses, "
            "due_since IS NOT NULL AS put_off"
        )
        found: dict[int, dict[str, Any]] = {
            self.ids.index(row.pop("contact_id")): row
            for row in self.people.all(f"SELECT contact_id, {columns}, {more} FROM crm_syncs")
        }
        assert found.keys() == self.rows.keys()
        for contact, row in self.rows.items():
            expected = {name: getattr(row, name) for name in columns.split(", ")} | {
                "known": row.known,
                "maybe": sorted(row.maybe),
                "addresses": sorted(row.addresses),
            }
            found[contact]["addresses"].sort()
            if row.state == "queued":
                expected |= {"due": row.due, "put_off": row.put_off}
            assert {name: found[contact][name] for name in expected} == expected


def test_the_queue_does_what_its_model_says_in_any_order_of_events(engine: sa.Engine) -> None:
    class Model(QueueModel):
        pass

    Model.engine = engine
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
