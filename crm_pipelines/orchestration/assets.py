"""What exists outside Dagster, and what a run says about it."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from crm_pipelines.contacts.gates import Gate
from crm_pipelines.contacts.queue import Backlog
from crm_pipelines.delivery.totals import Totals

SUMS_ADD_UP = "sums_add_up"

brevo_contacts = dg.AssetSpec(
    key=["brevo", "contacts"],
    group_name="brevo",
    kinds={"brevo"},
    description="What Brevo holds of our contacts. Every run of `brevo_sync` reports here how many contacts it "
    "delivered, how many failed and why, and how long the queue is. Plots are under Metadata.",
)


def describe(totals: Totals) -> dict[str, Any]:
    """The totals as metadata that Dagster can plot."""
    metadata: dict[str, Any] = dict(totals.counts())
    if totals.reasons:
        metadata["reasons"] = dg.MetadataValue.md(
            "| reason | contacts |\n| --- | --- |\n"
            + "\n".join(f"| {kind} | {count} |" for kind, count in _commonest(totals.reasons))
        )
    return metadata


def in_words(totals: Totals) -> str:
    """One line: `50 claimed: 48 synced, 2 failed (2 duplicate_address).`"""
    counts = [
        f"{count} {name}" for name, count in totals.counts().items() if count and name not in {"claimed", "requests"}
    ]
    reasons = ", ".join(f"{count} {kind}" for kind, count in _commonest(totals.reasons)[:3])
    return f"{totals.claimed} claimed: {', '.join(counts) or 'nothing to do'}{f' ({reasons})' if reasons else ''}."


def events_of_run(
    crm: str, totals: Totals, backlog: Backlog, gate: Gate, seconds: float
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """One materialization and one check evaluation per run."""
    yield dg.AssetMaterialization(
        asset_key=[crm, "contacts"],
        description=in_words(totals),
        metadata={
            **describe(totals),
            "queue_depth": backlog.due,
            "oldest_due_seconds": round(backlog.oldest_due_seconds, 1),
            "duration_seconds": round(seconds, 2),
            "requests_per_second": round(totals.requests / seconds, 2) if seconds > 0 else 0.0,
            "gate": f"paused ({gate.pause_kind}): {gate.pause_reason}" if gate.paused else "open",
        },
    )
    yield dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([crm, "contacts"]),
        check_name=SUMS_ADD_UP,
        passed=totals.unaccounted == 0,
        metadata={**totals.counts(), "unaccounted": totals.unaccounted},
        description="Every claimed contact has exactly one fate.",
    )


@dg.asset_check(
    asset=brevo_contacts.key,
    name=SUMS_ADD_UP,
    description="Every contact that the latest run claimed has exactly one fate. Each run evaluates it; launched by "
    "hand, it looks at the latest run's figures again.",
)
def sums_add_up(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    event = context.instance.get_latest_materialization_event(brevo_contacts.key)
    if event is None or event.asset_materialization is None:
        return dg.AssetCheckResult(passed=True, description="No run has reported yet.")
    figures: Mapping[str, Any] = {
        name: value.value for name, value in event.asset_materialization.metadata.items() if name in Totals().counts()
    }
    totals = Totals(**figures)
    return dg.AssetCheckResult(passed=totals.unaccounted == 0, metadata={**figures, "unaccounted": totals.unaccounted})


def _commonest(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
