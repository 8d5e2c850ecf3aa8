"""The report as one HTML page that needs nothing else, and as a short Markdown text with one picture."""

import base64
import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crm_pipelines.reports import charts
from crm_pipelines.reports.figures import Figures
from crm_pipelines.vocabulary import STATUS_WORDS, in_brief

_CHARTS = (
    (charts.deliveries_svg, "Contacts delivered per day"),
    (charts.success_svg, "Share of attempts that succeeded per day"),
    (charts.times_svg, "Time from selected to delivered per day, median and 95th percentile"),
    (charts.retries_svg, "Retries per day"),
)


def html(figures: Figures) -> str:
    """The whole page, pictures included."""
    pictures = [(_data_uri(draw(figures), "image/svg+xml"), text) for draw, text in _CHARTS]
    if len(figures.kinds):
        pictures.append((_data_uri(charts.kinds_svg(figures), "image/svg+xml"), "Failed attempts by kind of error"))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        figures=figures,
        days=len(figures.daily),
        facts=_facts(figures),
        pictures=pictures,
        kinds=list(figures.kinds.items()),
        parked=list(figures.parked.itertuples()),
        words_of=STATUS_WORDS,
        left_out=list(figures.left_out.itertuples()),
        delay=_delay,
        daily=list(figures.daily.iloc[::-1].itertuples()),
    )


def markdown(figures: Figures) -> str:
    """A few lines and one picture, for Dagster's pages."""
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(figures))
    parked = ", ".join(f"{row.contacts} {row.kind}" for row in figures.parked.head(5).itertuples())
    picture = _data_uri(charts.summary_png(figures), "image/png")
    return (
        f"| {len(figures.daily)} days to {figures.day} | {figures.crm} |\n| --- | --- |\n{facts}\n\n"
        f"Failed or never sent: {parked or 'nothing'}.\n\n"
        f"![Delivered per day, and the share of attempts that succeeded]({picture})"
    )


def _facts(figures: Figures) -> list[tuple[str, str]]:
    success = figures.success_percent
    facts = [
        ("Contacts delivered", f"{figures.delivered:,}"),
        ("Attempts that succeeded", "no attempts" if success is None else f"{success:.2f} %"),
        ("Failed attempts", f"{figures.failed:,}"),
        ("Of these to be repeated (retries)", f"{figures.retries:,}"),
        ("Selected to delivered, median", _minutes(figures.median_minutes)),
        ("Selected to delivered, 95th percentile", _minutes(figures.p95_minutes)),
        ("From a change to the CRM, median", _delay(figures.delay_minutes[50])),
        ("From a change to the CRM, 95th percentile", _delay(figures.delay_minutes[95])),
        ("From a change to the CRM, 99th percentile", _delay(figures.delay_minutes[99])),
        ("Failed or never sent, at present", f"{figures.parked_contacts:,}"),
        ("Values left out of contacts that were delivered", f"{figures.values_left_out:,}"),
    ]
    if figures.unanswered is not None:
        facts.append(("Sent more than an hour ago, and the workflow has told nothing", f"{figures.unanswered:,}"))
    return facts


def _delay(minutes: float | None) -> str:
    return "–" if minutes is None or math.isnan(minutes) else in_brief(60 * minutes)


def _minutes(minutes: float | None) -> str:
    if minutes is None:
        return "no deliveries"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
