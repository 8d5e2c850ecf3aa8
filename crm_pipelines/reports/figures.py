"""Sums for a report. The database has counted per day, outcome and kind, so no row here is about one contact. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

FAILED = ("retry", "unknown", "rejected", "refused")
"""Outcomes of attempts that failed; others but `synced` were no attempt at the contact's cost."""

MOST_KINDS = 8


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a report of `crm` tells about the days up to `day`.

    `daily`: one row per day, with `delivered`, `failed`, `retries`, `requests`, `success_percent` (NaN without
    attempts), `median_minutes`, `p95_minutes` (from selected to delivered; NaN without a delivery), `delay_p95_minutes`
    (from a change to the CRM; NaN where none is known). `kinds`: failed
    attempts by kind, the commonest first. `parked`: `status`, `kind`, `code`, `contacts`, `since`.
    `left_out`: `field`, `reason`, `contacts`. `unanswered`: contacts of which a workflow that tells what it finds has
    told nothing; None for whatever is no such workflow. `delay_minutes`: from a change to the CRM, by percentile
    (50, 95, 99); None where none is known.
    """

    crm: str
    day: date
    daily: pd.DataFrame
    kinds: "pd.Series[int]"
    parked: pd.DataFrame
    left_out: pd.DataFrame
    median_minutes: float | None
    p95_minutes: float | None
    unanswered: int | None
    delay_minutes: Mapping[int, float | None]

    @property
    def delivered(self) -> int:
        return int(self.daily["delivered"].sum())

    @property
    def failed(self) -> int:
        return int(self.daily["failed"].sum())

    @property
    def retries(self) -> int:
        return int(self.daily["retries"].sum())

    @property
    def success_percent(self) -> float | None:
        attempts = self.delivered + self.failed
        return 100 * self.delivered / attempts if attempts else None

    @property
    def parked_contacts(self) -> int:
        return int(self.parked["contacts"].sum())

    @property
    def values_left_out(self) -> int:
        return int(self.left_out["contacts"].sum())


def figures(
    crm: str,
    *,
    day: date,
    days: int,
    by_day: Sequence[Mapping[str, Any]],
    times: Sequence[Mapping[str, Any]],
    parked: Sequence[Mapping[str, Any]],
    left_out: Sequence[Mapping[str, Any]] = (),
    unanswered: int | None = None,
    delays: Sequence[Mapping[str, Any]] = (),
) -> Figures:
    """From the rows of `contacts.ledger.Ledger`, and those of `contacts.left_out`."""
    index = pd.Index([day - timedelta(days=back) for back in reversed(range(days))], name="day")
    attempts = pd.DataFrame(by_day, columns=["day", "outcome", "kind", "attempts", "requests"])
    attempts["day"] = [one.date() for one in attempts["day"]]
    outcomes = attempts.pivot_table(index="day", columns="outcome", values="attempts", aggfunc="sum", fill_value=0)
    outcomes = outcomes.reindex(index=index, columns=["synced", *FAILED], fill_value=0)
    daily = pd.DataFrame(
        {
            "delivered": outcomes["synced"],
            "failed": outcomes[list(FAILED)].sum(axis="columns"),
            "retries": outcomes["retry"],
            "requests": attempts.groupby("day")["requests"].sum().reindex(index, fill_value=0),
        }
    )
    daily["success_percent"] = 100 * daily["delivered"] / (daily["delivered"] + daily["failed"])
    dated, overall = _by_day(times, ["median_seconds", "p95_seconds"])
    delays_by_day, delay = _by_day(delays, ["p50_seconds", "p95_seconds", "p99_seconds"])
    daily["delay_p95_minutes"] = (delays_by_day["p95_seconds"].astype(float) / 60).reindex(index)
    daily["median_minutes"] = (dated["median_seconds"].astype(float) / 60).reindex(index)
    daily["p95_minutes"] = (dated["p95_seconds"].astype(float) / 60).reindex(index)
    failed = attempts[attempts["outcome"].isin(FAILED)]
    kinds = failed.groupby("kind")["attempts"].sum().sort_values(ascending=False).head(MOST_KINDS)
    return Figures(
        crm=crm,
        day=day,
        daily=daily,
        kinds=kinds,
        parked=pd.DataFrame(parked, columns=["status", "kind", "code", "contacts", "since"]),
        left_out=pd.DataFrame(left_out, columns=["field", "reason", "contacts"]),
        median_minutes=_minutes(overall["median_seconds"]),
        p95_minutes=_minutes(overall["p95_seconds"]),
        unanswered=unanswered,
        delay_minutes={percent: _minutes(delay[f"p{percent}_seconds"]) for percent in (50, 95, 99)},
    )


def _by_day(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """These columns by day, and of all days together."""
    found = pd.DataFrame(rows, columns=["day", *columns])
    dated = found[found["day"].notna()].copy()
    dated.index = pd.Index([one.date() for one in dated["day"]], name="day")
    return dated, found[found["day"].isna()]


def _minutes(seconds: "pd.Series[float]") -> float | None:
    known = seconds.dropna()
    return float(known.iloc[0]) / 60 if len(known) else None
