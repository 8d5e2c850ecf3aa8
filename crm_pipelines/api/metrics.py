"""Figures for Prometheus: requests to the API, and how the queues stand."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from crm_pipelines.api.access import AuthenticatedRoute, Reader
from crm_pipelines.api.destinations import Destinations
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.statistics.status import crm_statuses

router = APIRouter(route_class=AuthenticatedRoute, tags=["status"])


class Metrics:
    """Of one application."""

    def __init__(self, destinations: Destinations) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "crm_api_request_seconds",
            "Duration of requests to the API.",
            ["method", "operation", "status"],
            registry=self.registry,
        )
        self.registry.register(_Queues(destinations))

    def observe(self, method: str, operation: str, status: int, seconds: float) -> None:
        """Count a request; `operation` is the name of its endpoint."""
        self._requests.labels(method, operation, str(status)).observe(seconds)


class _Queues(Collector):
    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: else the database would be asked when the application is put together."""
        return []

    def collect(self) -> Iterator[Metric]:
        contacts = GaugeMetricFamily("crm_contacts", "Contacts by sync status.", labels=["crm", "status"])
        due = GaugeMetricFamily("crm_due", "Contacts that wait for delivery and are due.", labels=["crm"])
        put_off = GaugeMetricFamily("crm_put_off", "Due contacts that were postponed.", labels=["crm"])
        oldest = GaugeMetricFamily("crm_oldest_due_seconds", "How long the longest has been due.", labels=["crm"])
        is_open = GaugeMetricFamily("crm_gate_open", "1: sending to the CRM is on.", labels=["crm"])
        # Quantiles over a sliding window, as summaries have them. No _sum and _count: those would have to grow for
        # ever.
        delay = SummaryMetricFamily(
            "crm_delay_seconds",
            "From an edit or a selection to the confirmation by the CRM: deliveries of the last hour.",
            labels=["crm"],
        )
        measured = GaugeMetricFamily(
            "crm_delay_deliveries", "Deliveries of the last hour that crm_delay_seconds is of.", labels=["crm"]
        )
        held = GaugeMetricFamily("crm_delivered_in_all", "Our contacts that the account holds.", labels=["crm"])
        stands = GaugeMetricFamily("crm_standing", "1: how deliveries stand.", labels=["crm", "condition", "colour"])
        engine = self._destinations.engine
        for status in crm_statuses(engine, self._destinations.known(), count_unanswered=False):
            crm = status.crm
            for name, count in status.counts.items():
                contacts.add_metric([crm, name], count)
            due.add_metric([crm], status.due)
            put_off.add_metric([crm], status.put_off)
            oldest.add_metric([crm], status.oldest_due_seconds or 0)
            is_open.add_metric([crm], 0 if status.gate.paused else 1)
            for percent, seconds in status.delays.by_percent.items():
                delay.add_sample("crm_delay_seconds", {"crm": crm, "quantile": f"{percent / 100:g}"}, seconds)
            measured.add_metric([crm], status.delays.contacts)
            held.add_metric([crm], status.delivered_in_all)
            if crm in self._destinations.settings.destinations or status.is_used:  # nobody is woken for any other
                standing = standing_at(engine, self._destinations.settings, crm)
                stands.add_metric([crm, standing.condition, standing.colour], 1)
        yield from (contacts, due, put_off, oldest, delay, measured, is_open, held, stands)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def metrics(request: Request, _: Reader) -> Response:
    """Figures in Prometheus' text format."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
