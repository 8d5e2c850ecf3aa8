"""Sends a batch, singly or in bulk, and carries its outcomes over to the contacts."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import dagster as dg

from crm_pipelines.crms.bulk import Imports
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.planning import CLAIM_LEASE, claim_limit, importing_budget
from crm_pipelines.delivery.seldom_collected import seldom_collected
from crm_pipelines.delivery.single.courier import Courier
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.orchestration.sync.batches import Batch, SentBatch
from crm_pipelines.queue.model import Applied, Claim


@seldom_collected()
def send(courier: Courier, batch: Batch) -> SentBatch:
    deliver = {"alone": courier.deliver_one_at_a_time, "probe": courier.deliver_after_a_probe}.get(
        batch.kind, courier.deliver
    )
    receipt = deliver(batch.claims)
    return SentBatch(
        batch=replace(batch, claims=courier.present(batch.claims)),
        released=receipt.released,
        locked=receipt.locked,
        halted=receipt.halted,
        refused_for_rate=courier.session.refused_for_rate,
    )


@seldom_collected()
def send_in_bulk(context: dg.OpExecutionContext, account: Account, batch: Batch, bulk: Imports) -> SentBatch:
    started = time.monotonic()
    budget = importing_budget(timedelta(minutes=account.destination.sync_scheduler_interval_minutes))
    receipt = account.bulk_sender(bulk, context.run_id).run(batch.scan, most=batch.most, budget=budget)
    totals = receipt.totals
    left = budget - timedelta(seconds=time.monotonic() - started)
    most = batch.most - (totals.claimed - totals.released)
    if receipt.failed is None or receipt.halted is not None or left <= timedelta() or most <= 0:
        return SentBatch(batch=batch, totals=totals, halted=receipt.halted)
    context.log.warning("A bulk import failed (%s). Contacts are sent one by one.", receipt.failed)
    rate = account.rate_limit(account.gate.read()).per_second
    rest = _send_rest(context, account, batch, claim_limit(left, rate, most))
    return replace(rest, totals=Totals.sum([totals, rest.totals or Totals()]))


def _send_rest(context: dg.OpExecutionContext, account: Account, batch: Batch, limit: int) -> SentBatch:
    """What an import could not bring in, in the time that was meant for imports."""
    claims = account.queue.claim(context.run_id, limit=limit, lease=CLAIM_LEASE)
    sent = send(account.courier(context.run_id), replace(batch, kind="together", claims=tuple(claims)))
    totals, elsewhere = written(account, sent)
    return replace(sent, batch=batch, totals=totals, elsewhere=elsewhere)


def written(account: Account, sent: SentBatch) -> tuple[Totals, int]:
    """Carry the outcomes of the batch's claims over to the contacts; returns what became of them.

    And how many contacts another process of the run has taken, which counts them.
    """
    claims, run_id = sent.batch.claims, sent.batch.run_id
    applied = account.queue.apply(run_id, account.policy, claims=claims)
    free, held = account.queue.unattempted(claims)
    taken_over = max(0, free - sent.released) + _carried_over_by_others(claims, applied, free, held)
    taken_over += min(held, sent.locked)
    elsewhere = min(taken_over, account.queue.taken_within_run(run_id, claims)) if taken_over else 0
    totals = totals_of(
        applied, claimed=len(claims) - elsewhere, released=sent.released, taken_over=taken_over - elsewhere
    )
    return replace(totals, refused_for_rate=sent.refused_for_rate), elsewhere


def written_of_stopped(account: Account, batch: Batch) -> Totals:
    """The same for a run that was stopped, however far it has come with the batch; the rest of the run goes free."""
    claims = batch.claims
    applied = account.queue.apply(batch.run_id, account.policy, claims=claims)
    account.settle(batch.run_id)
    free, held = account.queue.unattempted(claims)
    taken_over = _carried_over_by_others(claims, applied, free, held)
    return totals_of(applied, claimed=len(claims), released=free + held, taken_over=taken_over)


def _carried_over_by_others(claims: Sequence[Claim], applied: Sequence[Applied], free: int, held: int) -> int:
    """Recorded by this run, which then slept: another one has carried them over."""
    return max(0, len(claims) - free - held - sum(row.contacts for row in applied))
