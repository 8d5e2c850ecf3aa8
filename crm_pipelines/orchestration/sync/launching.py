"""Has a run started by a Dagster that may be on another machine, through its web server."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import dagster as dg
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError
from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.tags import PUT_FIRST_TAG
from crm_pipelines.settings import Settings

_SECONDS = 15
# Such a run has not yet looked whom it is for.
_WAITING = """{ runsOrError(limit: 1, filter: {
  pipelineName: "%s", tags: [{key: "%s", value: "%s"}], statuses: [QUEUED, NOT_STARTED, STARTING]
}) { ... on Runs { results { runId } } } }"""

T = TypeVar("T")


class NotLaunched(CrmPipelinesError):
    """Dagster did not start a run; the queue is worked on by its schedule all the same."""


@dataclass(frozen=True, kw_only=True)
class LaunchedRun:
    """A run that Dagster has taken on, and its page. `waiting`: it had been launched before, and is yet to begin."""

    run_id: str
    url: str
    waiting: bool = False


class _Direct(RequestsHTTPTransport):
    """Past any proxy of the environment: Dagster's web server is never beyond one."""

    def connect(self) -> None:
        super().connect()  # type: ignore[no-untyped-call]
        assert self.session
        self.session.trust_env = False


class Launcher:
    """Dagster's web server, where API_DAGSTER_URL says it is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.api.dagster_url
        self._one_at_a_time = threading.Lock()

    def launch(self, crm: str) -> LaunchedRun:
        """Have the job of `crm` run for the contacts that were put first; where such a run waits already, that one.

        Run config is kept for ever, so it names nobody. Takes 45 s at most. Raises NotLaunched.
        """
        if crm not in self._settings.destinations:
            raise NotLaunched(f"The contact waits in the queue. {self._settings.why_not(crm)}")
        if not self._one_at_a_time.acquire(timeout=_SECONDS):
            raise _not_launched("TimeoutError")
        try:
            run_id = _asked(lambda: self._waiting(crm))
            waiting = run_id is not None
            run_id = run_id or _asked(lambda: self._submit(crm))
        finally:
            self._one_at_a_time.release()
        pages_url = self._settings.channels.dagster_ui_url or self._url
        return LaunchedRun(run_id=run_id, url=f"{pages_url}/runs/{run_id}", waiting=waiting)

    def _waiting(self, crm: str) -> str | None:
        """The id of a run that was launched for those who were put first, and that takes whom it finds later."""
        client = Client(transport=self._transport(), execute_timeout=_SECONDS)
        found: Any = client.execute(gql(_WAITING % (f"{crm}_sync", PUT_FIRST_TAG, crm)))["runsOrError"]
        return next((run["runId"] for run in found.get("results", ())), None)

    def _submit(self, crm: str) -> str:
        parts = urlsplit(self._url)
        client = DagsterGraphQLClient(parts.netloc, use_https=parts.scheme == "https", transport=self._transport())
        config = FetchConfig(limit=None, emails=[], contact_ids=[], put_first=True, dry_run=False)
        run_config = dg.RunConfig(ops={"fetch_queued_contacts": config})
        return client.submit_job_execution(f"{crm}_sync", run_config=run_config, tags={PUT_FIRST_TAG: crm})

    def _transport(self) -> _Direct:
        return _Direct(url=f"{self._url}/graphql", use_json=True, timeout=_SECONDS)


def _asked(question: Callable[[], T]) -> T:
    """Raises NotLaunched."""
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - gql passes on those of many libraries; their texts quote the request
        cause = error.__cause__ if isinstance(error, DagsterGraphQLClientError) else None
        raise _not_launched(type(cause or error).__name__) from None


def _not_launched(kind: str) -> NotLaunched:
    return NotLaunched(
        f"Dagster did not start a run ({kind}). The contact is first in the queue, and the next run takes it; "
        "API_DAGSTER_URL says where Dagster is."
    )
