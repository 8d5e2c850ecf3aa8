"""A storm over the whole pipeline, from one seed.

Several workers run the real job against one database and the sandbox. They are killed, stopped past their leases and
asked to end; connections are cut; contacts are edited, selected and unselected; the CRM refuses, breaks off, is late.
Then all is quiet, what is left is delivered, and the checker judges the tables against what the CRM stores.

The protocol's times are a tenth of the real ones, in the same proportion, so that a storm of minutes sees many leases
end. Only at the end are leases back-dated: nobody is alive then who could hold one.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests
import sqlalchemy as sa

from crm_pipelines.database import connecting
from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.sandbox.core.gateway import fingerprint
from crm_pipelines.settings.crms import prefix_of
from crm_pipelines_tests.checker import violations
from crm_pipelines_tests.ends.end import LIST, End
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import wait_until
from crm_pipelines_tests.worker import Worker

SCALE = 0.1
_WORKERS = 3
_LONGEST_STOP_SECONDS = 1.5 * DELIVERY_LEASE.total_seconds() * SCALE
# A request that arrives this soon after its worker was woken may have been frozen on its way, and a busy machine needs
# time to send what it has thawed. That nothing else is sent after waking is tested step by step (test_kill_matrix).
_LATE_SECONDS = 2.0
_MOST = 12
_HOLDS = (
    "SELECT 1 FROM crm_contacts WHERE id = ANY (:ids) FOR UPDATE",
    "SELECT 1 FROM crm_syncs WHERE contact_id = ANY (:ids) FOR UPDATE",
    "UPDATE crm_contacts SET context = 'never committed' WHERE id = ANY (:ids)",
)


def _wait_little_for_locks(connection: Any, _: object) -> None:
    """A worker that stands still in a transaction goes on only when the storm does."""
    connection.execute("SET lock_timeout = '2s'")
    connection.commit()


@dataclass
class Stop:
    """A worker that stood still; `key` is by whose fingerprint the CRM's log knows it."""

    worker: Worker
    until: float
    began: float = field(default_factory=time.monotonic)


