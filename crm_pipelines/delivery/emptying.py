"""In how long a destination's queue has nothing left that is due."""

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crm_pipelines.delivery.pace.rates import rate_limit_of
from crm_pipelines.delivery.planning import time_to_empty
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.errors import SettingsError
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import NotConfigured, Settings

if TYPE_CHECKING:
    from crm_pipelines.delivery.account.opening import Account


def emptied_in(engine: sa.Engine, settings: Settings, gate: Gate, due: int) -> timedelta | None:
    """How long what is due now will take, seen from outside of a run. None: nothing is delivered as things are."""
    if _holds_back(gate) or not settings.delivers_to(gate.crm):
        return None
    if not due:
        return timedelta()
    try:
        together = _together(settings, gate.crm)
    except SettingsError:
        return None
    rate = rate_limit_of(settings.destinations[gate.crm], gate.limit_observed).per_second
    return time_to_empty(due, Queue(engine, gate.crm).pace(), rate, together=together)


def account_emptied_in(account: "Account", gate: Gate, due: int) -> timedelta | None:
    """The same for whoever has opened the account."""
    if _holds_back(gate):
        return None
    rate = account.rate_limit(gate).per_second
    return time_to_empty(due, account.queue.pace(), rate, together=account.crm.most_per_request)


def _holds_back(gate: Gate) -> bool:
    """Whether nothing is sent, or one contact at a time: no pace is known of that."""
    return gate.paused or gate.probing


def _together(settings: Settings, crm: str) -> int:
    # Here, since the module of a CRM comes with an HTTP client: who looks at an empty queue needs none.
    from crm_pipelines.crms.registry import client_of

    try:
        with closing(client_of(settings, crm)) as client:
            return client.most_per_request
    except NotConfigured:
        return 1  # its credentials are in another process: so it is with the first account only, which is Brevo's
