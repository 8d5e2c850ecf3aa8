"""Dagster's own page goes on working behind its guard, in a real browser and under the real `up`."""

import re

import pytest
from playwright.sync_api import Page, WebSocket, expect

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.stack import Stack

pytestmark = pytest.mark.browser

JOB = "/locations/crm_pipelines/jobs/brevo_sync"
REFUSALS = {403, 405, 415, 421}


def test_a_run_is_launched_followed_live_and_found_again(stack: Stack, stack_sandbox: BrevoSandbox, page: Page) -> None:
    refused: list[str] = []
    heard: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: heard.append(str(frame)))

    page.on("response", lambda one: refused.append(f"{one.status} {one.url}") if one.status in REFUSALS else None)
    page.on("websocket", listen)
    stack.people.add()

    page.goto(f"{stack.dagster_url}{JOB}/playground")
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.get_by_text("RUN_SUCCESS").first).to_be_visible()
    assert any("RunSuccessEvent" in frame for frame in heard), "the log came through the web socket"
    run_id = page.url.rpartition("/runs/")[2][:8]

    page.goto(f"{stack.dagster_url}/runs")
    expect(page.get_by_text(run_id).first).to_be_visible()
    page.goto(f"{stack.dagster_url}/assets/brevo/contacts")
    expect(page.get_by_text("Latest materialization").first).to_be_visible()
    page.goto(f"{stack.dagster_url}/graphql")
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()
    assert refused == []
    assert stack.people.states() == {"synced": 1}
