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

Op retries: only fetch_queued_contacts asks for one, since it gives back its own claims first. It has no retry policy:
with one, Dagster tries an op again that was interrupted, and a run that was told to end would go on. sync_batch has no
retry: it would send again what was sent. The next tick is its retry.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import dagster as dg

from crm_pipelines.contacts.stale import count_stale, stale_in_words
from crm_pipelines.contacts.twins import settle
from crm_pipelines.delivery.account.completeness import accepts, ask_before_sending, go_on_if_complete, would_wait
from crm_pipelines.delivery.account.identity import AccountUnknown
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.pace.gatekeeping import reopen_if_accepted
from crm_pipelines.delivery.pace.pacing import GatePaused
from crm_pipelines.delivery.planning import MAX_BATCHES, claim_limit, limit_alone, sending_budget, smallest_batch, split
from crm_pipelines.delivery.previewing import Foreseen, foresee
from crm_pipelines.delivery.totals import Totals, fates_in_words
from crm_pipelines.orchestration.assets import describe, in_words, queue_materialization, run_materialization, story
from crm_pipelines.orchestration.checks import standing_evaluations, sums_evaluation
from crm_pipelines.orchestration.resources import (
    INTERRUPTIONS,
    Destination,
    interruptions_as_such,
    is_being_cancelled,
    sentences,
)
from crm_pipelines.orchestration.standing import look_at
from crm_pipelines.orchestration.sync.batches import Batch, FetchConfig, SentBatch, WrittenBatch
from crm_pipelines.orchestration.sync.dry_runs import dry_run_output
from crm_pipelines.orchestration.sync.following import leave_word
from crm_pipelines.orchestration.sync.sending import send, send_in_bulk, written, written_of_stopped
from crm_pipelines.orchestration.sync.stops import STOPPED_TAG, note_stopped, repeats_a_stopped_run
from crm_pipelines.orchestration.sync.tags import GATE_TAG, tell_outcome, tell_stopped, warn_of_another_process
from crm_pipelines.orchestration.sync.taking import chosen_by, claim, scan_for_bulk, take_back
from crm_pipelines.vocabulary import counted

_TRIES_AGAIN = 2
_SECONDS_BETWEEN_TRIES = 5


@dg.op(
    out=dg.DynamicOut(description="Batches of the contacts that the run took, by id."),
    description="Returns contacts of dead runs to the queue, takes due contacts, and splits them into batches.",
)
def fetch_queued_contacts(
    context: dg.OpExecutionContext, config: FetchConfig, destination: dg.ResourceParam[Destination]
) -> Iterator[dg.DynamicOutput[Batch]]:
    try:
        if repeats_a_stopped_run(context.run, context.instance):
            context.log.warning(
                f"Run {context.run.parent_run_id}, which this one repeats by itself, was told to end. Nothing is sent: "
                "the next tick of the schedule takes what is due, or a run that you launch."
            )
            return
        with sentences(), destination.open() as account, account.settled_at_an_end(context.run_id):
            for batch in _fetch(context, config, account):
                yield dg.DynamicOutput(batch, mapping_key=f"batch_{batch.number}")
    except INTERRUPTIONS:
        destination.stopped = True
        note_stopped(context.run_id, context.instance)
        tell_outcome(context, "stopped: nothing was sent")
        raise dg.Failure(
            "The run was stopped while it took contacts. Nothing was sent, and all are back in the queue."
        ) from None
    except dg.Failure:
        tell_outcome(context, "failed: nothing was sent")
        raise
    except Exception as error:
        tell_outcome(context, "failed: nothing was sent")
        raise dg.RetryRequested(max_retries=_TRIES_AGAIN, seconds_to_wait=_SECONDS_BETWEEN_TRIES) from error


