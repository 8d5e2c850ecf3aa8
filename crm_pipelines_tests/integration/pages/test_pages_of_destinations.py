"""The status page with two accounts of one CRM: shows and changes the right one, and says where nobody delivers."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.api import Served, api_settings, served_on_own_database
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.contacts.states import add_contact, put
from crm_pipelines_tests.integration.pages.conftest import Visitor


@pytest.fixture(scope="module")
def _served(
    postgres_server: EmbeddedPostgres, _template: str, brevo_sandbox_server: str, _second_server: str
) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
        environment.setenv("BREVO_API_KEY", API_KEY)
        environment.setenv("BREVO_API_BASE_URL", f"{brevo_sandbox_server}/v3")
        environment.setenv("BREVO_EU_API_KEY", "xkeysib-of-the-second-account")
        environment.setenv("BREVO_EU_API_BASE_URL", f"{_second_server}/v3")
        settings = api_settings()
    with served_on_own_database(postgres_server, _template, settings) as served:
        yield served


@pytest.fixture
def eu_sandbox(_second_server: str) -> Iterator[BrevoSandbox]:
    sandbox = BrevoSandbox(_second_server)
    sandbox.reset()
    yield sandbox
    sandbox.close()


def in_state(engine: sa.Engine, state: str, crm: str, **columns: Any) -> UUID:
    """A contact in this state at `crm`, written by SQL as a former version could."""
    with engine.begin() as connection:
        contact = add_contact(connection, f"{state}.{crm}@example.com", name=f"{state} at {crm}")
        put(connection, contact, state, crm=crm, **columns)
    return contact


def section(text: str, crm: str) -> str:
    """Of the overview."""
    found = re.search(rf'<section class="sheet stack" aria-labelledby="{crm}">.*?</section>', text, re.DOTALL)
    return found[0] if found else ""


def states(people: People) -> dict[str, str]:
    return {row["crm"]: row["state"] for row in people.all("SELECT crm, state FROM crm_syncs")}


def test_the_overview_has_the_figures_of_each_destination_under_its_own_name(
    operator: Visitor, engine: sa.Engine
) -> None:
    in_state(engine, "queued", "brevo")
    in_state(engine, "failed", "brevo_eu")
    in_state(engine, "rejected", "brevo_eu")
    text = operator.get("/").text
    assert re.findall(r"<h2 [^>]*>(.*?)</h2>", text) == ["Brevo", "Brevo (brevo_eu)"]
    for crm, errors in (("brevo", 0), ("brevo_eu", 2)):
        found = re.search(rf'crm={crm}&amp;status=Error"><b class="\w*">(\d+)', section(text, crm))
        assert found
        assert int(found[1]) == errors
    assert "/retry?crm=brevo_eu&amp;kind=rejected" in section(text, "brevo_eu")
    assert "/retry?" not in section(text, "brevo")
    assert "Retry all failed contacts at Brevo (brevo_eu)?" in operator.get("/retry?crm=brevo_eu").text


def test_the_overview_says_once_that_contacts_wait_for_what_is_not_set_up(operator: Visitor, engine: sa.Engine) -> None:
    assert "Mautic" not in operator.get("/").text
    in_state(engine, "queued", "mautic")
    in_state(engine, "waiting", "mautic")
    text = operator.get("/").text
    told = section(text, "mautic")
    assert "Mautic is not set up, so nothing is sent there. 2 contacts are due." in told
    assert "Mautic is no destination here: CRM_DESTINATIONS names brevo, brevo_eu only." in told
    assert "Open," not in told
    assert "on its way" not in told
    assert text.count("contacts are due") == 1
    assert "HubSpot" not in text


def test_who_is_never_sent_anywhere_brings_no_crm_onto_the_overview(operator: Visitor, people: People) -> None:
    [contact] = people.add()
    people.run("SELECT crm_suppress(crm, ARRAY[CAST(:id AS uuid)], 'asked for it') FROM crm_gates", id=contact)
    assert re.findall(r"<h2 [^>]*>(.*?)</h2>", operator.get("/").text) == ["Brevo", "Brevo (brevo_eu)"]


def test_every_part_of_a_page_has_a_name_of_its_own(operator: Visitor, engine: sa.Engine) -> None:
    contact = in_state(engine, "failed", "brevo_eu")
    for path in ("/", f"/contacts/{contact}"):
        text = operator.get(path).text
        for name in (r'\bid="([^"]+)"', r'role="region" aria-label="([^"]+)"'):
            found = re.findall(name, text)
            assert sorted(set(found)) == sorted(found), path


def test_a_decision_on_the_page_is_about_the_destination_beside_which_it_stands(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(select=False)
    text = operator.get(f"/contacts/{contact}").text
    assert text.count('class="crm"') == 1, "who was never selected for a CRM needs no block for it"
    assert 'select …<span class="hidden"> for Brevo (brevo_eu)</span>' in text
    operator.decide(contact, "select", "brevo_eu")
    assert states(people) == {"brevo_eu": "queued"}
    operator.decide(contact, "select")
    operator.decide(contact, "suppress", "brevo_eu")
    assert states(people) == {"brevo": "queued", "brevo_eu": "skipped"}
    people.run("UPDATE crm_syncs SET state = 'failed', attempts = 4, last_error_kind = 'outage'")
    assert "1 contact was put back" in operator.send("/retry", {"crm": "brevo_eu"}).text
    assert states(people) == {"brevo": "failed", "brevo_eu": "queued"}


def test_nobody_can_be_selected_for_what_is_not_set_up_and_who_was_can_be_taken_back(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(select=False)
    operator.get(f"/contacts/{contact}")
    answer = operator.send(f"/contacts/{contact}/select", {"crm": "mautic", "offer": "Select"})
    assert answer.status_code == 409
    assert "Mautic is no destination here: CRM_DESTINATIONS names brevo, brevo_eu only." in answer.text
    assert states(people) == {}
    before = in_state(people.engine, "failed", "mautic")
    text = operator.get(f"/contacts/{before}").text
    assert "Mautic is no destination here: CRM_DESTINATIONS names brevo, brevo_eu only." in text
    operator.decide(before, "unselect", "mautic")
    assert states(people) == {"mautic": "unselected"}
    assert "Mautic" not in operator.get(f"/contacts/{before}").text


def test_a_contact_that_is_delivered_where_nobody_delivers_any_more_is_not_offered_to_be_sent_again(
    operator: Visitor, engine: sa.Engine
) -> None:
    contact = in_state(engine, "synced", "hubspot", synced_at=datetime.now(UTC))
    text = operator.get(f"/contacts/{contact}").text
    assert re.findall(r">([^<]+) …<span class=\"hidden\"> \(HubSpot\)", text) == ["Unselect", "Never send"]


def test_the_list_and_its_csv_are_of_the_destination_that_is_chosen(operator: Visitor, engine: sa.Engine) -> None:
    in_state(engine, "failed", "brevo_eu")
    in_state(engine, "queued", "brevo")
    text = operator.get("/contacts?crm=brevo_eu&status=Error").text
    assert "failed.brevo_eu@example.com" in text
    assert "queued.brevo@example.com" not in text
    assert '<option value="brevo_eu" selected>Brevo (brevo_eu)</option>' in text
    assert "At Brevo (brevo_eu)" in text
    assert '<option value="brevo" selected>' in operator.get("/contacts").text, "the first, where none is chosen"
    answer = operator.send("/contacts.csv", {"crm": "brevo_eu", "status": "Error"})
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts-brevo_eu.csv"'
    [row] = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["crm"], row["sync_status"], row["email"]) == ("brevo_eu", "Error", "failed.brevo_eu@example.com")


def test_to_compare_asks_the_account_beside_which_it_stands_and_no_other(
    operator: Visitor, engine: sa.Engine, brevo_sandbox: BrevoSandbox, eu_sandbox: BrevoSandbox
) -> None:
    contact = in_state(engine, "queued", "brevo")
    eu_sandbox.seed({"email": "queued.brevo@example.com", "attributes": {"FIRSTNAME": "Bianca"}})
    assert "Compare with Brevo (brevo_eu) now" in operator.get(f"/contacts/{contact}").text
    text = operator.send(f"/contacts/{contact}/compare", {"crm": "brevo_eu"}).text
    assert "What Brevo (brevo_eu) holds now" in text
    assert "Bianca" in text
    assert "What Brevo holds now" not in text
    assert brevo_sandbox.requests() == []
    answer = operator.send(f"/contacts/{contact}/compare", {"crm": "hubspot"})
    assert answer.status_code == 409
