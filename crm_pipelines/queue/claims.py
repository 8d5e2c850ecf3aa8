"""The queue: claim, begin, renew, load, record, apply, release, rescue.

Every function is one short transaction and may be repeated. The fence is `claim_no`: whoever holds an older one can
neither renew nor complete. All times are the database's. The statements stand in claims.sql.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.literals import number_array, text_array, uuid_array
from crm_pipelines.database.retrying import tries
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.unknown import if_unknown
from crm_pipelines.faults import fault_point
from crm_pipelines.queue.model import Applied, Attempt, Backlog, Claim, Delivery, Intended, Pace, Rescued, RetryPolicy
from crm_pipelines.queue.rings import waits_of

MAX_CRASHES = 5
"""A contact whose delivery took this many workers down is given up, visibly, with kind `crash`."""

_SQL = load_statements("queue/claims")
# A look at an edit takes some 10 microseconds, and a day may have ten million.
_NO_HURRY = sa.text("SET LOCAL statement_timeout = '10min'")
_EDITS_PER_TICK = 100_000

_NONE: frozenset[Any] = frozenset()  # most contacts have none of these: one that is empty for all
_PLAIN_COLUMNS = [
    f.name for f in fields(Attempt) if f.name not in {"claim", "lists", "sent_attributes", "warnings", "left_out"}
]


class Queue:
    """The queue of one CRM."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self._engine = engine
        self.crm = crm

    def _all(self, name: str, step: str | None = None, /, **parameters: Any) -> Sequence[sa.Row[Any]]:
        with self._engine.begin() as connection:
            rows = connection.execute(_SQL[name], {"crm": self.crm, **parameters}).all()
            if step:
                fault_point(f"before_{step}")
        if step:
            fault_point(f"after_{step}")
        return rows

    def claim(
        self,
        run_id: str,
        *,
        limit: int,
        lease: timedelta,
        contact_ids: Sequence[UUID] | None = None,
        leave_to_imports: bool = False,
    ) -> list[Claim]:
        """Take up to `limit` due contacts, oldest first; with `contact_ids` only those, due or in back-off.

        With `leave_to_imports` only those that do not go in bulk.
        """
        return self._claim("claim_single" if leave_to_imports else "claim", run_id, limit, lease, contact_ids)

    def claim_suspects(
        self, run_id: str, *, limit: int, lease: timedelta, contact_ids: Sequence[UUID] | None = None
    ) -> list[Claim]:
        """Like `claim`, for contacts during whose delivery a worker died: deliver them one at a time."""
        return self._claim("claim_suspects", run_id, limit, lease, contact_ids)

    def _claim(
        self, lane: str, run_id: str, limit: int, lease: timedelta, contact_ids: Sequence[UUID] | None
    ) -> list[Claim]:
        given: dict[str, Any] = {"run_id": run_id, "limit": limit, "lease": lease}
        if contact_ids is None:
            return _in_order(self._all(lane, "claim", **given))
        given |= {"contact_ids": list(contact_ids), "suspects": lane == "claim_suspects"}
        return _in_order(self._all("claim_chosen", "claim", **given))

    def peek(self, *, limit: int, contact_ids: Sequence[UUID] | None = None) -> list[Claim]:
        """What `claim` would take, without taking it."""
        ids = None if contact_ids is None else list(contact_ids)
        return _in_order(self._all("peek", limit=limit, contact_ids=ids))

    def begin(self, claims: Sequence[Claim], *, lease: timedelta, leap: int) -> dict[UUID, int]:
        """Begin to deliver: from here on each claim's number is `leap` higher; returns as `renew` does.

        Whoever knows the former number, another process of the run say, can do nothing more with it. `leap` is a number
        that this process has drawn: with it the call may be repeated. A crash from here on is charged to these
        contacts.
        """
        return self._renewed("begin", claims, lease=lease, leap=leap)

    def renew(self, claims: Sequence[Claim], *, lease: timedelta) -> dict[UUID, int]:
        """Go on delivering: set the leases anew; returns the contact's revision per claim still held.

        A row that somebody's transaction holds counts as lost.
        """
        return self._renewed("renew", claims, lease=lease)

    def _renewed(self, name: str, claims: Sequence[Claim], **given: Any) -> dict[UUID, int]:
        held: dict[UUID, int] = {}
        for _ in tries():
            missing = [claim for claim in claims if claim.contact_id not in held]
            rows = self._all(name, "renew", **given, **_keys(missing))
            held |= {row.contact_id: row.revision for row in rows if row.revision is not None}
            if all(row.revision is not None for row in rows):
                break
        return held

    def load(self, claims: Sequence[Claim]) -> list[Delivery]:
        """The present data behind the claims, in their order; claims taken over meanwhile are left out."""
        found = _by_contact(self._all("load", **_keys(claims)))
        found |= self._waiting(found)
        return [one for claim in claims if (one := found.get(claim.contact_id))]

    def glance(self, contact_id: UUID) -> Delivery | None:
        """What `load` would give for the contact, without a claim. None if there is no such contact."""
        found = _by_contact(self._all("glance", contact_id=contact_id))
        return {**found, **self._waiting(found)}.get(contact_id)

    def _waiting(self, found: Mapping[UUID, Delivery]) -> dict[UUID, Delivery]:
        """Those whose address the CRM holds another contact under; and who of them has to make room in a ring."""
        wanted = {one: delivery.address for one, delivery in found.items() if delivery.address != delivery.remote_key}
        return {
            one: found[one]._replace(address_held_by=wait.held_by, gives_way=wait.gives_way)
            for one, wait in waits_of(wanted, self._holders).items()
        }

    def _holders(self, wanted: Mapping[UUID, str | None]) -> Sequence[sa.Row[Any]]:
        if not wanted:
            return ()
        return self._all("holders", contact_ids=uuid_array(wanted), addresses=text_array(wanted.values()))

    def intend(self, intents: Sequence[Intended]) -> set[UUID]:
        """Write down what is about to be sent, and forget what was known; returns the contacts that may be sent.

        To be called before the first request of a delivery. Claims taken over meanwhile are left out.
        """
        if not intents:
            return set()
        keys = text_array(one.key for one in intents)
        names = text_array(_in_an_array(one.names) for one in intents)
        told = {**_keys([one.claim for one in intents]), "keys": keys, "names": names}
        return {row.contact_id for row in self._all("intend", "intend", **told)}

    def note_sending(self, claims: Sequence[Claim]) -> set[UUID]:
        """Write down that these are sent now, and must not be sent twice; returns the contacts that may be sent.

        Should the run end without an outcome of one, `rescue` parks it instead of queueing it. To be called right
        before each request to a destination that is not repeatable. What somebody's transaction holds is left out.
        """
        return {row.contact_id for row in self._all("note_sending", **_keys(claims))}

    def is_contact(self, contact_id: UUID) -> bool:
        """Whether a contact here has this id, selected or not."""
        found: bool = self._all("is_contact", contact_id=contact_id)[0].found
        return found

    def suppressed(self, addresses: Mapping[UUID, Collection[str]]) -> set[UUID]:
        """Those of the contacts that must never be sent; `addresses` are all spellings of what would be sent."""
        ids = [one for one, spellings in addresses.items() for _ in spellings]
        keys = [address for spellings in addresses.values() for address in spellings]
        rows = self._all("suppressed", contact_ids=uuid_array(ids), keys=text_array(keys)) if ids else ()
        return {row.contact_id for row in rows}

    def record(self, run_id: str, attempts: Sequence[Attempt]) -> set[Claim]:
        """Write outcomes into the ledger; a second one for the same claim is ignored.

        Returns the claims of which that is done, be it since the contact is gone. The others' contacts are held by
        somebody's transaction: to be tried again.
        """
        if not attempts:
            return set()
        with self._engine.begin() as connection:
            found = connection.execute(
                _SQL["lock_contacts"], {"contact_ids": [attempt.claim.contact_id for attempt in attempts]}
            ).all()
            locked = {row.id for row in found if not row.free}
            writable = [attempt for attempt in attempts if attempt.claim.contact_id not in locked]
            if writable:
                connection.execute(_SQL["record"], self._entries(run_id, writable))
            fault_point("before_record")
        fault_point("after_record")
        return {attempt.claim for attempt in writable}

    def _entries(self, run_id: str, attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
        return [
            {
                "crm": self.crm,
                "run_id": run_id,
                "contact_id": attempt.claim.contact_id,
                "claim_no": attempt.claim.claim_no,
                "lists": sorted(attempt.lists),
                "sent_attributes": sorted(attempt.sent_attributes),
                "warnings": list(attempt.warnings),
                "left_out": sorted(attempt.left_out),
                **{name: getattr(attempt, name) for name in _PLAIN_COLUMNS},
            }
            for attempt in attempts
        ]

    def apply(
        self,
        run_id: str,
        policy: RetryPolicy,
        contact_ids: Sequence[UUID] | None = None,
        *,
        claims: Sequence[Claim] | None = None,
    ) -> list[Applied]:
        """Carry recorded outcomes of the run over to the state machine, fenced: all, or of these contacts or claims.

        What somebody's transaction holds stays in the ledger for the next call.
        """
        given: dict[str, Any] = {"run_id": run_id, "contact_ids": None, "claim_nos": None}
        if contact_ids is not None:
            given |= {"contact_ids": list(contact_ids)}
        if claims is not None:
            given |= _keys(claims)
        applied: list[Applied] = []
        for _ in tries():
            rows = self._all(
                "apply",
                "apply",
                **given,
                max_retries=policy.max_retries,
                delays=list(policy.delays) or [timedelta()],
                if_unknown=if_unknown(self.crm),
            )
            applied += [Applied(**{**row._mapping, "requests": int(row.requests)}) for row in rows]
            if not self._all("any_unapplied", **given)[0][0]:
                break
        return applied

    def release(self, run_id: str, claims: Sequence[Claim] | None = None, *, delay: timedelta = timedelta()) -> int:
        """Give claims back uncharged, due again after `delay`; None: all that the run has not begun to deliver."""
        given: dict[str, Any] = {"contact_ids": None, "claim_nos": None} if claims is None else _keys(claims)
        released = 0
        for _ in tries():
            released += len(self._all("release", "release", run_id=run_id, delay=delay, **given))
            if claims is None or released == len(claims):
                break
        return released

    def anything_claimed(self) -> bool:
        """Whether anybody holds a claim, an import too."""
        return bool(self._all("any_claimed")[0][0])

    def being_delivered(self, run_id: str) -> int:
        """How many contacts processes of the run are delivering at present."""
        return int(self._all("being_delivered", run_id=run_id)[0].contacts)

    def taken_within_run(self, run_id: str, claims: Sequence[Claim]) -> int:
        """Of how many of these claims another process of the same run has taken the contact since."""
        return int(self._all("taken_within_run", run_id=run_id, **_keys(claims))[0].contacts)

    def take_put_first(self) -> list[UUID]:
        """The contacts that somebody has put first since this was last asked, and that are still due."""
        return [row.contact_id for row in self._all("take_put_first")]

    def holders(self, *, except_run: str, claimed: bool = True) -> list[str]:
        """The other runs that hold claims, or prepare an import; unless `claimed` it is known that nobody holds any."""
        return [row[0] for row in self._all("abandoned_runs", run_id=except_run, claimed=claimed)]

    def claims_by_run(self) -> dict[str, int]:
        """How many claims each run holds, those of imports left out."""
        return {row.run_id: row.claims for row in self._all("claims_by_run")}

    def silent_runs(self) -> list[str]:
        """The runs that let a lease run out, and the imports that are over and still hold claims."""
        return [row[0] for row in self._all("silent_runs")]

    def rescue(self, *, orderly_runs: Sequence[str] = (), crashed_runs: Sequence[str] = ()) -> Rescued:
        """Return claims whose lease ran out to the queue, and at once those that an ended run had not begun to deliver.

        What a run had begun to deliver waits for its lease: a process of it may live on and be sending. What it had
        sent, without an outcome, to a destination that is not repeatable is parked.
        """
        rows = self._all(
            "rescue",
            "rescue",
            orderly_runs=list(orderly_runs),
            crashed_runs=list(crashed_runs),
            max_crashes=MAX_CRASHES,
            if_unknown=if_unknown(self.crm),
        )
        return Rescued(
            returned=len(rows),
            charged=sum(row.charged for row in rows),
            given_up=sum(row.state == "failed" and not row.unknown for row in rows),
            unknown=sum(row.unknown for row in rows),
        )

    def pass_over_refused(self, since: datetime, policy: RetryPolicy) -> int:
        """Send those to the back of the queue whom the CRM refused since then, though it accepts the credentials.

        Where others got through meanwhile, they are charged an attempt. Returns how many went back.
        """
        return len(
            self._all(
                "pass_over_refused",
                since=since,
                max_retries=policy.max_retries,
                delays=list(policy.delays) or [timedelta()],
            )
        )

    def requeue_parked(self, mapping_version: str) -> int:
        """Queue the contacts that were refused for good under another mapping."""
        with self._engine.begin() as connection:
            result = connection.execute(_SQL["requeue_parked"], {"crm": self.crm, "mapping_version": mapping_version})
            return result.rowcount

    def anything_parked(self, mapping_version: str) -> bool:
        """Whether contacts were refused for good under another mapping."""
        return bool(self._all("any_parked", mapping_version=mapping_version)[0][0])

    def requeue_edited(self, run_id: str) -> int:
        """Queue contacts whose edit the trigger missed; returns how many. The run is known to live meanwhile."""
        with self._engine.begin() as connection:
            connection.execute(_NO_HURRY)
            connection.execute(_SQL["look_for_edits"], {"run_id": run_id})
            return len(connection.execute(_SQL["requeue_edited"], {"crm": self.crm}).all())

    def anything_edited(self) -> bool:
        """Whether there is an edit that its trigger missed: of a contact that was selected in the same moment, say.

        Of the latest 100,000.
        """
        return bool(self._all("any_edited", most=_EDITS_PER_TICK)[0][0])

    def backlog(self) -> Backlog:
        row = self._all("backlog")[0]
        return Backlog(
            due=row.due,
            put_off=row.put_off,
            delivering=row.delivering,
            oldest_due=row.oldest_due,
            oldest_due_seconds=max(0.0, row.oldest_due_seconds or 0.0),
        )

    def waiting(self) -> tuple[int, int]:
        """How many could be claimed now, and during the delivery of how many of them a worker died."""
        row = self._all("waiting")[0]
        return row.due, row.suspects

    def pace(self) -> Pace:
        row = self._all("pace")[0]
        return Pace(contacts=row.contacts, seconds=row.seconds or 0.0)

    def anything_due(self) -> bool:
        """Whether a run would find work; three index look-ups, whatever the size of the queue."""
        return bool(self._all("any_due")[0][0])

    def anyone_takeable(self) -> bool:
        """Whether a contact is due: no more than a claim asks for, by one look into an index."""
        return bool(self._all("any_takeable")[0][0])

    def is_delivering(self, run_id: str) -> bool:
        """Whether the run gave a sign of life in the last two minutes: a lease that it renews, or an outcome.

        So is a look for edits that goes on, and a scan of the account that may still go on, whoever began it.
        """
        return bool(self._all("is_delivering", run_id=run_id)[0][0])

    def unattempted(self, claims: Sequence[Claim]) -> tuple[int, int]:
        """Claims without an entry in the ledger: how many are free again, and how many are still held."""
        row = self._all("unattempted", **_keys(claims))[0]
        return row.free, row.held


def _by_contact(rows: Sequence[sa.Row[Any]]) -> dict[UUID, Delivery]:
    names = rows[0]._fields if rows else ()  # of each row anew they cost as much as all the rest
    return {one.claim.contact_id: one for one in (_delivery(names, row) for row in rows)}


def _delivery(names: Sequence[str], row: sa.Row[Any]) -> Delivery:
    record = dict(zip(names, row, strict=True))
    lists, maybe_keys, sent = record.pop("lists"), record.pop("maybe_keys"), record.pop("sent_attributes")
    return Delivery(
        claim=Claim(contact_id=record.pop("contact_id"), claim_no=record.pop("claim_no")),
        remote_key=record.pop("remote_key"),
        remote_id=record.pop("remote_id"),
        maybe_keys=frozenset(maybe_keys) if maybe_keys else _NONE,
        remote_mark=record.pop("remote_mark"),
        lists=frozenset(lists) if lists else None if lists is None else _NONE,
        sent_attributes=frozenset(sent) if sent else _NONE,
        payload_hash=record.pop("payload_hash"),
        occasion=record.pop("occasion"),
        address=record.pop("address"),
        same_as=record.pop("same_as"),
        record=record,
    )


@lru_cache(maxsize=1000)
def _in_an_array(names: frozenset[str] | tuple[str, ...]) -> str:
    """A text within one: an array of arrays would need as many names in each."""
    return text_array(sorted(names))


def _keys(claims: Sequence[Claim]) -> dict[str, str]:
    return {
        "contact_ids": uuid_array(claim.contact_id for claim in claims),
        "claim_nos": number_array(claim.claim_no for claim in claims),
    }


def _in_order(rows: Sequence[sa.Row[Any]]) -> list[Claim]:
    """RETURNING has no order: oldest due first, ties by id, as the claim picked them."""
    ordered = sorted(rows, key=lambda row: (row.run_at, row.contact_id))
    return [Claim(contact_id=row.contact_id, claim_no=row.claim_no) for row in ordered]
