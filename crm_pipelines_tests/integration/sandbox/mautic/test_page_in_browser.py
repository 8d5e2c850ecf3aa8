"""The sandbox's page as a person sees it."""

import pytest
from playwright.sync_api import Page, expect

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox

pytestmark = pytest.mark.browser


def test_the_page_says_that_it_is_no_mautic_and_fits_a_phone(mautic_sandbox: MauticSandbox, page: Page) -> None:
    mautic_sandbox.seed({"email": "ada@example.com", "company": "A rather long name of a company" * 3})
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(mautic_sandbox.root)
    expect(page.get_by_text("This is not Mautic.")).to_be_visible()
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    expect(page.get_by_role("heading", name="Contacts", exact=False).first).to_contain_text("1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
