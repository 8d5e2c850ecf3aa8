"""In how long a destination's queue has nothing left that is due, for those who look at it from outside of a run."""

from contextlib import closing
from datetime import timedelta

import sqlalchemy as sa

from crm_pipelines.delivery.pace.rates import rate_limit_of
from crm_pipelines.delivery.planning import time_to_empty
from crm_pipelines.errors import SettingsError
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import NotConfigured, Settings
from crm_pipelines.statistics.status import CrmStatus


def emptied_in(engine: sa.Engine, settings: Settings, status: CrmStatus) -> timedelta | None:
    """How long what is due now will take. None: nothing is delivered as things are."""
    if status.gate.paused or not settings.delivers_to(status.crm):
        return None
    if not status.due:
        return timedelta()
    try:
        together = _together(settings, status.crm)
    except SettingsError:
        return None
    rate = rate_limit_of(settings.destinations[status.crm], status.gate.limit_observed).per_second
    return time_to_empty(status.due, Queue(engine, status.crm).pace(), rate, together=together)


def _together(settings: Settings, crm: str) -> int:
    # Here, since the module of a CRM comes with an HTTP client: who looks at an empty queue needs none.
    from crm_pipelines.crms.registry import client_of

    try:
        with closing(client_of(settings, crm)) as client:
            return client.most_per_request
    except NotConfigured:
        return 1  # its credentials are in another process: so it is with the first account only, which is Brevo's
