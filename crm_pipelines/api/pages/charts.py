"""From numbers to the geometry of SVG. Pure; the templates draw it, and style.css gives it its colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from crm_pipelines.statistics.history import Step

WIDTH, HEIGHT = 640, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 10, 24
"""Pixels of the drawing; a browser scales it."""

_GAP = 0.28  # between two bars, as a share of a step
_LABELS = 6


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Delivered attempts at the bottom, failed ones on top; `said` is its tooltip."""

    x: float
    width: float
    delivered_y: float
    delivered_height: float
    failed_y: float
    failed_height: float
    said: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A place on an axis, with its label."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The axes: ticks of the values by y, ticks of the time by x."""

    values: tuple[Tick, ...]
    times: tuple[Tick, ...]


def scale(largest: float) -> list[int]:
    """Round values from 0 to the first that is not below `largest`, at most five of them."""
    if largest <= 4:
        return [0, 1, 2, 3, 4][: max(2, math.ceil(largest) + 1)]
    rough = largest / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(int(factor * power) or 1 for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(largest / step) + 1)]


def frame(steps: Sequence[Step], step: timedelta, values: Sequence[int]) -> Frame:
    """The axes of a chart over these steps."""
    every = max(1, math.ceil(len(steps) / _LABELS))
    return Frame(
        values=tuple(Tick(at=_y(value, values[-1]), label=_short(value)) for value in values),
        times=tuple(
            Tick(at=_x(number, len(steps)) + _step_width(len(steps)) / 2, label=_time(one.at, step))
            for number, one in enumerate(steps)
            if (len(steps) - 1 - number) % every == 0
        ),
    )


def bars(steps: Sequence[Step], step: timedelta, top: int) -> list[Bar]:
    """What attempts came to."""
    width = _step_width(len(steps)) * (1 - _GAP)
    drawn = []
    for number, one in enumerate(steps):
        middle = _y(one.delivered, top)
        drawn.append(
            Bar(
                x=round(_x(number, len(steps)) + _step_width(len(steps)) * _GAP / 2, 1),
                width=round(width, 1),
                delivered_y=middle,
                delivered_height=round(_y(0, top) - middle, 1),
                failed_y=_y(one.attempts, top),
                failed_height=round(middle - _y(one.attempts, top), 1),
                said=f"{_time(one.at, step)}: {one.delivered} delivered, {one.failed} failed",
            )
        )
    return drawn


def lines(steps: Sequence[Step], top: int) -> list[str]:
    """The queue's length as point lists of SVG, one per stretch without a gap: what nobody noted is not drawn."""
    width = _step_width(len(steps))
    stretches: list[list[tuple[float, float]]] = [[]]
    for number, one in enumerate(steps):
        if one.depth is None:
            stretches.append([])
        else:
            stretches[-1].append((_x(number, len(steps)) + width / 2, _y(one.depth, top)))
    return [" ".join(f"{x:.1f},{y:.1f}" for x, y in _visible(points, width)) for points in stretches if points]


def _visible(points: list[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """A single point as a short line."""
    if len(points) > 1:
        return points
    [(x, y)] = points
    return [(x - width / 3, y), (x + width / 3, y)]


def area(line: str, top: int) -> str:
    """The surface below a line."""
    points = line.split(" ")
    ground = f"{_y(0, top):.1f}"
    return " ".join([f"{points[0].partition(',')[0]},{ground}", *points, f"{points[-1].partition(',')[0]},{ground}"])


def _step_width(count: int) -> float:
    return (WIDTH - LEFT - RIGHT) / max(1, count)


def _x(number: int, count: int) -> float:
    return LEFT + number * _step_width(count)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)


def _time(moment: datetime, step: timedelta) -> str:
    return f"{moment.astimezone(UTC):{'%H:%M' if step < timedelta(hours=6) else '%d %b'}}"


def _short(value: int) -> str:
    """12000 is 12k."""
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if value >= size and value % (size // 10) == 0:
            return f"{value / size:g}{letter}"
    return str(value)
