"""The status page with a CRM that can do nothing but take contacts."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crm_pipelines.crms import registry
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines.settings import KINDS
from crm_pipelines_tests.fixtures.api import Served, api_settings, served_on_own_database
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.postbox import join, postbox_server
from crm_pipelines_tests.integration.pages.conftest import Visitor


@pytest.fixture(scope="module")
def _served(postgres_server: EmbeddedPostgres, _template: str) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch, postbox_server() as box:
        patch.setitem(KINDS, "postbox", KINDS["brevo"])  # so that it is taken out again
        patch.setitem(vars(registry)["_MODULES"], "postbox", "")
        join()
        patch.setenv("CRM_DESTINATIONS", "postbox")
        patch.setenv("POSTBOX_API_KEY", "a-key")
        patch.setenv("POSTBOX_API_BASE_URL", box.url)
        with served_on_own_database(postgres_server, _template, api_settings()) as served:
            yield served


@pytest.fixture
def people(engine: sa.Engine) -> People:
    """Whose contacts go to the postbox."""
    return People(engine, "postbox")


def test_the_overview_and_the_list_show_it_like_any_other(operator: Visitor, people: People) -> None:
    people.add(email="ada@example.com")
    assert "Postbox" in operator.get("/").text
    assert "ada@example.com" in operator.get("/contacts?crm=postbox").text


def test_the_page_of_a_contact_shows_what_would_be_sent_and_says_that_there_is_nothing_to_compare_with(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(name="Ada")
    page = operator.get(f"/contacts/{contact}")
    assert page.ok
    assert "first_name" in page.text
    assert "Compare" not in page.text
    compared = operator.send(f"/contacts/{contact}/compare", {"crm": "postbox"})
    assert compared.ok
    assert "postbox does not show what it holds" in compared.text
    retried = operator.get("/retry?crm=postbox")
    assert retried.ok


def test_the_overview_reckons_with_as_many_contacts_as_go_in_one_request(operator: Visitor, people: People) -> None:
    people.add(3000)  # 100 in a request, 10 requests a second
    assert "3000 contacts are due for Postbox; at this pace they are delivered in 1 minute." in operator.get("/").text
