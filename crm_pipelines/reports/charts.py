"""Pictures of a report: matplotlib without a screen and without its global state, so that it may run in any thread."""

import io

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from crm_pipelines.reports.figures import Figures

_GOOD, _BAD, _SECOND, _INK = "#2b6cb0", "#c05621", "#718096", "#2d3748"
_WIDTH, _HEIGHT = 7.6, 2.6


def deliveries_svg(figures: Figures) -> bytes:
    """Contacts delivered per day."""
    figure, axes = _figure("Delivered per day")
    _bars(axes, figures, "delivered", _GOOD)
    return _svg(figure)


def success_svg(figures: Figures) -> bytes:
    """The share of attempts that succeeded, per day."""
    figure, axes = _figure("Attempts that succeeded, %")
    _success(axes, figures)
    return _svg(figure)


def times_svg(figures: Figures) -> bytes:
    """From selected to delivered, per day."""
    figure, axes = _figure("From selected to delivered, minutes")
    for column, label, color in (("median_minutes", "median", _GOOD), ("p95_minutes", "95th percentile", _BAD)):
        axes.plot(figures.daily.index, figures.daily[column], marker="o", markersize=3, color=color, label=label)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.set_ylim(bottom=0)
    return _svg(figure)


def retries_svg(figures: Figures) -> bytes:
    """Attempts that are repeated, per day."""
    figure, axes = _figure("Retries per day")
    _bars(axes, figures, "retries", _SECOND)
    return _svg(figure)


def kinds_svg(figures: Figures) -> bytes:
    """Failed attempts by kind of error."""
    figure, axes = _figure("Failed attempts by kind", dates=False)
    kinds = figures.kinds.iloc[::-1]
    bars = axes.barh(list(kinds.index), list(kinds), color=_BAD)
    axes.bar_label(bars, padding=3, fontsize=8)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return _svg(figure)


def summary_png(figures: Figures) -> bytes:
    """Deliveries and success in one small picture, for a place that takes one."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _dress(upper, "Delivered per day", dates=True)
    _bars(upper, figures, "delivered", _GOOD)
    _dress(lower, "Attempts that succeeded, %", dates=True)
    _success(lower, figures)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def _success(axes: Axes, figures: Figures) -> None:
    axes.plot(figures.daily.index, figures.daily["success_percent"], marker="o", markersize=3, color=_GOOD)
    axes.set_ylim(0, 105)


def _bars(axes: Axes, figures: Figures, column: str, color: str) -> None:
    axes.bar(figures.daily.index, figures.daily[column], color=color, width=0.8)
    axes.set_ylim(bottom=0, top=None if figures.daily[column].any() else 1)


def _figure(title: str, *, dates: bool = True) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.subplots()
    _dress(axes, title, dates=dates)
    return figure, axes


def _dress(axes: Axes, title: str, *, dates: bool) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    if dates:
        locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.grid(axis="y", color="#e2e8f0", linewidth=0.8)
        axes.set_axisbelow(True)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()
