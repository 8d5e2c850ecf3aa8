"""/docs: the API's document in a real browser, with nothing of another host."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from crm_pipelines.api.pages.rendering import FOLDER
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.pages.conftest import Site
from crm_pipelines_tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.browser
def test_a_request_is_tried_with_a_token_and_nothing_is_asked_of_another_host(
    site: Site, people: People, page: Page
) -> None:
    troubles: list[str] = []
    hosts: set[str | None] = set()
    page.on("console", lambda message: troubles.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    people.add(email="ada@example.com")

    page.goto(f"{site.root}/docs")
    expect(page.get_by_role("heading", name="crm-pipelines")).to_be_visible()
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").first.fill(site.reading_token)
    page.get_by_label("Apply credentials").first.click()
    page.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name="GET /api/v3/crm/status/summary", exact=False).first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text('"Complete"')
    assert troubles == []
    assert hosts == {urlsplit(site.root).netloc}
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0, "the token is kept nowhere"
    ours = Axe().run(page, context={"exclude": [["#swagger-ui"]]})
    assert [one["id"] for one in ours.response["violations"]] == []


def test_the_page_takes_scripts_and_styles_from_here_alone(site: Site) -> None:
    answer = requests.get(f"{site.root}/docs", timeout=PATIENCE)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert not re.search(r"<style|style=|\son\w+=|<script>|https?://", answer.text)
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert requests.get(site.root + path, timeout=PATIENCE).ok, path


def test_the_files_of_swagger_ui_are_those_that_the_list_of_dependencies_names() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        digest = hashlib.sha256((FOLDER / "static" / "swagger-ui" / name).read_bytes()).hexdigest()
        assert f"`{name}` `{digest}`" in text
    assert "Apache License" in (FOLDER / "static" / "swagger-ui" / "LICENSE").read_text(encoding="utf-8")
