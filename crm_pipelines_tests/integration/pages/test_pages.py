"""What the status page shows is so, what it changes is changed and written down, and nothing personal is in a URL."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm_pipelines.api.pages import contacts, exporting
from crm_pipelines.contacts.enriching import Offer
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.contacts.messages import FOUND, tell
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put
from crm_pipelines_tests.integration.pages.conftest import Site, Visitor

ATTEMPT = sa.text(
    "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, http_status, message, started_at) "
    "VALUES (:id, 'brevo', :claim_no, 'run-1', 1, :outcome, 400, :message, now())"
)


def fail(people: People, count: int = 1, kind: str = "outage") -> None:
    people.add(count, name=kind)
    people.run(
        "UPDATE crm_syncs s SET state = 'failed', attempts = 4, last_error_kind = :kind, last_error = 'HTTP 503' "
        "FROM crm_contacts c WHERE c.id = s.contact_id AND c.name = :kind",
        kind=kind,
    )


def test_a_setting_that_is_refused_is_shown_as_that(operator: Visitor, people: People) -> None:
    GateKeeper(people.engine, "brevo").close("Set BREVO_LIST_ID.", "fingerprint", "settings")
    text = operator.get("/").text
    assert "Stopped: a setting is refused" in text
    assert "Set BREVO_LIST_ID." in text
    assert "Brevo refuses us" not in text


def test_the_overview_shows_each_status_the_gate_and_the_errors(operator: Visitor, people: People) -> None:
    people.add(3)
    fail(people, 2)
    GateKeeper(people.engine, "brevo").close("The key was refused.", "fingerprint")
    with people.engine.begin() as connection:
        connection.execute(ATTEMPT, {"id": people.add()[0], "claim_no": 1, "outcome": "rejected", "message": "no"})
    text = operator.get("/").text
    tiles = dict(re.findall(r'status=(\w+)"><b class="\w*">(\d+)</b>', text))
    assert tiles == {"Complete": "0", "Selected": "4", "Queued": "0", "Error": "2", "Skipped": "0", "New": "0"}
    assert "Stopped: Brevo refuses us" in text
    assert "The key was refused." in text
    assert "0 delivered, 1 failed" in text
    assert "<code>outage</code>" in text
    for span in ("week", "month"):
        assert operator.get(f"/?span={span}").ok


def test_the_overview_and_a_contact_tell_how_long_it_took_from_an_edit_to_the_crm(
    operator: Visitor, people: People
) -> None:
    [contact_id] = people.add()
    assert "From an edit or a selection to" not in operator.get("/").text
    with people.engine.begin() as connection:
        connection.execute(ATTEMPT, {"id": contact_id, "claim_no": 1, "outcome": "synced", "message": None})
    people.run("UPDATE crm_attempts SET wanted_since = finished_at - interval '72 seconds'")
    said = re.sub(r"<[^>]+>", "", operator.get("/").text)
    assert (
        "From an edit or a selection to Brevo, in the last hour: 50 % within 72 s, 95 % within 72 s, 99 % within 72 s "
        "(1 delivery)." in said
    )
    assert "at the CRM 72 s after the change" in operator.get(f"/contacts/{contact_id}").text


def test_the_overview_says_that_the_database_was_restored_and_what_opens_the_gate(
    operator: Visitor, people: People
) -> None:
    people.add()
    people.run("UPDATE crm_gates SET home = 'where the dump was made'")
    text = operator.get("/").text
    assert "Stopped: the database was restored" in text
    assert "crm-pipelines gate open brevo" in text


def test_without_contacts_the_pages_say_how_to_bring_some_in(operator: Visitor) -> None:
    assert "contacts import FILE --select brevo" in operator.get("/").text
    assert "There are no contacts yet." in operator.get("/contacts").text
    assert "There are no contacts yet. Bring some in" in operator.get("/").text


def test_retry_shows_the_count_first_and_then_does_it(operator: Visitor, people: People) -> None:
    fail(people, 3, "outage")
    fail(people, 2, "rejected")
    assert "Retry 3 contacts" in operator.get("/retry?crm=brevo&kind=outage").text
    assert people.states() == {"failed": 5}, "to look changes nothing"
    after = operator.send("/retry", {"crm": "brevo", "kind": "outage"})
    assert "3 contacts were put back" in after.text
    assert people.states() == {"queued": 3, "failed": 2}
    assert "Retry 2 contacts" in operator.get("/retry?crm=brevo").text
    assert written(people) == [("retry", 3)]


LACKS = "Brevo has no attribute for 1 field: SHOE_SIZE (Shoe size, 2 contacts)."


@pytest.fixture
def waiting(people: People) -> GateKeeper:
    """Brevo's gate, which waits for an attribute that the account lacks."""
    gate = GateKeeper(people.engine, "brevo")
    people.run("UPDATE crm_gates SET account = 'ours', accepted_account = NULL WHERE crm = 'brevo'")
    gate.wait_for_attributes(LACKS, "mapping-1")
    return gate


