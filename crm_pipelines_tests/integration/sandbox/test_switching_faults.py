"""Faults on the sandbox's page: which there are, which are on, and switching them."""

from pathlib import Path
from typing import get_args

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from crm_pipelines.sandbox.core.faults import WHAT_HAPPENS, Action
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, HubSpotSandbox, MauticSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api
from crm_pipelines_tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
ANN = {"email": "ann@example.org"}


def test_every_fault_is_told_of_on_the_pages_and_in_the_document(
    brevo_sandbox: BrevoSandbox, hubspot_sandbox: HubSpotSandbox, mautic_sandbox: MauticSandbox
) -> None:
    assert set(WHAT_HAPPENS) == set(get_args(Action))
    document = (ROOT / "docs" / "crms.md").read_text(encoding="utf-8")
    pages = [requests.get(one.root, timeout=PATIENCE).text for one in (brevo_sandbox, hubspot_sandbox, mautic_sandbox)]
    for action, said in WHAT_HAPPENS.items():
        assert f"| `{action}` | {said} |" in document
        assert all(said in page and f"<code>{action}</code>" in page for page in pages)


@pytest.mark.browser
def test_a_fault_is_switched_on_and_off_by_hand(brevo_sandbox: BrevoSandbox, api: Api, page: Page) -> None:
    page.goto(f"{brevo_sandbox.root}/#faults")
    expect(page.get_by_text("None is on.")).to_be_visible()
    page.get_by_label("Fault").select_option("status")
    page.get_by_role("textbox", name="Status").fill("503")
    page.get_by_role("textbox", name="Times").fill("2")
    page.get_by_role("textbox", name="Method").fill("POST")
    page.get_by_role("button", name="Switch on").click()
    page.get_by_label("Fault").select_option("empty")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("heading", name="Faults")).to_contain_text("2 on, 0 held")
    assert api.post("/contacts", ANN).status_code == 503
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if "#faults" in str(one) or "order" in str(one)] == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Switch off").first.click()
    expect(page.get_by_role("heading", name="Faults")).to_contain_text("1 on")
    assert api.post("/contacts", ANN).status_code == 200, "the other one: an answer without a body"
    page.get_by_role("button", name="Switch all off").click()
    expect(page.get_by_text("None is on.")).to_be_visible()
    assert api.post("/contacts", ANN).status_code == 201


def test_a_wrong_fault_is_a_sentence_and_none_is_switched_on(brevo_sandbox: BrevoSandbox) -> None:
    ours = {"Origin": brevo_sandbox.root}
    for wrong in ({"action": "explode"}, {"action": "status", "status": "7"}, {"action": "status", "path": "("}, {}):
        answer = requests.post(f"{brevo_sandbox.root}/faults/on", data=wrong, headers=ours, timeout=PATIENCE)
        assert answer.status_code == 400
        assert answer.text.startswith("No fault was switched on. ")
    assert brevo_sandbox.state()["faults"] == []


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_no_foreign_page_switches_anything(brevo_sandbox: BrevoSandbox, origin: str | None) -> None:
    brevo_sandbox.fault("status", status=503)
    headers = {"Origin": origin} if origin else {}
    for path in ("on", "off", "release"):
        url = f"{brevo_sandbox.root}/faults/{path}"
        answer = requests.post(url, data={"action": "empty"}, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 403
    assert [one["action"] for one in brevo_sandbox.state()["faults"]] == ["status"]
