"""A real n8n on a port of this machine, with its data in a database of the tests.

Workflows and credentials reach it over its public API, as its documentation tells; the key for that comes from the API
of its own pages.
"""

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from crm_pipelines.local.processes import free_port
from crm_pipelines_tests.judges import installed
from crm_pipelines_tests.leftovers import VARIABLE
from crm_pipelines_tests.patience import PATIENCE, wait_until

_OWNER = {"email": "judge@example.com", "firstName": "Judge", "lastName": "Judge", "password": "Password-of-a-test-1"}
_ALONE = {
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_LICENSE_AUTO_RENEW_ENABLED": "false",
    "N8N_HIRING_BANNER_ENABLED": "false",
    "N8N_COMMUNITY_PACKAGES_ENABLED": "false",
}
"""It asks nobody on the network for anything."""
_READY = "/healthz/readiness"
_KEEP_ENDED = 1
"""Seconds that n8n, told to end, lets workflows go on; 30 if not set."""


class N8n:
    """One n8n with its data; up or down. `url` stays the same."""

    def __init__(self, folder: Path, database: str) -> None:
        url = sa.make_url(database)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "n8n.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self._owner: dict[str, str] = {}
        self._environment = {
            "HOME": str(folder),
            "PATH": installed.environment()["PATH"],
            VARIABLE: os.environ[VARIABLE],
            "DB_TYPE": "postgresdb",
            "DB_POSTGRESDB_HOST": str(url.host),
            "DB_POSTGRESDB_PORT": str(url.port),
            "DB_POSTGRESDB_DATABASE": str(url.database),
            "DB_POSTGRESDB_USER": str(url.username),
            "DB_POSTGRESDB_PASSWORD": str(url.password),
            "N8N_USER_FOLDER": str(folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
            "N8N_ENCRYPTION_KEY": secrets.token_hex(16),
            "N8N_GRACEFUL_SHUTDOWN_TIMEOUT": str(_KEEP_ENDED),
            **_ALONE,
        }

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it takes requests."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [installed.node(), installed.n8n(), "start"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._ready, lambda: f"n8n is ready\n{self.log()}", poll_seconds=0.2)
        if "X-N8N-API-KEY" not in self._session.headers:
            self._session.headers["X-N8N-API-KEY"] = self._make_key()

    def _ready(self) -> bool:
        assert self.is_up, self.log()
        try:
            return self._session.get(f"{self.url}{_READY}", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    def _make_key(self) -> str:
        """Make the owner, and a key for everything that owners may do."""
        signed_in = self._session.post(f"{self.url}/rest/owner/setup", json=_OWNER, timeout=PATIENCE)
        assert signed_in.ok, signed_in.text
        # The cookie is for https only, so that the session would not send it.
        self._owner = {"Cookie": f"n8n-auth={signed_in.cookies['n8n-auth']}"}
        self._session.cookies.clear()
        scopes = self._page("GET", "/api-keys/scopes")
        return str(
            self._page("POST", "/api-keys", {"label": "tests", "scopes": scopes, "expiresAt": None})["rawApiKey"]
        )

    def _page(self, method: str, path: str, body: Any = None) -> Any:
        """What a page of the owner's would be answered."""
        answer = self._session.request(
            method, f"{self.url}/rest{path}", json=body, headers=self._owner, timeout=PATIENCE
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def tell_to_stop(self) -> None:
        """SIGTERM, as from an operator who restarts it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_stopped(self) -> None:
        """Until it has ended; then nothing of it runs any more."""
        if self._process is not None:
            self._process.wait(PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def close(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self.wait_stopped()
        self._session.close()

    def log(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer of its public API, of a request that succeeds."""
        answer = self._session.request(method, f"{self.url}/api/v1{path}", json=body, params=query, timeout=PATIENCE)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def credential(self, kind: str, **data: Any) -> dict[str, dict[str, str]]:
        """Store one, and return what a node's `credentials` take."""
        name = f"{kind} {secrets.token_hex(4)}"
        made = self.api("POST", "/credentials", {"name": name, "type": kind, "data": data})
        return {kind: {"id": made["id"], "name": name}}

    def options(self, node: str, version: int, method: str, credentials: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the editor offers in a list of the node, which the node asks its service for."""
        asked = {
            "path": "parameters.any",
            "methodName": method,
            "nodeTypeAndVersion": {"name": f"n8n-nodes-base.{node}", "version": version},
            "currentNodeParameters": {"authentication": "credentials"},
            "credentials": credentials,
        }
        found: list[dict[str, Any]] = self._page("POST", "/dynamic-node-parameters/options", asked)
        return found

    def publish(self, workflow: Mapping[str, Any]) -> str:
        """Store and publish a workflow, and wait until its webhooks are there; returns its id."""
        fields = {name: workflow[name] for name in ("name", "nodes", "connections", "settings")}
        made = self.api("POST", "/workflows", fields)
        self.api("POST", f"/workflows/{made['id']}/activate", {})
        for node in workflow["nodes"]:
            if node["type"] == "n8n-nodes-base.webhook":
                path = node["parameters"]["path"]
                wait_until(lambda path=path: self.methods(path), f"{path} is registered")  # type: ignore[misc]
        return str(made["id"])

    def withdraw(self, workflow: str) -> None:
        """Take a published workflow back, and wait until its webhooks are gone."""
        nodes = self.api("POST", f"/workflows/{workflow}/deactivate", {})["nodes"]
        for node in nodes:
            if node["type"] == "n8n-nodes-base.webhook":
                path = node["parameters"]["path"]
                wait_until(lambda path=path: not self.methods(path), f"{path} is withdrawn")  # type: ignore[misc]

    def methods(self, path: str) -> list[str]:
        """The methods that a webhook takes, [] where there is none. What a browser asks beforehand runs nothing."""
        asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
        answer = self._session.options(self.webhook(path), headers=asked, timeout=PATIENCE)
        return [one for one in answer.headers["Access-Control-Allow-Methods"].split(", ") if one != "OPTIONS"]

    def webhook(self, path: str, segment: str = "webhook") -> str:
        """The address of a webhook."""
        return f"{self.url}/{segment}/{path}"

    def executions(self, workflow: str) -> list[dict[str, Any]]:
        """Those that have ended, the oldest first, each with its data."""
        found = self.api("GET", "/executions", workflowId=workflow, includeData="true", limit=250)["data"]
        ended = [one for one in found if one["stoppedAt"] is not None]
        return sorted(ended, key=lambda one: int(one["id"]))

    def wait_for_executions(self, workflow: str, number: int) -> list[dict[str, Any]]:
        """The same, as soon as there are so many."""
        return wait_until(
            lambda: found if len(found := self.executions(workflow)) >= number else None,
            f"{number} executions have ended",
        )


def output(execution: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The first item that a node gave in this execution."""
    [run] = execution["data"]["resultData"]["runData"][node]
    item: dict[str, Any] = next(branch[0] for branch in run["data"]["main"] if branch)["json"]
    return item


def seen(execution: Mapping[str, Any]) -> dict[str, Any]:
    """The request as the workflow saw it: `headers`, `query` and `body`."""
    return output(execution, "Webhook")
