"""What exists outside Dagster, and what a run says about it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from crm_pipelines.delivery.totals import Totals, fates_in_words
from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.scrubbing import scrub
from crm_pipelines.settings import CrmSettings
from crm_pipelines.statistics.standing import Standing
from crm_pipelines.vocabulary import counted

OWNERS = ("team:crm-pipelines",)

CONTACTS = dg.AssetKey("contacts")


def contacts_asset(key: dg.AssetKey = CONTACTS, upstream: Sequence[dg.AssetKey] = ()) -> dg.AssetSpec:
    """What every destination is delivered from; `upstream` are assets of others that fill it."""
    return dg.AssetSpec(
        key=key,
        deps=upstream,
        group_name="contacts",
        kinds={"postgres", "table"},
        owners=OWNERS,
        description="The people: a table in Postgres. Users and their applications fill it by SQL (view `contacts`), "
        "the HTTP API or `crm-pipelines contacts import`. A contact is sent to a CRM only after somebody selects it "
        "for that CRM.",
    )


def keys_of(name: str) -> list[dg.AssetKey]:
    """The assets of the destination with this name."""
    return [dg.AssetKey([name, one]) for one in ("queue", "account", "contacts", "read_back", "daily_report")]


def assets_of(
    destination: CrmSettings,
    *,
    contacts: dg.AssetKey = CONTACTS,
    group: str | None = None,
    owners: Sequence[str] = OWNERS,
) -> list[dg.AssetSpec]:
    """The queue of a destination, its account, what it holds of the contacts, and what of that is read back."""
    name, title = destination.name, destination.title
    of_ours: dict[str, Any] = {"group_name": group or name, "kinds": {"postgres", "table"}, "owners": owners}
    of_theirs = of_ours | {"kinds": {destination.kind}}
    queue = dg.AssetSpec(
        key=[name, "queue"],
        deps=[contacts],
        description=f"Which contacts are to go to {title}, and how far each one is: waiting, being delivered, "
        "delivered, failed, never sent. The table `crm_syncs` has a row for each contact. Selecting or editing a "
        f"contact puts it here. `{name}_sync` delivers what is here, every few minutes.",
        # Reported by every run, and hourly by a sensor: stale when nobody looks any more.
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=4), warn_window=timedelta(hours=2)),
        **of_ours,
    )
    account = dg.AssetSpec(
        key=[name, "account"],
        description=f"The account at {title}, as far as deliveries depend on it: the key, the list, the attributes and "
        f"their types, the rate limit. People change it in {destination.label}'s pages. The check fails when it "
        "does not fit the mapping any more.",
        **of_theirs,
    )
    held = dg.AssetSpec(
        key=[name, "contacts"],
        deps=[queue, account],
        description=f"What {title} holds of our contacts. Every run of `{name}_sync` reports here how many contacts it "
        "delivered, how many failed and why, and how long the queue is. Plots are under Metadata.",
        **of_theirs,
    )
    # An asset of its own: Dagster shows a check's verdict until the asset is next reported, which every run does above.
    read_back = dg.AssetSpec(
        key=[name, "read_back"],
        deps=[held],
        description=f"A sample of what {title} holds, read back once an hour and compared with what was sent. A CRM "
        "may drop what it does not know and report success, so this is the only proof that values have arrived. See "
        "the check.",
        **of_theirs,
    )
    return [queue, account, held, read_back]


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
    """One line: `50 taken: 48 delivered, 2 failed (2 duplicate_address).`"""
    fates = fates_in_words(totals.counts())
    reasons = ", ".join(f"{count} {kind}" for kind, count in _commonest(totals.reasons)[:3])
    return f"{totals.claimed} taken: {fates or 'nothing to do'}{f' ({reasons})' if reasons else ''}."


def run_materialization(
    totals: Totals, standing: DestinationStanding, *, seconds: float, sending_seconds: float
) -> dg.AssetMaterialization:
    """What a run says about the CRM's contacts; `sending_seconds` is the part of its time in which it sent."""
    # Of a second at least: of the few requests in less time, a rate would say nothing.
    rate = totals.requests / max(sending_seconds, 1.0)
    metadata = {
        **describe(totals),
        "queue_depth": standing.backlog.due,
        "oldest_due_seconds": round(standing.backlog.oldest_due_seconds, 1),
        "duration_seconds": round(seconds, 2),
        "requests_per_second": round(rate, 2),
        "rate_limit_per_second": standing.limit_per_second,
        "rate_used_percent": round(100 * rate / standing.limit_per_second, 1),
        **standing_metadata(standing.judge()),
    }
    if standing.last_day is not None and standing.last_day.success_percent is not None:
        metadata["success_percent_24h"] = round(standing.last_day.success_percent, 2)
        metadata["attempts_24h"] = standing.last_day.attempts
    if standing.delays is not None:
        for percent, taken in standing.delays.by_percent.items():
            metadata[f"delay_p{percent}_seconds_1h"] = round(taken, 1)
        metadata["delay_deliveries_1h"] = standing.delays.contacts
    if standing.delivered_in_all is not None:
        metadata["delivered_in_all"] = standing.delivered_in_all
    return dg.AssetMaterialization(
        asset_key=[standing.crm, "contacts"], description=in_words(totals), metadata=metadata
    )


def queue_materialization(standing: DestinationStanding) -> dg.AssetMaterialization:
    """The queue as somebody has just seen it."""
    return dg.AssetMaterialization(
        asset_key=[standing.crm, "queue"],
        description=standing.judge().sentence,
        metadata={
            "due": standing.backlog.due,
            "oldest_due_seconds": round(standing.backlog.oldest_due_seconds, 1),
            "failed_in_all": standing.figures.failed,
            "stuck": standing.stuck,
            **standing_metadata(standing.judge()),
        },
    )


def story(totals: Totals, standing: DestinationStanding, *, seconds: float, sending_seconds: float) -> Iterator[str]:
    """The run in a few lines for its log."""
    yield f"Run: {in_words(totals)}"
    if totals.reasons:
        commonest = ", ".join(f"{count} {kind}" for kind, count in _commonest(totals.reasons)[:5])
        yield f"Commonest reasons: {commonest}. What {standing.crm} said: `crm-pipelines status {standing.crm}`."
    if totals.requests:
        yield (
            f"{counted(totals.requests, 'request')} in {sending_seconds:.1f} s of sending, {seconds:.1f} s in all; the "
            f"limit is {standing.limit_per_second:g} per second; {totals.refused_for_rate} answered with 429."
        )
    yield standing.judge().sentence


def standing_metadata(standing: Standing) -> dict[str, str]:
    """The one judgement for Dagster's pages; the reason without what may be personal."""
    told = {
        "standing": standing.badge,
        "condition": standing.condition,
        "colour": standing.colour,
        "sentence": standing.sentence,
    }
    if standing.action is not None:
        told["what_to_do"] = standing.action
    if standing.cause is not None and standing.reason:
        told["reason"] = scrub(standing.reason)
    return told


def _commonest(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
