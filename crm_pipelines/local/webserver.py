"""What `make up` asks of Dagster's web page: whether it is there, and to end what runs."""

from typing import Any

import requests

_ACTIVE_RUNS = """{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED]}) {
  ... on Runs { results { runId } } } }"""
_TERMINATE = """mutation ($ids: [String!]!) { terminateRuns(runIds: $ids) { __typename } }"""


class Webserver:
    """The web page on this machine, at `url`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy has no way to this machine's loopback

    def is_ready(self) -> bool:
        """Whether Dagster, and not some other program, answers."""
        try:
            answer = self._session.get(f"{self.url}/server_info", timeout=5)
        except requests.RequestException:
            return False
        return answer.ok and "dagster_webserver_version" in answer.text

    def terminate_runs(self) -> int:
        """Ask every unfinished run to stop in an orderly way; returns how many there were.

        Raises requests.RequestException.
        """
        answered = self._ask(_ACTIVE_RUNS)["runsOrError"].get("results", [])
        ids = [run["runId"] for run in answered]
        if ids:
            self._ask(_TERMINATE, ids=ids)
        return len(ids)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._session.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data
