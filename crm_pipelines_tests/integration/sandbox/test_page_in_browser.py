"""The sandbox's page as a person sees it."""

import pytest
from playwright.sync_api import Page, expect

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

pytestmark = pytest.mark.browser


def test_the_page_says_that_it_is_no_brevo_and_shows_the_contacts(brevo_sandbox: BrevoSandbox, page: Page) -> None:
    brevo_sandbox.seed({"email": "ada@example.com", "attributes": {"FIRSTNAME": "Ada"}})
    page.goto(brevo_sandbox.root)
    expect(page.get_by_text("This is not Brevo.")).to_be_visible()
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    expect(page.get_by_role("heading", name="Contacts")).to_contain_text("1")


def test_a_contact_cannot_bring_a_script_onto_the_page(brevo_sandbox: BrevoSandbox, page: Page) -> None:
    script = "<script>document.title = 'taken over'</script>"
    brevo_sandbox.seed({"email": "eve@example.com", "attributes": {"FIRSTNAME": script}})
    page.goto(brevo_sandbox.root)
    expect(page.get_by_text(script)).to_be_visible()
    assert page.title() != "taken over"


def test_the_page_fits_a_phone(brevo_sandbox: BrevoSandbox, page: Page) -> None:
    brevo_sandbox.seed({"email": "a.rather.long.address.of.somebody@example.com"})
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(brevo_sandbox.root)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
