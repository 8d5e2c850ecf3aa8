"""Removes one guard of the protocol at a time from a copy of this tree, and requires that its tests go red.

A guard that can be removed unnoticed is not tested. No part of `make test`, since it takes minutes: `make mutations`.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_QUEUE_SQL = "crm_pipelines/contacts/queue.sql"
_PROTOCOL = "crm_pipelines_tests/integration/queue/test_protocol.py"
_FENCE_TESTS = "crm_pipelines_tests/unit/delivery/test_fence.py"
_GUARDS = "crm_pipelines_tests/integration/chaos/test_guards.py"
_MATRIX = "crm_pipelines_tests/integration/chaos/test_kill_matrix.py"
_RUNS = "crm_pipelines_tests/integration/orchestration/test_brevo_sync.py"
_BULK = "crm_pipelines_tests/integration/orchestration/test_bulk.py"
_FOLLOWING = "crm_pipelines_tests/integration/orchestration/test_following.py"
_IMPORTS_SQL = "crm_pipelines/contacts/imports.sql"
_SECONDS_PER_TEST = 60

_GATE_CHECK = """\
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
"""
_CLAIM = """WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at
"""
_CLAIM_BY_SUBSELECT = """UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id,
       lease_until = now() + :lease
 WHERE s.crm = :crm AND s.contact_id IN (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING s.contact_id, s.claim_no, s.run_at
"""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One guard: how it is removed (file, text, replacement), and the tests of which one must go red."""

    guard: str
    changes: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        guard="fence: an outcome counts only with the current claim_no",
        changes=((_QUEUE_SQL, "AND s.claim_no = o.claim_no\n", "\n"),),
        tests=(f"{_PROTOCOL}::test_nobody_completes_without_the_current_claim",),
    ),
    Mutation(
        guard="fence: a lease is renewed only with the current claim_no",
        changes=(
            (
                _QUEUE_SQL,
                "AND s.claim_no = d.claim_no AND s.state = 'claimed'\nRETURNING s.contact_id, s.rev",
                "AND s.state = 'claimed'\nRETURNING s.contact_id, s.rev",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_nobody_completes_without_the_current_claim",),
    ),
    Mutation(
        guard="revision: only the present one makes a contact synced",
        changes=(
            (
                _QUEUE_SQL,
                "('synced', 'unchanged') THEN CASE WHEN s.revision = o.revision THEN 'synced' ELSE 'queued' END",
                "('synced', 'unchanged') THEN 'synced'",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_an_edit_during_delivery_is_delivered_afterwards",),
    ),
    Mutation(
        guard="self-fence: what is no longer held is not sent",
        changes=(
            (
                "crm_pipelines/delivery/fence.py",
                "            if contact_id not in self._claims:\n                raise ClaimLost\n",
                "",
            ),
        ),
        tests=(_FENCE_TESTS, f"{_MATRIX}::test_woken_after_its_lease_a_worker_overwrites_nothing[before_fence]"),
    ),
    Mutation(
        guard="TRUST: a renewal counts for seconds only",
        changes=(
            (
                "crm_pipelines/delivery/fence.py",
                "while self._age() > TRUST.total_seconds():",
                "while self._age() == float('inf'):",
            ),
        ),
        tests=(_FENCE_TESTS, f"{_MATRIX}::test_woken_after_its_lease_a_worker_overwrites_nothing[before_fence]"),
    ),
    Mutation(
        guard="suspect lane: who may have killed a worker is not among the others",
        changes=((_QUEUE_SQL, "run_at <= now() AND crashes = 0\n", "run_at <= now()\n"),),
        tests=(f"{_PROTOCOL}::test_a_crash_is_charged_only_to_contacts_that_were_being_delivered",),
    ),
    Mutation(
        guard="suspect lane: one at a time",
        changes=(
            (
                "crm_pipelines/orchestration/ops.py",
                'send = courier.deliver_one_at_a_time if batch.kind == "alone" else courier.deliver',
                "send = courier.deliver",
            ),
        ),
        tests=(
            f"{_GUARDS}::test_a_poison_contact_takes_no_neighbour_with_it",
            f"{_RUNS}::test_crash_suspects_are_delivered_one_at_a_time",
        ),
    ),
    Mutation(
        guard="MATERIALIZED: a claim never takes more than it was asked for",
        changes=((_QUEUE_SQL, _CLAIM, _CLAIM_BY_SUBSELECT),),
        tests=(
            f"{_PROTOCOL}::test_a_claim_never_exceeds_its_limit_under_a_nested_loop_plan",
            f"{_GUARDS}::test_a_claim_never_takes_more_than_its_limit_under_any_plan",
        ),
    ),
    Mutation(
        guard="rescue: a row that somebody is just completing is let be",
        changes=(
            (
                _QUEUE_SQL,
                "     FOR NO KEY UPDATE SKIP LOCKED\n)\nUPDATE crm_syncs s SET\n    state = CASE WHEN l.charged",
                ")\nUPDATE crm_syncs s SET\n    state = CASE WHEN l.charged",
            ),
            (
                _QUEUE_SQL,
                "FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm AND s.state = 'claimed'",
                "FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_a_rescue_never_changes_a_contact_that_was_completed_meanwhile",),
    ),
    Mutation(
        guard="rescue: what the ledger knows is carried over first, whoever's run it was",
        changes=(("crm_pipelines/orchestration/ops.py", ", *queue.silent_runs()", ""),),
        tests=(
            f"{_MATRIX}::test_killed_at_any_step_nothing_is_lost_and_each_contact_is_sent_twice_at_most[after_record]",
        ),
    ),
    Mutation(
        guard="hash: only a confirmed delivery moves it",
        changes=(
            (
                "crm_pipelines/delivery/parcels.py",
                "payload_hash=parcel.payload.hash if synced else None",
                "payload_hash=parcel.payload.hash",
            ),
            (
                _QUEUE_SQL,
                "CASE WHEN o.outcome = 'synced' THEN o.payload_hash ELSE s.payload_hash END",
                "coalesce(o.payload_hash, s.payload_hash)",
            ),
        ),
        tests=(f"{_GUARDS}::test_an_update_that_failed_is_sent_again",),
    ),
    Mutation(
        guard="sums: a claimed contact whose fate is unknown fails the run",
        changes=(("crm_pipelines/orchestration/ops.py", "    if totals.unaccounted:\n", "    if False:\n"),),
        tests=(f"{_GUARDS}::test_a_run_fails_when_the_fate_of_a_contact_is_unknown",),
    ),
    Mutation(
        guard="gate: nothing is claimed while it is paused",
        changes=(
            (
                _QUEUE_SQL,
                f" AND crashes = 0\n{_GATE_CHECK}",
                " AND crashes = 0\n",
            ),
        ),
        tests=(f"{_PROTOCOL}::test_nothing_is_claimed_while_the_gate_is_paused",),
    ),
    Mutation(
        guard="stop signals: nothing is raised between an answer and its entry in the ledger",
        changes=(
            (
                "crm_pipelines/delivery/courier.py",
                "delivering = pool.submit(self._deliver, claims)",
                "return self._deliver(claims)",
            ),
        ),
        tests=(f"{_GUARDS}::test_stop_signals_in_a_row_lose_no_answer",),
    ),
    Mutation(
        guard="consent: whom the walk saw on a block-list goes into no import",
        changes=(("crm_pipelines/delivery/importing.py", " or row.identifiers & blocked", ""),),
        tests=(f"{_BULK}::test_nobody_is_told_and_nobody_is_subscribed_again_even_if_imports_do_so",),
    ),
    Mutation(
        guard="consent: no import without a complete walk",
        changes=((_IMPORTS_SQL, " AND w.completed_at IS NOT NULL", ""),),
        tests=(f"{_BULK}::test_no_import_is_sent_without_a_complete_and_young_walk",),
    ),
    Mutation(
        guard="consent: a deletion during the walk is noticed",
        changes=(("crm_pipelines/delivery/surveying.py", "page.contacts[0].remote_id != last.remote_id", "False"),),
        tests=(f"{_BULK}::test_an_account_from_which_contacts_vanish_during_the_walk_gets_no_import",),
    ),
    Mutation(
        guard="a backlog that does not shrink is left to the schedule",
        changes=(
            (
                "crm_pipelines/orchestration/following.py",
                "if found is not None and int(left) >= int(found):",
                "if False:",
            ),
        ),
        tests=(f"{_FOLLOWING}::test_a_backlog_that_does_not_shrink_is_left_to_the_schedule",),
    ),
)


def main(words: list[str]) -> int:
    """Prints a table; returns 1 when a guard could be removed unnoticed. With words: only guards that hold one."""
    mutations = [one for one in MUTATIONS if not words or any(word in one.guard for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="crm-pipelines-mutations-") as name:
        tree = Path(name)
        tree.chmod(0o711)
        for folder in ("crm_pipelines", "crm_pipelines_tests"):
            shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "dagster.yaml"):
            shutil.copy(ROOT / file, tree / file)
        for mutation in mutations:  # before minutes pass: is what is to be removed still there?
            with _Without(tree, mutation):
                pass
        every_test = sorted({test for mutation in mutations for test in mutation.tests})
        if not _red(tree, every_test):
            print("| without any change | green |", flush=True)
        else:
            print("The tests fail without any change; nothing can be told from them.")
            return 1
        for mutation in mutations:
            with _Without(tree, mutation):
                caught = _red(tree, mutation.tests)
            survivors += not caught
            print(
                f"| {mutation.guard} | {'red, as it should be' if caught else 'GREEN: no test notices'} |", flush=True
            )
    return 1 if survivors else 0


class _Without:
    """The tree without one guard, for the length of the block."""

    def __init__(self, tree: Path, mutation: Mutation) -> None:
        self._tree = tree
        self._mutation = mutation
        self._before: dict[Path, str] = {}

    def __enter__(self) -> None:
        for file, text, replacement in self._mutation.changes:
            path = self._tree / file
            content = path.read_text(encoding="utf-8")
            self._before.setdefault(path, content)
            if content.count(text) < 1:
                raise SystemExit(f"{self._mutation.guard}: {file} no longer holds what is to be removed: {text}")
            path.write_text(content.replace(text, replacement), encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        for path, content in self._before.items():
            path.write_text(content, encoding="utf-8")


def _red(tree: Path, tests: list[str] | tuple[str, ...]) -> bool:
    """Whether a test fails. What pytest itself complains of (a wrong name, say) ends this program."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", f"--timeout={_SECONDS_PER_TEST}", "-p", "no:cacheprovider"]
    result = subprocess.run([*command, *tests], cwd=tree, capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
