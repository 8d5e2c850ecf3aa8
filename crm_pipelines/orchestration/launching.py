"""Has a run started by a Dagster that may be on another machine, through its web server."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import dagster as dg
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError
from gql.transport.requests import RequestsHTTPTransport

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.orchestration.batches import FetchConfig
from crm_pipelines.orchestration.run_now import JOBS

_SECONDS = 15


class NotLaunched(CrmPipelinesError):
    """Dagster did not start a run; the queue is worked on by its schedule all the same."""


@dataclass(frozen=True, kw_only=True)
class LaunchedRun:
    """A run that Dagster has taken on, and its page."""

    run_id: str
    url: str


class _Direct(RequestsHTTPTransport):
    """Past any proxy of the environment: Dagster's web server is never beyond one."""

    def connect(self) -> None:
        super().connect()  # type: ignore[no-untyped-call]
        assert self.session
        self.session.trust_env = False


class Launcher:
    """Dagster's web server at `url`; people open its pages at `pages_url`."""

    def __init__(self, url: str, pages_url: str | None = None) -> None:
        self._url = url
        self._pages_url = pages_url or url

    def launch(self, crm: str, contact_ids: Sequence[UUID]) -> LaunchedRun:
        """Start the job of `crm` for these contacts. Run config is kept for ever, so it names them by id only.

        Takes 15 s at most. Raises NotLaunched.
        """
        if crm not in JOBS:
            raise NotLaunched(f"There is no job yet that delivers to {crm}; the contact waits in the queue.")
        config = FetchConfig(limit=None, emails=[], contact_ids=[str(one) for one in contact_ids], dry_run=False)
        try:
            run_id = self._client().submit_job_execution(
                JOBS[crm].name, run_config=dg.RunConfig(ops={"fetch_queued_contacts": config})
            )
        except DagsterGraphQLClientError as error:
            # Its text quotes the whole request.
            kind = type(error.__cause__ or error).__name__
            raise NotLaunched(
                f"Dagster did not take on a run ({kind}). The contact is first in the queue, and the next tick of the "
                "schedule takes it; API_DAGSTER_URL says where Dagster is."
            ) from None
        return LaunchedRun(run_id=run_id, url=f"{self._pages_url}/runs/{run_id}")

    def _client(self) -> DagsterGraphQLClient:
        parts = urlsplit(self._url)
        transport = _Direct(url=f"{self._url}/graphql", use_json=True, timeout=_SECONDS)
        return DagsterGraphQLClient(parts.netloc, use_https=parts.scheme == "https", transport=transport)