def _fetch(context: dg.OpExecutionContext, config: FetchConfig, account: Account) -> list[Batch]:
    queue = account.queue
    chosen = chosen_by(config, account)
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
        context.log.info("Dry run: %s would be taken.", counted(len(seen), "contact"))
        if gate.account is not None and not gate.knows(account.crm.credentials_fingerprint):
            context.log.warning(
                "These credentials are new. If they open another account than %s, a run unselects all contacts, and "
                "nothing is sent until some are selected.",
                gate.account,
            )
        if reason := would_wait(account, turn=lambda: None):
            context.log.warning("A run would send nothing, and wait for you. %s", reason)
        return [
            Batch(number=number, run_id=context.run_id, claims=tuple(claims), dry_run=True)
            for number, claims in enumerate(split(seen, smallest, together=together) or [()], start=1)
        ]

    reopen_if_accepted(account.gate, account.crm, queue, account.policy)
    go_on_if_complete(account, turn=lambda: None)
    admitted = _admitted(context, account)
    take_back(context, account)
    if admitted is None:
        return []
    account = admitted
    imports = account.imports(context.run_id)
    released_by_mapping = queue.requeue_parked(account.crm.mapping_version)
    settle(account.engine)
    edited = queue.requeue_edited(context.run_id)
    gate = account.gate.read()
    if not gate.paused and (chosen is not None or queue.anything_due() or account.look_is_due):
        _learn(context, account)
        if not account.gate.read().paused:
            ask_before_sending(account)
        gate = account.gate.read()
    known = account.schema_known and accepts(account)
    if gate.probing:
        limit = min(limit, smallest)  # who needs no request is no probe, so one contact might not be enough
    if not known:
        limit = 0
    in_bulk = known and chosen is None and not gate.paused and not gate.probing
    scan = scan_for_bulk(context, config, account) if in_bulk else None
    due, suspects_due = queue.waiting()
    if chosen is None and not suspects_due:
        most_alone = 0
    claims, suspects = claim(
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
    taken, parts = counted(len(claims) + len(suspects), "contact"), counted(len(batches), "batch", "batches")
    alone = f", {len(suspects)} of them to go one by one" if suspects else ""
    left = max(0, due - len(claims) - len(suspects))
    context.log.info("%s taken%s, in %s. %d more are due.", taken, alone, parts, left)
    if released_by_mapping or edited:
        context.log.info("Queued again: %d for a new mapping, %d edited.", released_by_mapping, edited)
    if stale := count_stale(account.engine, queue.crm, account.crm.mapping_version):
        context.log.info(stale_in_words(queue.crm, stale))
    if gate.paused:
        title = account.destination.title
        context.log.warning("Sending to %s is paused (%s): %s", title, gate.pause_kind, gate.pause_reason)
    return batches


def _are(number: int) -> str:
    return f"{counted(number, 'contact')} {'is' if number == 1 else 'are'}"


def _admitted(context: dg.OpExecutionContext, account: Account) -> Account | None:
    """With a gate for the account that the credentials open; None when that cannot be told before the gate opens."""
    try:
        # Not a second time: a run that began before the account changed must not change it back.
        admitted = account.admit_run(move=context.retry_number == 0)
    except (GatePaused, AccountUnknown) as reason:
        gate = account.gate.read()
        if isinstance(reason, AccountUnknown) and not gate.paused:
            raise
        context.log.warning("The account is not known yet, so no contact is taken. %s", gate.pause_reason or reason)
        return None
    if admitted.forgotten:
        context.log.warning(
            "The credentials open the account %s, and not %s any more. What was known of that one is forgotten: %s "
            "not selected any more, and nothing is sent before somebody selects it.",
            admitted.gate.account,
            admitted.gate.read().former_account,
            _are(admitted.forgotten),
        )
    return replace(account, gate=admitted.gate)


def _learn(context: dg.OpExecutionContext, account: Account) -> None:
    """See what the account takes. Raises dagster.Failure when that was never seen, unless the gate tells why."""
    learner = account.learner()
    if learner is None:
        return
    learned = learner.learn()
    if learned.queued:
        context.log.info("%s queued again: the account takes what it did not before.", _are(learned.queued))
    if learned.problem is None:
        return
    if account.crm.attributes_version is not None:
        context.log.warning("The account's attributes are taken as they were last seen: %s", learned.problem)
        return
    said = f"Which attributes the account has is not known yet, so no contact was taken. {learned.problem}"
    if account.gate.read().paused:
        context.log.warning(said)
        return
    raise dg.Failure(said, allow_retries=False)


@dg.op(description="Reads the present data of the batch's contacts, and sends each at the account's pace.")
def sync_batch(context: dg.OpExecutionContext, batch: Batch, destination: dg.ResourceParam[Destination]) -> SentBatch:
    started = time.monotonic()
    with sentences(), destination.open() as account:
        if batch.dry_run:
            foreseen = foresee(account.queue, account.crm, batch.claims)
            return SentBatch(batch=batch, totals=foreseen.totals, foreseen=foreseen)
        if batch.claims and batch.run_id != context.run_id:
            context.log.info(
                "Batch %d belongs to run %s, which has ended. Nothing is sent. Its contacts return to the queue by "
                "themselves.",
                batch.number,
                batch.run_id,
            )
            return SentBatch(batch=batch, totals=Totals(claimed=len(batch.claims), superseded=len(batch.claims)))
        with account.settled_at_an_end(context.run_id):
            sent = _sent_until_stopped(context, account, batch, destination)
    seconds = time.monotonic() - started
    contacts = len(batch.claims)
    done = "imports seen to" if batch.kind == "import" else f"{contacts - sent.released} of {contacts} contacts handled"
    stopped = f"; stopped early: {sent.halted}." if sent.halted else "."
    context.log.info("Batch %d: %s in %.1f s%s", batch.number, done, seconds, stopped)
    return replace(sent, seconds=seconds)


def _sent_until_stopped(
    context: dg.OpExecutionContext, account: Account, batch: Batch, destination: Destination
) -> SentBatch:
    """A run that somebody stops comes to its end like any other, and report_run says what became of its contacts.

    One that is interrupted without that is Dagster's to judge, which may not know of it, and calls the run failed.
    """
    courier = None
    try:
        with interruptions_as_such():
            if not destination.stopped:
                account = account.admitted()
                if not accepts(account):
                    return _given_back(context, account, batch)
                if batch.kind == "import" and account.crm.imports is not None:
                    return send_in_bulk(context, account, batch, account.crm.imports)
                courier = account.courier(context.run_id)
                return send(courier, batch)
    except INTERRUPTIONS:
        tell_stopped(context.run_id, context.instance)
        if not is_being_cancelled(context.run_id, context.instance):
            raise
        destination.stopped = True
    claims = batch.claims if courier is None else courier.present(batch.claims)
    totals = written_of_stopped(account, replace(batch, claims=claims))
    return SentBatch(batch=batch, released=totals.released, totals=totals, halted="the run was stopped")


def _given_back(context: dg.OpExecutionContext, account: Account, batch: Batch) -> SentBatch:
    """The mapping has changed since the run took its contacts, and nobody has looked what the account lacks for it."""
    released = account.queue.release(context.run_id, batch.claims) if batch.claims else 0
    context.log.warning(
        "Batch %d: the mapping has changed since this run began, so nothing is sent. %d contacts wait for the next "
        "run, "
        "and no try is used up.",
        batch.number,
        released,
    )
    return SentBatch(batch=batch, released=released)


@dg.op(
    ins={"sent": dg.In(input_manager_key="sent_batches")},
    # Ahead of the next batch: its outcomes are in the state machine before the next contacts are sent.
    tags={"dagster/priority": "1"},
    description="Writes the results of a batch to the contacts, in one transaction.",
)
def write_statuses(
    context: dg.OpExecutionContext, sent: SentBatch, destination: dg.ResourceParam[Destination]
) -> WrittenBatch:
    if sent.totals is not None:  # a dry run, or bulk imports: carried over page by page, see the head of this module
        _tell_of_elsewhere(context, sent.elsewhere)
        context.log.info("Batch %d: %s", sent.batch.number, in_words(sent.totals))
        return WrittenBatch(
            totals=sent.totals,
            halted=sent.halted,
            dry_run=sent.batch.dry_run,
            seconds=sent.seconds,
            foreseen=sent.foreseen,
        )
    with sentences(), destination.open() as account, account.settled_at_an_end(context.run_id):
        totals, elsewhere = written(account, sent)
    _tell_of_elsewhere(context, elsewhere)
    context.log.info("Batch %d: %s", sent.batch.number, in_words(totals))
    return WrittenBatch(totals=totals, halted=sent.halted, dry_run=False, seconds=sent.seconds)


def _tell_of_elsewhere(context: dg.OpExecutionContext, contacts: int) -> None:
    if contacts:
        warn_of_another_process(context, f"It has taken {counted(contacts, 'contact')} of this batch.")


@dg.op(
    description="Adds up what became of the contacts that were taken, and shows it; fails the run when the sums do not "
    "add up."
)
def report_run(
    context: dg.OpExecutionContext, written: list[WrittenBatch], destination: dg.ResourceParam[Destination]
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.Output[dict[str, int]]]:
    totals = Totals.sum(part.totals for part in written)
    halted = next((part.halted for part in written if part.halted), None)
    if any(part.dry_run for part in written):
        yield dry_run_output(context, Foreseen.sum(part.foreseen for part in written if part.foreseen))
        return
    if repeats_a_stopped_run(context.run, context.instance):
        context.instance.add_run_tags(context.run_id, {STOPPED_TAG: "yes"})
        tell_outcome(context, "nothing was sent: the run that it repeats was stopped")
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
    told = fates_in_words(totals.counts()) or ("nothing was sent" if standing.backlog.due else "nothing was due")
    tell_outcome(context, f"stopped: {told}" if destination.stopped else told)
    if totals.unaccounted:
        raise dg.Failure(
            f"What became of {totals.unaccounted} of {counted(totals.claimed, 'contact')} is unknown, a defect. They "
            "return to the queue by themselves.",
            metadata=describe(totals),
        )
    if gate.refuses or (gate.paused and totals.claimed and gate.pause_kind == "outage"):
        # People are told of the gate, once, and not of every run that ends for it.
        context.instance.add_run_tags(context.run_id, {GATE_TAG: gate.pause_kind or ""})
        raise dg.Failure(f"{destination.name}: {gate.pause_reason}", metadata=describe(totals))
    if destination.stopped:
        raise dg.Failure(
            f"The run was stopped: {told}. What was given back waits in the queue.",
            metadata=describe(totals),
            allow_retries=False,
        )
    if halted and not gate.paused:
        raise dg.Failure(
            f"Sending stopped early: {halted}. What was not sent is back in the queue.", metadata=describe(totals)
        )
    with sentences():
        backlog_left = leave_word(context, destination, totals)
    yield dg.Output(totals.counts(), metadata={**describe(totals), **backlog_left})