def test_sending_without_what_the_account_lacks_is_asked_first_then_done_and_written_down(
    operator: Visitor, people: People, waiting: GateKeeper
) -> None:
    overview = operator.get("/").text
    assert LACKS in overview
    assert 'href="/send-without?crm=brevo"' in overview
    assert LACKS in operator.get("/send-without?crm=brevo").text
    assert waiting.read().waits_for_attributes, "to look changes nothing"
    assert "Send without them" not in operator.send("/send-without", {"crm": "brevo", "lacks": LACKS}).text
    gate = waiting.read()
    assert (gate.paused, gate.accepts("mapping-1"), gate.accepts("mapping-2")) == (False, True, False)
    assert written(people) == [("send_without", 0)]
    assert "does not wait for attributes" in operator.get("/send-without?crm=brevo").text


def test_what_is_lacking_by_now_is_shown_anew_and_not_accepted(
    operator: Visitor, people: People, waiting: GateKeeper
) -> None:
    operator.get("/send-without?crm=brevo")
    waiting.wait_for_attributes("Brevo has no attribute for 7 fields.", "mapping-1")
    assert "7 fields" in operator.send("/send-without", {"crm": "brevo", "lacks": LACKS}).text
    assert waiting.read().waits_for_attributes
    assert people.all("SELECT 1 FROM crm_api_writes") == []


def test_the_overview_says_how_many_fields_do_not_arrive(operator: Visitor, people: People) -> None:
    [contact] = people.add()
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision, left_out = '{CITY}'")
    warning = "custom_fields.City left out: Brevo has no attribute CITY"
    people.run(
        "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, warnings, started_at) "
        "VALUES (:id, 'brevo', 1, 'run-1', 1, 'synced', ARRAY[:warning], now())",
        id=contact,
        warning=warning,
    )
    text = operator.get("/").text
    assert "1 field of 1 contact does not arrive at Brevo; everything else of it does." in text
    assert "custom_fields.City: Brevo has no attribute CITY" in text


