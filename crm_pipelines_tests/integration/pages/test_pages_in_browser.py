"""The main paths as a person goes them in a real browser, by eye, by keyboard and by screen reader."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from crm_pipelines.settings import STATUS_PAGE_NAME
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.pages.conftest import Site
from crm_pipelines_tests.integration.pages.test_pages import fail

pytestmark = pytest.mark.browser

# What is wider than its place, so that people would have to scroll sideways.
_WIDER = """[document.documentElement, ...document.querySelectorAll('.wide')]
.filter(e => e.scrollWidth > e.clientWidth && !e.closest('details:not([open])')).map(e => e.ariaLabel ?? 'the page')"""


def sign_in(page: Page, site: Site) -> None:
    page.goto(site.root)
    page.get_by_label("Token").fill(site.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_sign_in_find_select_and_retry(site: Site, people: People, page: Page) -> None:
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    people.add(email="ada@example.com", name="Ada Lovelace", select=False)
    fail(people, 2)
    sign_in(page, site)

    page.get_by_label("Find a contact").fill("ada@example.com")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    page.get_by_role("link", name="Select … (Brevo)", exact=True).click()
    page.get_by_role("button", name="Select", exact=True).click()
    expect(page.get_by_text("Queued for Brevo. The next run takes it")).to_be_visible()
    page.get_by_role("button", name="Compare with Brevo now").click()
    expect(page.get_by_text("It holds no contact")).to_be_visible()
    page.get_by_text("More for Brevo").click()
    page.get_by_role("link", name="Unselect … (Brevo)", exact=True).click()
    page.get_by_role("button", name="Unselect", exact=True).click()
    expect(page.get_by_text("Not in Brevo: not selected.")).to_be_visible()

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Retry these … (outage)").click()
    page.get_by_role("button", name="Retry 2 contacts").click()
    expect(page.get_by_text("2 contacts were put back")).to_be_visible()
    assert people.states() == {"queued": 2, "unselected": 1}
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_focused()
    assert troubles == []


def test_the_cookie_of_the_pages_own_name_goes_to_no_other_program_of_this_machine(site: Site, page: Page) -> None:
    cookies: list[str | None] = []

    def look(request: Request) -> PlainTextResponse:
        cookies.append(request.headers.get("cookie"))
        return PlainTextResponse("")

    port = site.root.rpartition(":")[2]
    page.goto(site.root)
    page.get_by_role("link", name=f"http://{STATUS_PAGE_NAME}:{port}").click()
    page.get_by_label("Token").fill(site.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page).to_have_url(f"http://{STATUS_PAGE_NAME}:{port}/")
    with serving(Starlette(routes=[Route("/", look)])) as other:
        page.goto(other)
        page.goto(other.replace("127.0.0.1", "localhost"))
    assert cookies == [None, None]


def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone_and_a_laptop(
    site: Site, people: People, page: Page
) -> None:
    [contact] = people.add(name="Ada Lovelace", phone_number="nonsense")
    people.add(select=False, email="a.rather.long.address.of.somebody.with.a.long.name@example.com")
    fail(people, 2)
    people.run(
        "INSERT INTO crm_queue_depths SELECT 'brevo', date_trunc('minute', now()) - n * interval '1 hour', n, 1, 1 "
        "FROM generate_series(0, 20) n"
    )
    page.goto(site.root)
    found = violations(page, "/sign-in")
    sign_in(page, site)
    paths = ("/", "/contacts", f"/contacts/{contact}", f"/contacts/{contact}/unselect?crm=brevo", "/retry?crm=brevo")
    for path in (*paths, "/contacts/7"):
        page.goto(site.root + path)
        found += violations(page, path)
    people.run("UPDATE crm_syncs SET last_error = repeat('A reason, ', 40) || repeat('x', 200)")
    people.add(name="A" * 300, email=f"{'b' * 60}@{'c' * 60}.{'d' * 60}.example")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for path in (*paths, "/sign-in"):
            page.goto(site.root + path)
            assert page.evaluate(_WIDER) == [], (path, width)
            found += violations(page, f"{path} at {width}") if width == 390 else []
    assert found == []


def violations(page: Page, path: str) -> list[str]:
    """What axe objects to on the page; in the dark only colours differ."""
    found = []
    schemes: list[tuple[Literal["light", "dark"], dict[str, list[str]]]] = [
        ("light", {}),
        ("dark", {"runOnly": ["color-contrast"]}),
    ]
    for scheme, options in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results = Axe().run(page, options=options)
        found += [
            f"{path}, {scheme}: {one['id']} {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in results.response["violations"]
        ]
    return found
