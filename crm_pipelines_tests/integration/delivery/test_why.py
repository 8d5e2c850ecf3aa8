"""What is told beforehand of a delivery is what the delivery does; what the CRM is said to hold is what it holds."""

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.contacts.story import story
from crm_pipelines.delivery import why as what
from crm_pipelines.delivery.why import LiveComparison, Preview, Why
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.contacts.states import add_contact
from crm_pipelines_tests.integration.delivery.conftest import Delivery

EMAIL = "ada@example.com"


def add(engine: sa.Engine, **columns: object) -> None:
    with engine.begin() as connection:
        add_contact(connection, EMAIL, **columns)
    select(engine, "brevo", Who(everyone=True))


def told_of(delivery: Delivery, email: str) -> Why:
    found = story(delivery.engine, email)
    previewed, held = what.preview(delivery.engine, delivery.crm, found.id), what.look(delivery.account, found.id)
    assert previewed
    assert held
    return Why(story=found, previews=(previewed,), live=(held,))


def preview(delivery: Delivery) -> Preview:
    return told_of(delivery, EMAIL).previews[0]


def held(delivery: Delivery) -> LiveComparison:
    told = told_of(delivery, EMAIL)
    assert json.loads(json.dumps(told.as_dict()))["live"][0]["crm"] == "brevo"
    return told.live[0]


def deliver(delivery: Delivery) -> None:
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 1}


def test_what_is_not_sent_is_told_with_the_reason(engine: sa.Engine, delivery: Delivery) -> None:
    add(
        engine,
        name="Ada Lovelace",
        phone_number="not a number",
        context="met at a fair",
        custom_fields={"Ö": 1, "!": 2},
    )
    told = preview(delivery)
    lines = {line.source: line for line in told.lines}
    assert (lines["first_name"].attribute, lines["first_name"].value) == ("FIRSTNAME", "Ada")
    assert lines["phone_number"].remark == "left out: not a phone number"
    assert lines["context"].remark == "not sent: the mapping names no attribute for it"
    assert lines["custom_fields.Ö"].attribute == "O"
    assert (lines["custom_fields.!"].value, lines["custom_fields.!"].attribute) == (None, None)
    assert lines["page_id"].value is None
    assert told.verdict == "send"


def test_what_would_be_sent_is_what_is_sent(engine: sa.Engine, delivery: Delivery, brevo_sandbox: BrevoSandbox) -> None:
    add(engine, name="Ada Lovelace", phone_number="+12025550143")
    told = preview(delivery)
    assert told.says == "The address and 3 attributes."
    deliver(delivery)
    at_brevo = brevo_sandbox.contact(EMAIL)
    assert at_brevo
    sent = {line.attribute: line.value for line in told.lines if line.value is not None and line.attribute != "SMS"}
    assert sent == {name: at_brevo["attributes"][name] for name in sent}
    assert preview(delivery).verdict == "unchanged"


def test_a_value_that_is_gone_is_told_to_be_cleared(engine: sa.Engine, delivery: Delivery, people: People) -> None:
    add(engine, name="Ada Lovelace")
    deliver(delivery)
    people.run("UPDATE contacts SET name = 'Ada'")
    assert preview(delivery).cleared == ("LASTNAME",)


def test_a_contact_without_a_valid_address_is_told_to_be_unsendable(
    engine: sa.Engine, delivery: Delivery, people: People
) -> None:
    add(engine)
    people.run("UPDATE contacts SET email = 'nonsense'")
    told = told_of(delivery, "nonsense")
    assert told.previews[0].verdict == "skipped"
    assert told.live[0].says == "Not asked: The e-mail address is not valid: correct it."


def test_the_crm_is_compared_field_by_field(engine: sa.Engine, delivery: Delivery, brevo_sandbox: BrevoSandbox) -> None:
    add(engine, name="Ada Lovelace", phone_number="+12025550143")
    assert held(delivery).found is False
    deliver(delivery)
    same = held(delivery)
    assert (same.found, same.says) == (True, "It holds what a delivery would send.")
    assert {one.attribute: one.same for one in same.fields}["SMS"], "phones are compared in one normal form"

    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE contacts SET name = 'Ada Byron'"))
    different = held(delivery)
    assert different.says == "It differs in LASTNAME."
    assert [(one.ours, one.theirs) for one in different.fields if one.same is False] == [("Byron", "Lovelace")]


def test_a_contact_that_keeps_a_shops_mark_of_our_form_is_found_and_read_back(
    engine: sa.Engine, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": EMAIL, "ext_id": "0c446fae-f86e-47b6-9a19-f613f4ad0c06"})
    add(engine, name="Ada Lovelace")
    deliver(delivery)
    assert held(delivery).says == "It holds what a delivery would send."
    reader = delivery.account.fidelity_reader()
    assert reader is not None
    read = reader.read(datetime.now(UTC) - timedelta(days=1), 9)
    assert (read.compared, read.low) == (1, [])


def test_a_crm_that_does_not_answer_is_told_as_that(
    engine: sa.Engine, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    add(engine)
    brevo_sandbox.fault("status", status=503)
    told = held(delivery)
    assert (told.found, told.fields) == (None, ())
    assert told.says.startswith("No answer. ")


def test_to_ask_takes_turns_from_the_gate(engine: sa.Engine, delivery: Delivery, people: People) -> None:
    add(engine)
    query = "SELECT next_slot_at FROM crm_gates WHERE crm = 'brevo'"
    before = people.all(query)[0]["next_slot_at"]
    held(delivery)
    assert people.all(query)[0]["next_slot_at"] > before