def test_a_contact_is_found_by_address_name_and_id_and_its_address_is_in_no_url(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(email="ada@example.com", name="Ada Lovelace", select=False)
    people.add(email="grace@example.com", name="Grace Hopper", select=False)
    operator.get("/")
    for text in ("ADA@example.com ", str(contact)):
        found = operator.send("/contacts", {"text": text})
        assert found.url.endswith(f"/contacts/{contact}")
        urls = "".join(one.url for one in [*found.history, found]).lower()
        assert [word for word in ("ada@", "ada%40", "example.com") if word in urls] == []
    by_name = operator.send("/contacts", {"text": "lovelace"})
    assert "ada@example.com" in by_name.text
    assert "grace@example.com" not in by_name.text
    assert "No contact matches." in operator.send("/contacts", {"text": "%' OR 1=1 --"}).text


def test_a_long_list_is_shown_page_by_page_and_nothing_twice(operator: Visitor, people: People) -> None:
    people.add(60, select=False)
    operator.get("/")
    first = operator.send("/contacts", {"domain": "example.com"}).text
    place = dict(re.findall(r'name="(after|after_created_at)" value="([^"]+)"', first))
    second = operator.send("/contacts", {"domain": "example.com", **place}).text
    shown = [set(re.findall(r'href="/contacts/([0-9a-f-]{36})"', one)) for one in (first, second)]
    assert [len(one) for one in shown] == [50, 10]
    assert not shown[0] & shown[1]


def test_of_those_who_have_a_frequent_text_no_more_than_some_are_counted(
    operator: Visitor, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "_MOST_COUNTED", 2)
    people.add(3, select=False)
    operator.get("/")
    text = operator.send("/contacts", {"text": "example.com"}).text
    assert "At least 2 contacts, the oldest first" in text
    assert len(set(re.findall(r'href="/contacts/[0-9a-f-]{36}"', text))) == 3, "all are listed"
    assert "3 contacts, the oldest first" in operator.send("/contacts", {"domain": "example.com"}).text


def test_the_filtered_list_is_downloaded_without_formulas(
    operator: Visitor, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PAGE", 2)
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx", "plain, with a comma", "x; =1+1", "a\n-b", "a-b;c\r\nd"]
    for number, name in enumerate(names):
        people.add(email=f"person{number}@example.org", name=name, select=False)
    people.add(email="other@example.com", select=False)
    operator.get("/")
    answer = operator.send("/contacts.csv", {"domain": "example.org"})
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts-brevo.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    safe = [*(f"'{name}" for name in names[:5]), names[5], "x; '=1+1", "a\n'-b", names[8]]
    assert [row["name"] for row in rows] == safe
    assert {row["sync_status"] for row in rows} == {"New"}
    assert written(people) == [("export", 9)]


def test_a_download_that_cannot_be_written_down_is_none(operator: Visitor, people: People) -> None:
    people.add(email="ada@example.org", select=False)
    operator.get("/")
    people.run("ALTER TABLE crm_api_writes ADD CONSTRAINT nothing_goes_in CHECK (false) NOT VALID")
    try:
        answer = operator.send("/contacts.csv", {})
    finally:
        people.run("ALTER TABLE crm_api_writes DROP CONSTRAINT nothing_goes_in")
    assert answer.status_code == 500
    assert "ada@example.org" not in answer.text


def test_decisions_about_a_contact_are_carried_out_and_written_down(operator: Visitor, people: People) -> None:
    [contact] = people.add(select=False)
    operator.get(f"/contacts/{contact}")
    selected = operator.decide(contact, "select").text
    assert "Queued for Brevo. The next run takes it, in 5 minutes at the latest." in selected
    assert "Waiting for Brevo since" in selected
    people.run("UPDATE crm_syncs SET attempts = 1, run_at = now() + interval '1 hour', last_error_kind = 'outage'")
    assert "Queued for Brevo." in operator.decide(contact, "retry").text
    again = operator.decide(contact, "retry").text
    assert "Queued for Brevo already. The next run takes it" in again
    unselected = operator.decide(contact, "unselect").text
    assert "Unselected. Nothing of this contact goes to Brevo any more." in unselected
    assert "Not in Brevo: not selected." in unselected
    assert written(people) == [("select", 1), ("retry", 1), ("retry", 0), ("unselect", 1)]
    suppressed = operator.decide(contact, "suppress").text
    assert "From now on it is never sent to Brevo." in suppressed
    assert "Never sent to Brevo, by a decision of operator at" in suppressed
    assert f"/contacts/{contact}/unselect" not in suppressed
    assert "Lifted." in operator.decide(contact, "unsuppress").text
    assert written(people)[4:] == [("suppress", 1), ("unsuppress", 1)]


def test_what_was_decided_otherwise_since_the_page_was_seen_stays_decided(operator: Visitor, people: People) -> None:
    [objects, may_have_arrived] = people.add(2)
    operator.get(f"/contacts/{objects}/unselect?crm=brevo")
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)], 'by letter', 'maria')", id=objects)
    told = operator.send(f"/contacts/{objects}/unselect", {"crm": "brevo", "offer": "Unselect"}).text
    assert "Nothing was changed at Brevo: it stood otherwise by then." in told
    assert "Never sent to Brevo, by a decision of maria" in told
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'unknown' WHERE contact_id = :id", id=may_have_arrived
    )
    for action, offer in (("retry", "Retry now"), ("select", "Send again")):
        told = operator.send(f"/contacts/{may_have_arrived}/{action}", {"crm": "brevo", "offer": offer}).text
        assert "Nothing was changed at Brevo: it stood otherwise by then." in told
    assert people.states() == {"skipped": 1, "failed": 1}


