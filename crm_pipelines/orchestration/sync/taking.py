"""What a run takes: it returns what ended runs left undone, and takes who is due, or who was asked for."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import dagster as dg

from crm_pipelines.contacts.selection import ids_by_email
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.bulk.scanning import AccountScan
from crm_pipelines.delivery.planning import CLAIM_LEASE, IMPORT_SILENCE, bulk_held_up, suspects_share
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.ended_runs import ended_runs
from crm_pipelines.orchestration.sync.tags import warn_of_another_process
from crm_pipelines.queue.model import Claim
from crm_pipelines.vocabulary import counted


def chosen_by(config: FetchConfig, account: Account) -> list[UUID] | None:
    """The contacts that the launch config asks for; None when it asks for whatever is due."""
    if not config.emails and not config.contact_ids and not config.put_first:
        return None
    named = [*map(UUID, config.contact_ids), *ids_by_email(account.engine, config.emails)]
    return [*named, *account.queue.take_put_first()] if config.put_first and not config.dry_run else named


def take_back(context: dg.OpExecutionContext, account: Account) -> None:
    """Carry over what runs that are over have recorded, and return what they left undone to the queue."""
    queue = account.queue
    anything_claimed = queue.anything_claimed()
    if anything_claimed:
        _take_back_of_another_process(context, account)
    orderly, crashed = ended_runs(context.instance, queue.holders(except_run=context.run_id, claimed=anything_claimed))
    if anything_claimed:
        _take_back_of_others(context, account, orderly, crashed)
    if lost := account.imports(context.run_id).recover(silence=IMPORT_SILENCE, ended_runs=[*orderly, *crashed]):
        context.log.warning(
            "The worker of a bulk import died before it was sent. %s went back to the queue.", counted(lost, "contact")
        )


def _take_back_of_others(
    context: dg.OpExecutionContext, account: Account, orderly: Sequence[str], crashed: Sequence[str]
) -> None:
    queue = account.queue
    for run_id in {*orderly, *crashed, *queue.silent_runs()}:
        queue.apply(run_id, account.policy)
    rescued = queue.rescue(orderly_runs=orderly, crashed_runs=crashed)
    if rescued.returned:
        context.log.warning(
            "%s that ended runs had taken went back to the queue. Of these, %d were being delivered when their worker "
            "died, %d have failed because of that, and %d may have arrived and wait for a person's decision.",
            counted(rescued.returned, "contact"),
            rescued.charged,
            rescued.given_up,
            rescued.unknown,
        )


def _take_back_of_another_process(context: dg.OpExecutionContext, account: Account) -> None:
    """The same of this run: an earlier try of the op may have left something undone, or another process may execute it.

    What another one has not begun it cannot begin any more: its claims are given out anew.
    """
    delivering = account.queue.being_delivered(context.run_id)
    returned = account.queue.release(context.run_id)
    if delivering or (returned and context.retry_number == 0):
        warn_of_another_process(
            context,
            f"It is delivering {counted(delivering, 'contact')}, and {returned} that it had not begun went back to the "
            "queue.",
        )


def scan_for_bulk(context: dg.OpExecutionContext, config: FetchConfig, account: Account) -> AccountScan | None:
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
            "No bulk import for %.0f more minutes: the last two failed (%s, %s). Contacts are sent one by one.",
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


def claim(
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
