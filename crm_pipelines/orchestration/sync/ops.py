"""The way of a contact, in four ops: fetch_queued_contacts, sync_batch, write_statuses, report_run.

Between them travel identifiers and counts only; outcomes travel in the ledger (crm_attempts). What a contact came to
is data: a run in which contacts were rejected is a successful run. A run fails when the CRM was out of reach or refused
the credentials, and when its sums do not add up.

An outcome is first recorded in the ledger, then carried over to the contact, always by `Queue.apply`: of a single
delivery in write_statuses; of a bulk import within sync_batch, page by page as it is seen at the CRM. To leave that to
write_statuses as well would be worse. An import outlives its run, and whoever takes it up has to count what a dead
worker had recorded. Whom it did not bring in must be due again while the same step has time to send singly. And one
transaction over everybody would lock all these contacts until it is through (4 s for 100,000, docs/benchmarks.md);
page by page it is done while the CRM is waited for.

Op retries: only fetch_queued_contacts has one, since it gives back its own claims first. sync_batch has none: it would
send again what was sent. The next tick is its retry.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import dagster as dg

from crm_pipelines.contacts.selection import ids_by_email
from crm_pipelines.contacts.twins import settle
from crm_pipelines.crms.bulk import Imports
from crm_pipelines.delivery.account.identity import AccountUnknown
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.bulk.scanning import AccountScan
from crm_pipelines.delivery.pace.gatekeeping import reopen_if_accepted
from crm_pipelines.delivery.pace.pacing import GatePaused
from crm_pipelines.delivery.planning import (
    CLAIM_LEASE,
    IMPORT_SILENCE,
    MAX_BATCHES,
    bulk_held_up,
    claim_limit,
    importing_budget,
    limit_alone,
    sending_budget,
    smallest_batch,
    split,
    suspects_share,
)
from crm_pipelines.delivery.previewing import preview
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.orchestration.assets import describe, in_words, queue_materialization, run_materialization, story
from crm_pipelines.orchestration.checks import standing_evaluations, sums_evaluation
from crm_pipelines.orchestration.resources import Destination, sentences
from crm_pipelines.orchestration.standing import look_at
from crm_pipelines.orchestration.sync.batches import Batch, FetchConfig, SentBatch, WrittenBatch, contact_ids
from crm_pipelines.orchestration.sync.ended_runs import ended_runs
from crm_pipelines.orchestration.sync.following import leave_word
from crm_pipelines.orchestration.sync.tags import GATE_TAG
from crm_pipelines.queue.model import Claim


@dg.op(
    out=dg.DynamicOut(description="Batches of claimed contacts, by id."),
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
    description="Returns abandoned claims to the queue, claims due contacts, and splits them into batches.",
)
def fetch_queued_contacts(
    context: dg.OpExecutionContext, config: FetchConfig, destination: dg.ResourceParam[Destination]
) -> Iterator[dg.DynamicOutput[Batch]]:
    with sentences(), destination.open() as account:
        try:
            for batch in _fetch(context, config, account):
                yield dg.DynamicOutput(batch, mapping_key=f"batch_{batch.number}")
        except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
            account.queue.release(context.run_id)
            # To Dagster an interruption is a reason to try the op again, and a cancelled run would go on.
            raise dg.Failure("The run was stopped while it claimed contacts.", allow_retries=False) from None
        except BaseException:
            account.queue.release(context.run_id)
            raise


def _fetch(context: dg.OpExecutionContext, config: FetchConfig, account: Account) -> list[Batch]:
    queue = account.queue
    chosen = _chosen(config, account)
    gate = account.gate.read()
    budget = sending_budget(timedelta(minutes=account.destination.sync_scheduler_interval_minutes))
    rate = account.rate_limit(gate).per_second
    together = account.crm.most_per_request
    limit = claim_limit(budget, rate, config.limit, together=together)
    most_alone = limit_alone(budget, rate, config.limit)
    smallest = smallest_batch(
        account.destination.sync_scheduler_batch_size, rate, account.destination.sync_processes, together=together
    )
    if config.dry_run:
        seen = queue.peek(limit=limit, contact_ids=chosen)
        context.log.info("Dry run: %d contacts would be claimed.", len(seen))
        if gate.account is not None and not gate.knows(account.crm.credentials_fingerprint):
            context.log.warning(
                "These credentials are new: should they open another account than %s, a run forgets what is known of "
                "that one, and sends nothing before it is selected.",
                gate.account,
            )
        return [
            Batch(number=number, run_id=context.run_id, claims=tuple(claims), dry_run=True)
            for number, claims in enumerate(split(seen, smallest, together=together) or [()], start=1)
        ]

    reopen_if_accepted(account.gate, account.crm, queue, account.policy)
    admitted = _admitted(context, account)
    _take_back(context, account)
    if admitted is None:
        return []
    account = admitted
    imports = account.imports(context.run_id)
    released_by_mapping = queue.requeue_parked(account.crm.mapping_version)
    settle(account.engine)
    edited = queue.requeue_edited()
    gate = account.gate.read()
    if not gate.paused and (chosen is not None or queue.anything_due() or account.look_is_due):
        _learn(context, account)
        gate = account.gate.read()
    known = account.schema_known
    if gate.probing:
        limit = min(limit, smallest)  # who needs no request is no probe, so one contact might not be enough
    if not known:
        limit = 0
    in_bulk = known and chosen is None and not gate.paused and not gate.probing
    scan = _scan(context, config, account) if in_bulk else None
    claims, suspects = _claim(
        context, account, limit, min(limit, most_alone), chosen, probing=gate.probing, in_bulk=scan is not None
    )
    batches = []
    if scan is not None or (chosen is None and imports.any_open()):
        most = sys.maxsize if config.limit is None else config.limit - len(claims) - len(suspects)
        batches.append(Batch(number=1, run_id=context.run_id, kind="import", scan=scan, most=most))
    kind: Literal["probe", "together"] = "probe" if gate.probing else "together"
    batches += [
        Batch(number=number, run_id=context.run_id, claims=tuple(part), kind=kind)
        for number, part in enumerate(
            split(claims, smallest, MAX_BATCHES - 2, together=together), start=len(batches) + 1
        )
    ]
    if suspects:
        batches.append(Batch(number=len(batches) + 1, run_id=context.run_id, claims=tuple(suspects), kind="alone"))
    backlog = queue.backlog()
    context.log.info(
        "%d contacts claimed (%d to be delivered alone); batches: %d; %d more are due. Queued again: %d for a new "
        "mapping, %d edited.",
        len(claims) + len(suspects),
        len(suspects),
        len(batches),
        backlog.due,
        released_by_mapping,
        edited,
    )
    if gate.paused:
        context.log.warning("The gate is paused (%s): %s", gate.pause_kind, gate.pause_reason)
    return batches


def _claim(
    context: dg.OpExecutionContext,
    account: Account,
    limit: int,
    most_alone: int,
    chosen: list[UUID] | None,
    *,
    probing: bool,
    in_bulk: bool,
) -> tuple[list[Claim], list[Claim]]:
    """Contacts, and crash suspects, at most `limit` of both: however many there are of one kind, the other has a share.

    `most_alone` suspects at most: each takes requests of its own, also where many contacts go in one.
    While the gate tries out a single contact, a suspect is that only if nobody else is due: it would take the worker
    down once more, and nothing would be known.
    """
    given: dict[str, Any] = {"lease": CLAIM_LEASE, "contact_ids": chosen}
    share = 0 if probing else suspects_share(most_alone)
    suspects = account.queue.claim_suspects(context.run_id, limit=share, **given) if share else []
    claims = account.queue.claim(context.run_id, limit=limit - len(suspects), leave_to_imports=in_bulk, **given)
    left = min(limit - len(claims), most_alone) - len(suspects)
    if left > 0 and not (probing and claims):
        suspects += account.queue.claim_suspects(context.run_id, limit=left, **given)
    return claims, suspects


def _admitted(context: dg.OpExecutionContext, account: Account) -> Account | None:
    """With a gate for the account that the credentials open; None when that cannot be told before the gate opens."""
    try:
        # Not a second time: a run that began before the account changed must not change it back.
        admitted = account.admit_run(move=context.retry_number == 0)
    except (GatePaused, AccountUnknown) as reason:
        gate = account.gate.read()
        if isinstance(reason, AccountUnknown) and not gate.paused:
            raise
        context.log.warning("The account is not known yet, so nothing is claimed. %s", gate.pause_reason or reason)
        return None
    if admitted.forgotten:
        context.log.warning(
            "The credentials open the account %s, and not %s any more. What was known of that one is forgotten: %d "
            "contacts are New again, and none is sent until it is selected.",
            admitted.gate.account,
            admitted.gate.read().former_account,
            admitted.forgotten,
        )
    return replace(account, gate=admitted.gate)


def _learn(context: dg.OpExecutionContext, account: Account) -> None:
    """See what the account takes. Raises dagster.Failure when that was never seen, unless the gate tells why."""
    learner = account.learner()
    if learner is None:
        return
    learned = learner.learn()
    if learned.queued:
        context.log.info("%d contacts are queued again: the account takes what it did not before.", learned.queued)
    if learned.problem is None:
        return
    if account.crm.attributes_version is not None:
        context.log.warning("The account's attributes are taken as they were last seen: %s", learned.problem)
        return
    said = f"Which attributes the account has is not known yet, so nothing was claimed. {learned.problem}"
    if account.gate.read().paused:
        context.log.warning(said)
        return
    raise dg.Failure(said, allow_retries=False)


def _take_back(context: dg.OpExecutionContext, account: Account) -> None:
    """Carry over what runs that are over have recorded, and return what they left undone to the queue."""
    queue = account.queue
    queue.release(context.run_id)
    orderly, crashed = ended_runs(context.instance, queue.holders(except_run=context.run_id))
    for run_id in {*orderly, *crashed, *queue.silent_runs()}:
        queue.apply(run_id, account.policy)
    rescued = queue.rescue(orderly_runs=orderly, crashed_runs=crashed)
    if rescued.returned:
        context.log.warning(
            "%d claims of ended runs were taken back; %d of these contacts were being delivered when their worker "
            "died, %d were given up for it, %d may have arrived and wait for a user's decision.",
            rescued.returned,
            rescued.charged,
            rescued.given_up,
            rescued.unknown,
        )
    if lost := account.imports(context.run_id).recover(silence=IMPORT_SILENCE, ended_runs=[*orderly, *crashed]):
        context.log.warning("%d contacts of imports whose worker died before they were sent go again.", lost)


def _scan(context: dg.OpExecutionContext, config: FetchConfig, account: Account) -> AccountScan | None:
    """What a bulk import needs, when there is enough for one and the account takes it."""
    bulk = account.crm.imports
    if bulk is None:
        return None
    threshold = bulk.threshold
    imports = account.imports(context.run_id)
    if (config.limit is not None and config.limit < threshold) or not imports.due(threshold):
        return None
    ends = imports.latest_ends()
    if (rest := bulk_held_up(ends)) is not None:
        context.log.warning(
            "No bulk import for %.0f more minutes: the last two came to nothing (%s, %s). Contacts go singly.",
            rest.total_seconds() / 60,
            ends[1].ended_as,
            ends[0].ended_as,
        )
        return None
    scanner = account.scanner(bulk)
    scan = scanner.scan(threshold, imports.due)
    if scanner.failed:
        imports.note_failed(account.crm.mapping_version)
    return scan


def _chosen(config: FetchConfig, account: Account) -> list[UUID] | None:
    """The contacts that the launch config asks for; None when it asks for whatever is due."""
    if not config.emails and not config.contact_ids and not config.put_first:
        return None
    named = [*contact_ids(config.contact_ids), *ids_by_email(account.engine, config.emails)]
    return [*named, *account.queue.take_put_first()] if config.put_first and not config.dry_run else named


@dg.op(description="Renews the claims, reads the contacts' present data, and sends each at the account's pace.")
def sync_batch(context: dg.OpExecutionContext, batch: Batch, destination: dg.ResourceParam[Destination]) -> SentBatch:
    started = time.monotonic()
    with sentences(), destination.open() as account:
        if batch.dry_run:
            return SentBatch(batch=batch, totals=preview(account.queue, account.crm, batch.claims))
        if batch.claims and batch.run_id != context.run_id:
            context.log.info(
                "Batch %d is that of run %s, which has ended. Nothing is sent: its contacts return to the queue by "
                "themselves.",
                batch.number,
                batch.run_id,
            )
            return SentBatch(batch=batch, totals=Totals(claimed=len(batch.claims), superseded=len(batch.claims)))
        with account.settled_at_an_end(context.run_id):
            account = account.admitted()
            bulk = account.crm.imports if batch.kind == "import" else None
            sent = _send(context, account, batch) if bulk is None else _send_in_bulk(context, account, batch, bulk)
    seconds = time.monotonic() - started
    contacts = len(batch.claims)
    done = "imports seen to" if batch.kind == "import" else f"{contacts - sent.released} of {contacts} contacts handled"
    stopped = f"; stopped early: {sent.halted}." if sent.halted else "."
    context.log.info("Batch %d: %s in %.1f s%s", batch.number, done, seconds, stopped)
    return replace(sent, seconds=seconds)


def _send(context: dg.OpExecutionContext, account: Account, batch: Batch) -> SentBatch:
    courier = account.courier(context.run_id)
    send = {"alone": courier.deliver_one_at_a_time, "probe": courier.deliver_after_a_probe}.get(
        batch.kind, courier.deliver
    )
    receipt = send(batch.claims)
    return SentBatch(
        batch=batch,
        released=receipt.released,
        locked=receipt.locked,
        halted=receipt.halted,
        refused_for_rate=courier.session.refused_for_rate,
    )


def _send_in_bulk(context: dg.OpExecutionContext, account: Account, batch: Batch, bulk: Imports) -> SentBatch:
    started = time.monotonic()
    budget = importing_budget(timedelta(minutes=account.destination.sync_scheduler_interval_minutes))
    receipt = account.bulk_sender(bulk, context.run_id).run(batch.scan, most=batch.most, budget=budget)
    totals = receipt.totals
    left = budget - timedelta(seconds=time.monotonic() - started)
    most = batch.most - (totals.claimed - totals.released)
    if receipt.failed is None or receipt.halted is not None or left <= timedelta() or most <= 0:
        return SentBatch(batch=batch, totals=totals, halted=receipt.halted)
    context.log.warning("A bulk import came to nothing (%s): contacts go singly.", receipt.failed)
    rate = account.rate_limit(account.gate.read()).per_second
    rest = _send_rest(context, account, batch, claim_limit(left, rate, most))
    return replace(rest, totals=Totals.sum([totals, rest.totals or Totals()]))


def _send_rest(context: dg.OpExecutionContext, account: Account, batch: Batch, limit: int) -> SentBatch:
    """What an import could not bring in, in the time that was meant for imports."""
    claims = account.queue.claim(context.run_id, limit=limit, lease=CLAIM_LEASE)
    sent = _send(context, account, replace(batch, kind="together", claims=tuple(claims)))
    return replace(sent, batch=batch, totals=_written(account, sent))


@dg.op(
    ins={"sent": dg.In(input_manager_key="sent_batches")},
    # Ahead of the next batch: its outcomes are in the state machine before the next contacts are sent.
    tags={"dagster/priority": "1"},
    description="Carries the outcomes of a batch over to the contacts, fenced, in one transaction.",
)
def write_statuses(
    context: dg.OpExecutionContext, sent: SentBatch, destination: dg.ResourceParam[Destination]
) -> WrittenBatch:
    if sent.totals is not None:  # a dry run, or bulk imports: carried over page by page, see the head of this module
        context.log.info("Batch %d: %s", sent.batch.number, in_words(sent.totals))
        return WrittenBatch(totals=sent.totals, halted=sent.halted, dry_run=sent.batch.dry_run, seconds=sent.seconds)
    with sentences(), destination.open() as account, account.settled_at_an_end(context.run_id):
        totals = _written(account, sent)
    context.log.info("Batch %d: %s", sent.batch.number, in_words(totals))
    return WrittenBatch(totals=totals, halted=sent.halted, dry_run=False, seconds=sent.seconds)


def _written(account: Account, sent: SentBatch) -> Totals:
    """Carry the outcomes of the batch's claims over to the contacts; returns what became of them."""
    claims = sent.batch.claims
    applied = account.queue.apply(sent.batch.run_id, account.policy, [claim.contact_id for claim in claims])
    free, held = account.queue.unattempted(claims)
    # Recorded by this run, which then slept: another one has carried them over.
    elsewhere = len(claims) - free - held - sum(row.contacts for row in applied)
    taken_over = max(0, free - sent.released) + max(0, elsewhere) + min(held, sent.locked)
    totals = totals_of(applied, claimed=len(claims), released=sent.released, taken_over=taken_over)
    return replace(totals, refused_for_rate=sent.refused_for_rate)


