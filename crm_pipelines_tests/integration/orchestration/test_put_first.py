"""One run for all whom somebody has put first in the queue, however many they are, and one such run in waiting."""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm_pipelines.contacts.selection import put_first
from crm_pipelines.orchestration.sync.launching import Launcher, NotLaunched
from crm_pipelines.orchestration.sync.tags import PUT_FIRST_TAG
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox

# Dagster's client for its web server uses what its library is to give up.
pytestmark = pytest.mark.filterwarnings("ignore:Using variable_values:DeprecationWarning")


def trigger(people: People, contact_id: UUID) -> None:
    with people.engine.begin() as connection:
        put_first(connection, "brevo", contact_id)


def test_a_run_for_those_who_were_put_first_takes_all_of_them_and_nobody_else(
    people: People, pipeline: Pipeline
) -> None:
    ids = people.add(10)
    for contact_id in (ids[9], ids[4], ids[7]):
        trigger(people, contact_id)
    assert pipeline.run(put_first=True).counts == {"claimed": 3, "synced": 3}
    assert {people.sync(ids[number])["state"] for number in (4, 7, 9)} == {"synced"}
    assert pipeline.run(put_first=True).counts == {}
    assert people.all("SELECT * FROM crm_put_first") == []


def test_who_was_put_first_and_tried_since_waits_for_the_retry_like_others(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    trigger(people, contact_id)
    brevo_sandbox.fault("status", status=500, times=1, path=DELIVERIES)
    assert pipeline.run().counts == {"claimed": 1, "retrying": 1}
    assert pipeline.run(put_first=True).counts == {}
    trigger(people, contact_id)
    assert pipeline.run(put_first=True).counts == {"claimed": 1, "synced": 1}


def test_a_dry_run_leaves_those_who_were_put_first_to_the_run_that_delivers_them(
    people: People, pipeline: Pipeline
) -> None:
    [contact_id] = people.add()
    trigger(people, contact_id)
    pipeline.run(put_first=True, dry_run=True)
    assert pipeline.run(put_first=True).counts == {"claimed": 1, "synced": 1}


class Dagster:
    """Of Dagster's web server what a launch asks; `waiting` holds the tags of runs that have not begun.

    While `asks_alone` says no, whoever asks which runs wait has no answer before a second one asks, too.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, list[dict[str, str]]] = {}
        self.launched: list[dict[str, Any]] = []
        self.broken = False
        self.asks_alone: Callable[[], bool] = lambda: True
        self._asking = 0
        self.app = Starlette(routes=[Route("/graphql", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> JSONResponse:
        asked = json.loads(await request.body())
        if self.broken:
            return JSONResponse({"errors": [{"message": "ada@example.com"}]})
        if "runsOrError" in asked["query"]:
            self._asking += 1
            while self._asking < 2 and not self.asks_alone():
                await asyncio.sleep(0)
        return JSONResponse({"data": self._data(asked["query"], asked.get("variables") or {})})

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "runsOrError" in query:
            found = [
                {"runId": run_id}
                for run_id, tags in self.waiting.items()
                if any(f'key: "{tag["key"]}", value: "{tag["value"]}"' in query for tag in tags)
            ]
            return {"runsOrError": {"__typename": "Runs", "results": found[:1]}}
        if "repositoriesOrError" in query:
            repository = {"name": "__repository__", "location": {"name": "here"}, "pipelines": [{"name": "brevo_sync"}]}
            return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": [repository]}}
        params = variables["executionParams"]
        run_id = f"run-{len(self.launched)}"
        self.launched.append(params)
        self.waiting[run_id] = params["executionMetadata"]["tags"]
        return {"launchPipelineExecution": {"__typename": "LaunchRunSuccess", "run": {"runId": run_id}}}


@pytest.fixture
def dagster() -> Dagster:
    return Dagster()


@pytest.fixture
def launcher(dagster: Dagster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
    with serving(dagster.app) as root:
        monkeypatch.setenv("API_DAGSTER_URL", root)
        yield Launcher(load_settings())


def test_of_runs_for_those_who_were_put_first_one_waits_at_most_however_many_ask_at_once(
    dagster: Dagster, launcher: Launcher
) -> None:
    dagster.asks_alone = launcher._one_at_a_time.locked
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: launcher.launch("brevo"), range(30)))
    assert {run.run_id for run in runs} == {"run-0"}
    assert sorted(run.waiting for run in runs) == [False] + 29 * [True]
    [launched] = dagster.launched
    assert '"put_first": true' in json.dumps(launched).replace("\\", "").lower()
    dagster.waiting.clear()  # it has begun, and may have looked whom it is for
    assert launcher.launch("brevo").run_id == "run-1"


def test_a_waiting_run_for_others_is_not_taken_for_one_for_those_who_were_put_first(
    dagster: Dagster, launcher: Launcher
) -> None:
    dagster.waiting["somebodys"] = [{"key": PUT_FIRST_TAG, "value": "another crm"}]
    assert launcher.launch("brevo").run_id == "run-0"


def test_what_dagster_says_of_a_failure_is_not_passed_on(dagster: Dagster, launcher: Launcher) -> None:
    dagster.broken = True
    with pytest.raises(NotLaunched, match="Dagster did not start a run") as refused:
        launcher.launch("brevo")
    assert "ada@" not in str(refused.value)
