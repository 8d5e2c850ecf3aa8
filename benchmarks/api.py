"""The HTTP API under load, in a process of its own: several clients, each with one connection, asking in turn."""

import http.client
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.setting import ROOT, Stage
from crm_pipelines.access.tokens import SCOPES, create_token
from crm_pipelines.database.connecting import create_engine
from crm_pipelines.local.processes import free_port

if TYPE_CHECKING:
    from benchmarks.report import Report

CLIENTS = 8
CONTACTS = 100_000
_WARM_UP_SECONDS = 2.0
_SECONDS = 10.0
# Whoever is selected for a CRM must have set it up; nothing is sent.
_SET_UP = {
    "BREVO_API_KEY": "benchmark",
    "HUBSPOT_API_KEY": "benchmark",
    "MAUTIC_BASE_URL": "http://127.0.0.1:9",
    "MAUTIC_CLIENT_ID": "benchmark",
    "MAUTIC_CLIENT_SECRET": "benchmark",
    "N8N_WEBHOOK_URL": "http://127.0.0.1:9/webhook/benchmark",
    "N8N_WEBHOOK_SECRET": "benchmark-benchmark-benchmark-benchmark",
}


class Client:
    """One connection that asks for one thing after the other."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer."""
        content = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api/v3{path}", content, self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@contextmanager
def served(there: Stage) -> Iterator[tuple[int, str]]:
    """The API on the stage's database: its port, and a token."""
    engine = create_engine(there.url)
    token = create_token(engine, f"benchmark {time.time_ns()}", SCOPES)
    engine.dispose()
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BREVO_", "CRM_", "API_"))}
    env |= {
        "CRM_DATABASE_URL": there.url,
        "DAGSTER_POSTGRES_URL": there.dagster_url,
        "DAGSTER_HOME": str(ROOT),
        "API_REQUESTS_PER_MINUTE": "10000000",
        **_SET_UP,
    }
    command = [sys.executable, "-m", "crm_pipelines", "api", "--port", str(port)]
    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_served(port, process)
            yield port, token
        finally:
            process.terminate()


def _wait_until_served(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/v3/openapi.json")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("The API has ended by itself.")


def load(there: Stage, report: "Report") -> None:
    """A mixture of what applications ask, then one selection of everybody by filter."""
    there.queue(CONTACTS)
    with served(there) as (port, token):
        first = Client(port, token)
        ids = [one["id"] for one in first.ask("GET", "/contacts?limit=500")[1]["items"]]
        seconds, errors, spent = _hammer(port, token, ids)
        mixture = (
            f"{CLIENTS} clients for {_SECONDS:.0f} s, {CONTACTS:,} contacts: one contact, its story, a list of 20, "
            "10 selected, in turn at random"
        )
        report.add("API: requests", [len(seconds) / spent], "per s", mixture, 0)
        report.add("API: 95th percentile", [1000 * statistics.quantiles(seconds, n=20)[-1]], "ms", "the same", 0)
        report.add("API: errors", [float(errors)], "answers", "the same: answers other than 200", 0)
        report.add("API: select everybody by filter", _select_all(first), "s", f"{CONTACTS:,} contacts in one call", 1)
        first.close()


def _hammer(port: int, token: str, ids: list[str]) -> tuple[list[float], int, float]:
    """Seconds of each request, answers that were errors, and how long it went on."""
    begin = time.monotonic() + _WARM_UP_SECONDS
    end = begin + _SECONDS
    seconds: list[float] = []
    failed = itertools.count()

    def one(number: int) -> None:
        client, chosen = Client(port, token), random.Random(number)  # noqa: S311 - a choice, not a secret
        while (started := time.monotonic()) < end:
            contact = chosen.choice(ids)
            request = chosen.choice(
                [
                    ("GET", f"/contacts/{contact}", None),
                    ("GET", f"/contacts/{contact}/sync-status", None),
                    ("GET", "/contacts?limit=20&status=New&crm=hubspot", None),
                    ("POST", "/contacts/crm/select", {"contact_ids": chosen.sample(ids, 10), "crms": ["brevo"]}),
                ]
            )
            status, _ = client.ask(*request)
            if status != 200:
                next(failed)
            if started >= begin:
                seconds.append(time.monotonic() - started)
        client.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, next(failed), time.monotonic() - begin


def _select_all(client: Client) -> list[float]:
    spent = []
    for crm in ("hubspot", "mautic", "n8n"):
        started = time.monotonic()
        body = {"everyone": True, "crms": [crm], "confirm": CONTACTS}
        status, answer = client.ask("POST", "/contacts/crm/select/filtered", body)
        assert status == 200, answer
        assert answer["crms"][0]["selected"] == CONTACTS
        spent.append(time.monotonic() - started)
    return spent