@dataclass
class Hold:
    """Somebody's open transaction on some contacts."""

    connection: sa.Connection
    ids: list[Any]
    until: float


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a storm came to.

    `late`: contacts that a request frozen on its way overwrote or doubled, the one thing that is not promised.
    """

    seed: int
    seconds: float
    tried: Counter[str]
    came_to: dict[str, int]
    late: int
    violations: list[str]


class Storm:
    """One storm over a database with all migrations and an account of its own."""

    def __init__(
        self,
        url: str,
        end: End,
        folder: Path,
        *,
        seed: int,
        contacts: int,
        dagster_home: Path | None = None,
        look: Callable[[], str] = str,
        other: End | None = None,
    ) -> None:
        """`look` is called in the middle of the storm; what it returns is `seen` afterwards.

        `other` is another account, which takes the place of the first one some time.
        """
        self._random = random.Random(seed)
        self._seed = seed
        self._url = url
        self._end = end
        self._sandbox = end.sandbox
        self._folder = folder
        self._dagster_home = dagster_home
        self._look = look
        self.seen = ""
        self._engine = connecting.create_engine(url, application_name="storm")
        sa.event.listen(self._engine, "connect", _wait_little_for_locks)
        self._people = People(self._engine, end.crm)
        self._workers: list[Worker] = []
        self._keys: dict[str, Worker] = {}
        self._stops: list[Stop] = []
        self._stood_still: list[Stop] = []
        self._woken: list[tuple[Worker, float]] = []
        self._holds: list[Hold] = []
        self._left: set[str] = set()
        self._tried: Counter[str] = Counter()
        self._other = other
        self._set_up("one")
        self._ids = [
            contact_id
            for number in range(contacts)
            for contact_id in self._people.add(
                email=f"storm{number}@example.com",
                name=f"Zebedee Quux{number}",
                phone_number=f"+1202555{number:04}",
                email_type="work",
            )
        ]
        # So that a CRM that is told no id of ours shows whose a contact is.
        self._people.run("UPDATE crm_contacts SET source_url = 'https://example.com/' || id")

    def _set_up(self, account: str) -> None:
        """Answers take so long that many a contact is edited or taken over just then."""
        self._end.set_up(account)
        self._sandbox.configure(latency_seconds=0.15)

    def run(self, seconds: float) -> Findings:
        """The storm, the quiet after it, and the judgement. Random in what it does, not in what must come of it."""
        deeds: dict[Callable[[], object], float] = {
            self._kill: 0.5,
            self._stop: 0.5,
            self._ask_to_end: 0.5,
            self._cut_connections: 1,
            self._edit: 12,
            self._revert: 6,
            self._change_address: 2,
            self._pass_addresses_on: 1,
            self._select: 4,
            self._unselect: 1,
            self._hold: 0.4,
            self._leave_list: 1,
            self._change_account: 0.1,
            self._trouble_the_crm: 2,
            self._end_trouble: 2,
            self._release: 3,
        }
        if self._end.imports:
            deeds[self._trouble_imports] = 2
        try:
            self._keep_workers()
            self._sandbox.wait_for_requests(1)
            started = time.monotonic()
            while time.monotonic() < started + seconds:
                self._keep_workers()
                self._end_holds(time.monotonic())
                [deed] = self._random.choices(list(deeds), list(deeds.values()))
                self._do(deed)
                time.sleep(self._random.uniform(0, 0.08))  # the storm's own pace; nothing is waited for
            self.seen = self._look()
            self._calm_down()
            self._lose_answers_and_revert()
            self._leave_and_edit()
            self._calm_down()
            return self._judge(seconds)
        finally:
            for worker in self._workers:
                worker.close()
            self._end_holds()
            self._engine.dispose()

    def _do(self, deed: Callable[[], object]) -> None:
        try:
            deed()
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            self._tried["held up by a transaction of a worker that stood still"] += 1

    def _keep_workers(self) -> None:
        now = time.monotonic()
        for stop in [stop for stop in self._stops if stop.until <= now]:
            self._stops.remove(stop)
            stop.worker.send(signal.SIGCONT)
            if now - stop.began > DELIVERY_LEASE.total_seconds() * SCALE:
                self._tried["worker stopped past its lease, then woken"] += 1
                self._woken.append((stop.worker, now))
        while sum(worker.alive for worker in self._workers) < _WORKERS + len(self._stops):
            self._start_worker(runs=1000)

    def _start_worker(self, runs: int) -> Worker:
        number = len(self._workers)
        in_bulk = self._end.imports and number % 3 == 2
        key = self._end.key_form.format(number)  # tells in the CRM's log who sent
        own = {
            **self._end.variables(key),
            "RATE_LIMIT_PER_SECOND": "100",
            "SYNC_MAX_RETRIES": "20",
            "SYNC_RETRY_DELAY_MINUTES": "0.01",
            "SYNC_RETRY_EXPONENTIAL": "false",
            **({"BULK_THRESHOLD": "10" if in_bulk else "1000"} if self._end.imports else {}),
        }
        environment = {
            "CRM_DATABASE_URL": self._url,
            "CRM_PIPELINES_TEST_CRM": self._end.crm,
            **{prefix_of(self._end.crm) + name: value for name, value in own.items()},
        }
        if self._dagster_home is not None:
            environment["DAGSTER_HOME"] = str(self._dagster_home)
        # What an import, or a worker that was killed, holds, nobody else delivers for a while.
        most = None if in_bulk else _MOST
        worker = Worker(environment, self._folder, runs=runs, scale=SCALE, most=most)
        self._workers.append(worker)
        self._keys[fingerprint(key) or ""] = worker
        return worker

    def _one(self) -> Worker | None:
        stopped = {id(stop.worker) for stop in self._stops}
        going = [worker for worker in self._workers if worker.alive and id(worker) not in stopped]
        return self._random.choice(going) if going else None

    def _kill(self) -> None:
        if (worker := self._one()) is not None:
            worker.send(signal.SIGKILL)
            worker.wait()
            self._tried["worker killed (SIGKILL)"] += 1

    def _ask_to_end(self) -> None:
        if (worker := self._one()) is not None:
            worker.send(signal.SIGTERM)
            self._tried["run asked to stop (SIGTERM)"] += 1

    def _stop(self) -> None:
        if len(self._stops) < 2 and (worker := self._one()) is not None:
            worker.send(signal.SIGSTOP)
            until = time.monotonic() + self._random.uniform(0, _LONGEST_STOP_SECONDS)
            self._stops.append(Stop(worker, until))
            self._stood_still.append(self._stops[-1])
            self._tried["worker stopped and continued (SIGSTOP, SIGCONT)"] += 1

    def _cut_connections(self) -> None:
        self._tried["database connections cut"] += len(
            self._people.all(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'crm-pipelines%' AND random() < 0.5"
            )
        )

    def _some(self, most: int = 8) -> list[Any]:
        """Contacts that nobody holds: whoever changes them does not wait."""
        held = {contact_id for hold in self._holds for contact_id in hold.ids}
        free = [contact_id for contact_id in self._ids if contact_id not in held]
        return self._random.sample(free, self._random.randint(1, most))

    def _hold(self) -> None:
        """Somebody's transaction on some contacts, which is rolled back in the end."""
        if len(self._holds) > 2:
            return
        ids = self._some(3)
        with ExitStack() as unless_held:
            connection = unless_held.enter_context(self._engine.connect())
            connection.execute(sa.text(self._random.choice(_HOLDS)), {"ids": ids})
            unless_held.pop_all()
        self._holds.append(Hold(connection, ids, time.monotonic() + self._random.uniform(0, 8)))
        self._tried["contacts held by an open transaction"] += len(ids)

    def _end_holds(self, now: float = float("inf")) -> None:
        for hold in [hold for hold in self._holds if hold.until <= now]:
            self._holds.remove(hold)
            hold.connection.close()

    def _leave_list(self) -> None:
        on_list = sorted(self._end.on_list())
        if not on_list:
            return
        remote_id = self._random.choice(on_list)
        with suppress(requests.RequestException):  # the CRM's trouble is the person's, too
            self._end.leave_list(remote_id)
        if remote_id in self._end.on_list():
            return
        if self._end.tells_leavers or self._is_known_on_list(remote_id):
            self._left.add(remote_id)
            self._tried["people who left the list"] += 1
        else:
            self._tried["people who left the list before we knew that they were on it (not promised)"] += 1

    def _is_known_on_list(self, remote_id: str) -> bool:
        """Whether it is written down that this account put the contact on the list."""
        return bool(
            self._people.all(
                "SELECT 1 FROM crm_attempts a JOIN crm_gates g USING (crm) WHERE a.crm = :crm AND remote_id = :id "
                "AND lists @> ARRAY[:list] AND finished_at > coalesce(account_since, '-infinity') LIMIT 1",
                crm=self._end.crm,
                id=remote_id,
                list=str(LIST),
            )
        )

    def _release(self) -> None:
        self._sandbox.release()

    def _change_account(self) -> None:
        """Once: all get the key of another account. Whoever went on with the former key would change it back."""
        if self._other is None:
            return
        for worker in self._workers:
            worker.close()
        self._stops.clear()
        self._left.clear()
        self._count_troubles()
        self._end, self._other = self._other, None
        self._sandbox = self._end.sandbox
        self._set_up("another")
        self._tried["the account became another one"] += 1

    def _edit(self) -> None:
        name = f"Zebedee Quux{self._random.randrange(10**9)}"
        self._tried["contacts edited"] += self._people.run(
            "UPDATE crm_contacts SET name = :name, has_gmail = NOT coalesce(has_gmail, false) WHERE id = ANY (:ids)",
            name=name,
            ids=self._some(),
        )

    def _revert(self) -> None:
        """Values that the contacts have had before, or may have."""
        one = self._random.randrange(2)
        self._tried["contacts set to former values"] += self._people.run(
            "UPDATE crm_contacts SET name = :name, has_gmail = :yes, email_type = :type WHERE id = ANY (:ids)",
            name=f"Zebedee Quux{one}",
            yes=bool(one),
            type="work" if one else None,
            ids=self._some(),
        )

    def _pass_addresses_on(self) -> None:
        """Contacts take over each other's addresses."""
        ids = self._some(4)
        with self._engine.begin() as connection:
            found = connection.execute(
                sa.text("SELECT id, email FROM crm_contacts WHERE id = ANY (:ids)"), {"ids": ids}
            )
            emails = {row.id: row.email for row in found}
            update = sa.text("UPDATE crm_contacts SET email = :email WHERE id = :id")
            connection.execute(update, [{"id": one, "email": f"via.{emails[one]}"} for one in ids])
            ring = zip(ids, [*ids[1:], ids[0]], strict=True)
            connection.execute(update, [{"id": one, "email": emails[next_one]} for one, next_one in ring])
        self._tried["contacts that took over each other's addresses"] += len(ids)

    def _change_address(self) -> None:
        self._tried["addresses changed"] += self._people.run(
            "UPDATE crm_contacts SET email = :email WHERE id = :id",
            email=f"moved{self._random.randrange(10**9)}@example.com",
            id=self._some(1)[0],
        )

    def _select(self) -> None:
        ids = self._some()
        self._people.run("SELECT crm_select(:crm, :ids)", crm=self._end.crm, ids=ids)
        self._tried["contacts selected"] += len(ids)

    def _unselect(self) -> None:
        ids = self._some()
        self._people.run("SELECT crm_unselect(:crm, :ids)", crm=self._end.crm, ids=ids)
        self._tried["contacts unselected"] += len(ids)

    def _trouble_the_crm(self) -> None:
        fault = self._random.choice(self._end.trouble)
        self._sandbox.fault(**fault, times=self._random.randint(1, 4))
        if (what := self._end.disturb()) is not None:
            self._tried[what] += 1

    def _trouble_imports(self) -> None:
        fault = self._random.choice(self._end.trouble)
        self._sandbox.fault(**{**fault, "path": "/contacts/import", "times": 2})

    def _end_trouble(self) -> None:
        """What is delivered in between is what the next trouble can harm."""
        self._sandbox.clear_faults()
        self._open_gate()

    def _open_gate(self) -> None:
        self._people.run("UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, probing = false")

    def _calm_down(self) -> None:
        for worker in self._workers:
            worker.close()
        self._end_holds()
        self._sandbox.clear_faults()
        self._sandbox.configure(latency_seconds=0)
        self._sandbox.release()
        wait_until(lambda: all(one["finished"] for one in self._sandbox.requests()), "the CRM is through with all")
        for _ in range(30):
            # What was delivered is not selected again: that would mend what the storm broke.
            self._people.run(
                "SELECT crm_select(crm, array_agg(contact_id)) FROM crm_syncs "
                "WHERE state IN ('failed', 'unselected') GROUP BY crm"
            )
            self._open_gate()
            self._people.expire_leases()
            self._people.make_due()
            self._people.run("UPDATE crm_bulk_imports SET tended_at = now() - interval '10 min' WHERE state <> 'ended'")
            self._people.run("UPDATE crm_gates SET next_poll_at = now(), aside_full_at = now()")
            if not self._people.states().keys() & {"queued", "claimed"}:
                return
            self._start_worker(runs=1).wait()  # crash suspects go one at a time

    def _lose_answers_and_revert(self) -> None:
        """In the storm, the next edit soon mends what a revert after a lost answer left; here nothing follows it."""
        ids = self._random.sample(self._ids, 12)
        columns = "id, name, has_gmail, email_type"
        before = self._people.all(f"SELECT {columns} FROM crm_contacts WHERE id = ANY (:ids)", ids=ids)
        self._people.run(
            "UPDATE crm_contacts SET name = 'Zebedee Quux', has_gmail = NOT coalesce(has_gmail, false), "
            "email_type = CASE WHEN email_type IS NULL THEN 'work' END WHERE id = ANY (:ids)",
            ids=ids,
        )
        self._sandbox.fault("reset_after", **self._end.updates)
        self._start_worker(runs=1).wait()
        self._sandbox.clear_faults()
        values = "name = :name, has_gmail = :has_gmail, email_type = :email_type"
        for row in before:
            self._people.run(f"UPDATE crm_contacts SET {values} WHERE id = :id", **row)
        self._tried["contacts set back after a lost answer, at the end"] += len(ids)

    def _leave_and_edit(self) -> None:
        """Who leaves the list is delivered once more afterwards."""
        for _ in range(6):
            self._leave_list()
        self._people.run(
            "UPDATE crm_contacts SET has_gmail = NOT coalesce(has_gmail, false) "
            "WHERE id IN (SELECT contact_id FROM crm_syncs WHERE remote_id = ANY (:numbers))",
            numbers=list(self._left),
        )

    def _count_troubles(self) -> None:
        for entry in self._sandbox.requests():
            if entry["fault"]:
                where = "import" if entry["path"].endswith("/contacts/import") else "CRM"
                status = f" {entry['status']}" if entry["fault"] in {"status", "html"} else ""
                self._tried[f"{where}: {entry['fault']}{status}"] += 1

    def _judge(self, seconds: float) -> Findings:
        self._count_troubles()
        log = self._sandbox.requests()
        assert log[0]["seq"] == 1, "the CRM's log has lost its beginning"
        all_found = list(violations(self._engine, self._end, culprits=self._ids, frozen=self._is_frozen))
        sends = self._end.sends()
        suspects = self._sent_right_after_waking(sends)
        late = [found for found in all_found if any(contact_id in found for contact_id in suspects)]
        back_on_list = self._left & self._end.on_list()
        all_found += [f"the contact {number} at the CRM left the list and is on it again" for number in back_on_list]
        confirmed = (
            "SELECT count(*) AS n FROM crm_attempts a JOIN crm_gates g ON g.crm = a.crm "
            "WHERE outcome = 'synced' AND finished_at > coalesce(account_since, '-infinity') AND run_id"
        )
        ledger = self._people.all(f"{confirmed} NOT LIKE 'import:%'")[0]["n"]
        in_bulk = self._people.all(f"{confirmed} LIKE 'import:%'")[0]["n"]
        repeated = sum(entry["applied"] for entry in sends) - ledger
        came_to = {
            "contacts": len(self._ids),
            "requests": len(log),
            "deliveries confirmed": ledger,
            "deliveries that the CRM applied without our knowing": repeated,
            "deliveries by an import": in_bulk,
            **{f"in the end {state}": count for state, count in self._people.states().items()},
        }
        return Findings(
            seed=self._seed,
            seconds=seconds,
            tried=self._tried,
            came_to=came_to,
            late=len(late),
            violations=[found for found in all_found if found not in late],
        )

    def _is_frozen(self, entry: dict[str, Any]) -> bool:
        sender = self._keys.get(entry["key"])
        ended = entry["finished_monotonic"] or float("inf")
        return any(
            stop.worker is sender and entry["arrived_monotonic"] <= stop.began <= ended for stop in self._stood_still
        )

    def _sent_right_after_waking(self, sends: list[dict[str, Any]]) -> set[str]:
        return {
            entry["ext_id"]
            for entry in sends
            for worker, woken_at in self._woken
            if self._keys.get(entry["key"]) is worker
            and woken_at <= entry["arrived_monotonic"] <= woken_at + _LATE_SECONDS
        }
