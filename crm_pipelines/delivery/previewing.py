"""What a delivery would come to, as far as it can be told without sending."""

from collections import Counter
from collections.abc import Sequence

from crm_pipelines.crms.base import Crm
from crm_pipelines.delivery.preparing import Prepared, prepare, without_suppressed
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Claim

_FATES = {"rejected": "failed", "retry": "retrying", "snoozed": "released"}


def preview(queue: Queue, crm: Crm, claims: Sequence[Claim]) -> Totals:
    """The totals of a run that sends these, if the CRM takes each of them."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    deliveries = [prepare(crm, delivery, revision=0) for delivery in queue.load(claims)]
    for prepared in without_suppressed(queue, deliveries, crm.mapping_version):
        if isinstance(prepared, Prepared):
            counts["synced"] += 1
        else:
            counts[_FATES.get(prepared.outcome, prepared.outcome)] += 1
            if prepared.kind:
                reasons[prepared.kind] += 1
    counts["superseded"] = len(claims) - counts.total()
    return Totals(claimed=len(claims), reasons=dict(reasons), **counts)