def test_what_is_said_to_have_been_done_is_true_when_the_page_is_loaded_again(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add()
    done = operator.decide(contact, "unselect").url.removeprefix(operator.root)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact)
    told = operator.get(done).text
    assert "That was done at Brevo. By now it stands otherwise." in told
    assert "Nothing of it goes" not in told


def written(people: People) -> list[tuple[str, int]]:
    """The audit log: all of it by the operator."""
    rows = people.all("SELECT w.*, t.name FROM crm_api_writes w JOIN crm_tokens t ON t.id = w.token_id ORDER BY w.id")
    assert {row["name"] for row in rows} == {"operator"}
    return [(row["action"], row["contacts"]) for row in rows]


def test_the_contact_page_tells_the_story_and_what_the_crm_holds(
    operator: Visitor, engine: sa.Engine, brevo_sandbox: BrevoSandbox
) -> None:
    with engine.begin() as connection:
        contact = add_contact(connection, name="Ada Lovelace", phone_number="nonsense")
        put(connection, contact, "rejected")
        said = {"id": contact, "claim_no": 1, "outcome": "rejected", "message": "Invalid phone number"}
        connection.execute(ATTEMPT, said)
    brevo_sandbox.seed({"email": "ada@example.com", "attributes": {"FIRSTNAME": "Augusta"}})
    text = operator.get(f"/contacts/{contact}").text
    for words in (
        "Not in Brevo: failed. Brevo said: Invalid phone.",
        "Invalid phone number",
        "left out: not a phone number",
        "LASTNAME",
    ):
        assert words in text
    compared = operator.send(f"/contacts/{contact}/compare", {"crm": "brevo"}).text
    assert "It differs in FIRSTNAME, LASTNAME." in compared
    assert "Augusta" in compared


def test_what_a_decision_would_do_is_told_before_it_is_carried_out(
    operator: Visitor, site: Site, people: People
) -> None:
    fail(people)
    [contact] = (row["contact_id"] for row in people.all("SELECT contact_id FROM crm_syncs"))
    text = operator.get(f"/contacts/{contact}").text
    offered = re.findall(rf'class="button tiny( main)?" href="(/contacts/{contact}/\w+\?crm=brevo)"', text)
    assert [(main, path.split("/")[-1]) for main, path in offered] == [
        (" main", "retry?crm=brevo"),
        ("", "unselect?crm=brevo"),
        ("", "suppress?crm=brevo"),
    ]
    for _, path in offered:
        told = operator.get(path).text
        assert "Not in Brevo: failed. The reason: HTTP 503." in told
        assert f'action="/contacts/{contact}/' in told
    assert people.states() == {"failed": 1}, "to look changes nothing"
    assert "It goes back into the queue, and all its tries count anew." in operator.get(offered[0][1]).text
    assert "the contact has changed meanwhile" in operator.get(f"/contacts/{contact}/unsuppress?crm=brevo").text
    reader = site.visitor(site.reading_token)
    assert "can only read" in reader.get(f"/contacts/{contact}").text
    assert "can only read" in reader.get(offered[0][1]).text
    assert '<form class="row"' not in reader.get(offered[0][1]).text


