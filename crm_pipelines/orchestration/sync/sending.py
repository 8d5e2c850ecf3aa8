"""Sends a batch, singly or in bulk, and carries its outcomes over to the contacts."""

import time
from dataclasses import replace
from datetime import timedelta

import dagster as dg

from crm_pipelines.crms.bulk import Imports
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.planning import CLAIM_LEASE, claim_limit, importing_budget
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.orchestration.sync.batches import Batch, SentBatch


def send(context: dg.OpExecutionContext, account: Account, batch: Batch) -> SentBatch:
    courier = account.courier(context.run_id)
    deliver = {"alone": courier.deliver_one_at_a_time, "probe": courier.deliver_after_a_probe}.get(
        batch.kind, courier.deliver
    )
    receipt = deliver(batch.claims)
    return SentBatch(
        batch=batch,
        released=receipt.released,
        locked=receipt.locked,
        halted=receipt.halted,
        refused_for_rate=courier.session.refused_for_rate,
    )


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
    sent = send(context, account, replace(batch, kind="together", claims=tuple(claims)))
    return replace(sent, batch=batch, totals=written(account, sent))


def written(account: Account, sent: SentBatch) -> Totals:
    """Carry the outcomes of the batch's claims over to the contacts; returns what became of them."""
    claims = sent.batch.claims
    applied = account.queue.apply(sent.batch.run_id, account.policy, [claim.contact_id for claim in claims])
    free, held = account.queue.unattempted(claims)
    # Recorded by this run, which then slept: another one has carried them over.
    elsewhere = len(claims) - free - held - sum(row.contacts for row in applied)
    taken_over = max(0, free - sent.released) + max(0, elsewhere) + min(held, sent.locked)
    totals = totals_of(applied, claimed=len(claims), released=sent.released, taken_over=taken_over)
    return replace(totals, refused_for_rate=sent.refused_for_rate)


def written_of_stopped(account: Account, batch: Batch) -> Totals:
    """The same for a run that was stopped, however far it has come with the batch; the rest of the run goes free."""
    claims = batch.claims
    applied = account.queue.apply(batch.run_id, account.policy, [claim.contact_id for claim in claims])
    account.settle(batch.run_id)
    free, held = account.queue.unattempted(claims)
    elsewhere = len(claims) - free - held - sum(row.contacts for row in applied)
    return totals_of(applied, claimed=len(claims), released=free + held, taken_over=max(0, elsewhere))
