"""A picture of bulk deliveries by size: throughput below what caps it, and peak memory."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of Okabe and Ito: told apart by the colour-blind; markers and lines differ, too.
_OURS = "#0072B2"
_FLOOR = "#D55E00"
_LIMIT = "#4D4D4D"
_OUT_OF_REACH: Mapping[str, Any] = {"color": "#000000", "alpha": 0.08, "linewidth": 0}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One bulk delivery of so many contacts. `limit`, `floor`: contacts/s that the CRM allows, and of the floor."""

    contacts: int
    per_second: float
    peak_mb: float
    limit: float
    floor: float | None = None

    @property
    def cap(self) -> float:
        """What nobody delivers faster than here."""
        return self.limit if self.floor is None else min(self.floor, self.limit)


def draw(points: Sequence[Point], file: Path) -> None:
    """Throughput with its cap, and peak memory, against size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ordered = sorted(points, key=lambda point: point.contacts)
    with plt.rc_context({"font.size": 12, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(12, 4.8), layout="constrained", gridspec_kw={"width_ratios": (1.7, 1)}
        )
        _throughput(left, ordered)
        _memory(right, ordered)
        for axes in (left, right):
            _by_size(axes, ordered)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=130)
        plt.close(figure)


def _throughput(axes: Any, points: Sequence[Point]) -> None:
    with_floor = [point for point in points if point.floor is not None]
    top = 1.35 * max(max(point.limit, point.per_second, point.floor or 0.0) for point in points)
    limit, floor = [point.limit for point in points], [point.floor or 0.0 for point in with_floor]
    axes.fill_between(_places(points), limit, top, **_OUT_OF_REACH)
    axes.plot(_places(points), limit, linestyle="--", color=_LIMIT, label="what the CRM's limit allows")
    if with_floor:
        cap = [point.limit for point in with_floor]
        below = [one <= other for one, other in zip(floor, cap, strict=True)]
        places = _places(with_floor)
        axes.fill_between(places, floor, cap, where=below, interpolate=True, **_OUT_OF_REACH)
        axes.plot(
            places, floor, marker="s", linestyle="-.", color=_FLOOR, label="the floor: a bare program, the same work"
        )
    ours = [point.per_second for point in points]
    axes.plot(_places(points), ours, marker="o", linewidth=2.5, color=_OURS, label="crm-pipelines")
    for point, place in zip(points, _places(points), strict=True):
        rate = f"{point.per_second:,.0f}"
        if point.floor is not None:
            rate += f"\n{100 * point.per_second / point.cap:.0f} % of the cap"
            _annotate(axes, place, point.floor, f"{point.floor:,.0f}", _FLOOR, below=False)
        _annotate(axes, place, point.per_second, rate, _OURS, below=point.per_second > 0.15 * top)
    axes.set_ylim(0, top)
    axes.set_title("contacts per second, each seen at the CRM (grey: out of reach)", fontsize=12.5)
    axes.legend(loc="upper left", fontsize=10.5, ncols=2, framealpha=1)


def _memory(axes: Any, points: Sequence[Point]) -> None:
    axes.plot(_places(points), [point.peak_mb for point in points], marker="o", linewidth=2.5, color=_OURS)
    for point, place in zip(points, _places(points), strict=True):
        _annotate(axes, place, point.peak_mb, f"{point.peak_mb:,.0f}", _OURS, below=False)
    axes.set_ylim(0, 1.4 * max(point.peak_mb for point in points))
    axes.set_title("peak memory of the run's process, MB", fontsize=12.5)


def _places(points: Sequence[Point]) -> list[float]:
    """Where a size stands on the axis: each step is ten times as many."""
    return [math.log10(point.contacts) for point in points]


def _annotate(axes: Any, place: float, value: float, text: str, color: str, *, below: bool) -> None:
    axes.annotate(
        text,
        (place, value),
        textcoords="offset points",
        xytext=(0, -9 if below else 8),
        ha="center",
        va="top" if below else "bottom",
        color=color,
        fontsize=10.5,
    )


def _by_size(axes: Any, points: Sequence[Point]) -> None:
    places = _places(points)
    axes.set_xlim(places[0] - 0.4, places[-1] + 0.4)
    axes.set_xticks(places, [f"{point.contacts:,}" for point in points])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("contacts in the queue")
    axes.grid(visible=True, axis="y", alpha=0.3)