def test_who_has_a_button_is_told_no_command(operator: Visitor, engine: sa.Engine) -> None:
    for state in (None, *STATES):
        with engine.begin() as connection:
            contact = add_contact(connection, f"{state}@example.com")
            put(connection, contact, state)
        answers = operator.get(f"/contacts/{contact}").text.split('aria-labelledby="attempts"')[0]
        assert "crm-pipelines " not in re.sub(r"<title>.*?</title>", "", answers), state


def test_sending_that_stands_still_is_told_to_a_contact_that_waits_for_it(operator: Visitor, people: People) -> None:
    [waiting] = people.add()
    GateKeeper(people.engine, "brevo").close("The key was refused.", "fingerprint")
    text = operator.get(f"/contacts/{waiting}").text
    assert re.search(r"Waiting for Brevo since \d\d:\d\d UTC\.", text)
    assert "Brevo refuses us. Nothing is sent; contacts wait, and no try is used up." in text
    [delivered] = people.add(select=False)
    with people.engine.begin() as connection:
        put(connection, delivered, "synced", synced_at=sa.text("now()"))
    assert "Brevo refuses us" not in operator.get(f"/contacts/{delivered}").text


def test_the_contact_is_linked_in_the_pages_of_the_account_that_has_it_and_not_of_a_sandbox(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(select=False)
    with people.engine.begin() as connection:
        put(connection, contact, "synced", synced_at=sa.text("now()"))
    link = "https://app.brevo.com/contact/index/42"
    people.run("UPDATE crm_gates SET account = 'an-account'")
    text = operator.get(f"/contacts/{contact}").text
    assert f'href="{link}"' in text
    assert "(number 42)" in text
    people.run("UPDATE crm_gates SET account = 'sandbox'")
    assert link not in operator.get(f"/contacts/{contact}").text


def test_crms_that_are_not_set_up_are_not_told_of_a_contact_that_was_never_selected_for_them(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add()
    text = operator.get(f"/contacts/{contact}").text
    assert text.count('class="crm"') == 1


def test_what_a_contact_is_called_is_text_and_nothing_else(operator: Visitor, people: People) -> None:
    [contact] = people.add(name="<script>alert(1)</script>")
    for path in ("/contacts", f"/contacts/{contact}"):
        text = operator.get(path).text
        assert "<script" not in text
        assert "&lt;script&gt;" in text


@pytest.mark.parametrize("blank", ["   ", "\N{ZERO WIDTH SPACE}", "\t"])
def test_whoever_is_called_nothing_can_be_seen_and_pressed(operator: Visitor, people: People, blank: str) -> None:
    [nameless, nobody] = people.add(name=blank) + people.add(name=blank, email=blank)
    assert re.search(r"<h1>person0-\d+@example.com</h1>", operator.get(f"/contacts/{nameless}").text)
    assert "<h1>(no name)</h1>" in operator.get(f"/contacts/{nobody}").text
    assert ">(no address)</a>" in operator.get("/contacts").text


def test_no_page_needs_a_script_or_a_style_of_its_own(operator: Visitor, people: People) -> None:
    fail(people)
    for path in ("/", "/contacts", f"/contacts/{people.add()[0]}", "/retry?crm=brevo", "/sign-in"):
        answer = operator.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy
        assert not re.search(r"<style|style=|\son\w+=|https?://(?!127)", answer.text)


def test_what_is_wrong_is_a_page_that_says_so(operator: Visitor) -> None:
    wrong = {
        f"/contacts/{uuid4()}": 404,
        "/contacts/7": 422,
        "/?span=year": 422,
        "/retry?crm=salesforce": 422,
        "/retry?crm=brevo&kind=nonsense": 422,
        "/retry?crm=brevo&kind=%00": 422,
    }
    for path, status in wrong.items():
        answer = operator.get(path)
        assert answer.status_code == status, path
        assert "That did not work" in answer.text, path
    operator.get("/")
    for name, value in [("status", "Nowhere"), ("since", "yesterday"), ("after", "7"), ("text", "\x00"), ("crm", "x")]:
        answer = operator.send("/contacts", {name: value})
        assert answer.status_code == 422, name
        assert "That did not work" in answer.text, name
    assert operator.send("/contacts", {"text": "a" * 100_000}).status_code == 422


def test_contacts_are_filtered_by_when_they_came(operator: Visitor, people: People) -> None:
    people.add(email="old@example.com", created_at=datetime.now(UTC) - timedelta(days=9), select=False)
    people.add(email="new@example.com", select=False)
    operator.get("/")
    since = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    text = operator.send("/contacts", {"since": since}).text
    assert "new@example.com" in text
    assert "old@example.com" not in text


def test_who_may_have_arrived_is_left_alone_by_retry_all_and_decided_about_by_its_kind(
    operator: Visitor, people: People
) -> None:
    fail(people, 2, "outage")
    fail(people, 1, "unknown")
    [unknown] = people.all("SELECT contact_id FROM crm_syncs WHERE last_error_kind = 'unknown'")
    text = operator.get("/retry?crm=brevo").text
    assert "Retry 2 contacts" in text
    assert "1 more may have arrived and stays as it is" in text
    operator.send("/retry", {"crm": "brevo", "kind": ""})
    assert people.states() == {"queued": 2, "failed": 1}
    assert "Look there first" in operator.get("/retry?crm=brevo&kind=unknown").text
    page = operator.get(f"/contacts/{unknown['contact_id']}").text
    assert "no answer came. It is not sent again by itself." in page
    assert "Send again" in page
    operator.decide(unknown["contact_id"], "retry")
    assert people.states() == {"queued": 3}


def test_the_contacts_page_shows_what_a_workflow_found_and_what_of_it_was_taken(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add(custom_fields='{"company": "Engines <Ltd>"}')
    kept = Offer(field="custom_fields.company", value="Other")
    facts: dict[str, Any] = {
        "confidence": 85,
        "sources": ["registry"],
        "cost_estimate": 0.15,
        "enrichment_id": "execution-7",
    }
    found = {"phone": "+12025550143", "address": {"city": "Paris"}, "additional_emails": ["a@x.example", "b@x.example"]}
    tell(people.engine, contact, FOUND, kept, metadata={"source": "enrich"}, found=found, **facts)
    tell(people.engine, contact, status="failed", error="the <registry> did not answer")
    text = operator.get(f"/contacts/{contact}").text
    assert "What workflows found" in text
    assert "Filled in <code>phone_number</code>." in text
    assert "Left <code>custom_fields.company</code> as it was: it has another value." in text
    assert "sources: registry; by enrich; confidence 85 of 100; cost 0.15; message <code>execution-7</code>" in text
    assert '<th scope="row">address.city</th><td>Paris</td>' in text
    assert "<td>a@x.example, b@x.example</td>" in text
    assert "the &lt;registry&gt; did not answer" in text
    assert "nothing has come back since" not in text


def test_a_workflow_that_never_told_anything_is_seen(operator: Visitor, people: People) -> None:
    [contact] = people.add(select=False)
    with people.engine.begin() as connection:
        put(connection, contact, "synced", crm="n8n", synced_at=sa.text("now() - interval '200 min'"))
    assert "3 h ago; nothing has come back since." in operator.get(f"/contacts/{contact}").text
    assert "nothing has come back" not in operator.get("/").text, "it may be there for something else"
    tell(people.engine, people.add()[0])
    assert "1 contact was sent to n8n more than an hour ago" in operator.get("/").text