@dg.op(
    description="Adds up what became of the claimed contacts and shows it; fails the run when the sums do not add up."
)
def report_run(
    context: dg.OpExecutionContext, written: list[WrittenBatch], destination: dg.ResourceParam[Destination]
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.Output[dict[str, int]]]:
    totals = Totals.sum(part.totals for part in written)
    halted = next((part.halted for part in written if part.halted), None)
    if any(part.dry_run for part in written):
        context.log.info("Dry run, nothing was sent. It would be: %s", in_words(totals))
        yield dg.Output(totals.counts(), metadata=describe(totals))
        return
    with sentences(), destination.open() as account:
        standing = look_at(account, in_all=True)
    gate = standing.gate
    started = context.instance.get_run_stats(context.run_id).start_time
    seconds = time.time() - started if started else 0.0
    sending_seconds = sum(part.seconds for part in written)
    for line in story(totals, standing, seconds=seconds, sending_seconds=sending_seconds):
        context.log.info(line)
    yield run_materialization(totals, standing, seconds=seconds, sending_seconds=sending_seconds)
    yield queue_materialization(standing)
    yield sums_evaluation(destination.name, totals)
    yield from standing_evaluations(standing)
    if totals.unaccounted:
        raise dg.Failure(
            f"The fate of {totals.unaccounted} of {totals.claimed} claimed contacts is unknown, a defect. "
            "They return to the queue by themselves.",
            metadata=describe(totals),
        )
    if gate.refuses or (gate.paused and totals.claimed and gate.pause_kind == "outage"):
        # People are told of the gate, once, and not of every run that ends for it.
        context.instance.add_run_tags(context.run_id, {GATE_TAG: gate.pause_kind or ""})
        raise dg.Failure(f"{destination.name}: {gate.pause_reason}", metadata=describe(totals))
    if halted and not gate.paused:
        raise dg.Failure(
            f"Sending stopped early: {halted}. Unsent contacts are back in the queue.", metadata=describe(totals)
        )
    with sentences():
        backlog_left = leave_word(context, destination, totals)
    yield dg.Output(totals.counts(), metadata={**describe(totals), **backlog_left})
