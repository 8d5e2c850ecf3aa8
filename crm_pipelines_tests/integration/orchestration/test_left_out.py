"""What the account does not take is not called sent: it is told, and goes once the account takes it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.delivery.account.preflight import provision_account
from crm_pipelines.delivery.single.courier import Courier
from crm_pipelines.delivery.why import preview
from crm_pipelines.destinations.attributes import AttributeStore
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.schedules import reason_to_wait
from crm_pipelines.orchestration.sync.tags import OUTCOME_TAG
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import load_settings
from crm_pipelines.statistics.left_out import values_left_out
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

LOOKS = "/contacts/attributes$"
MANY = 30


@pytest.fixture
def in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")


@pytest.fixture
def waiting(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox) -> Callable[[], str | None]:
    """Why a tick starts no run now; None if it does."""

    def ask() -> str | None:
        with Destination("brevo").open() as account:
            return reason_to_wait(account, instance)

    return ask


def add(people: People, number: int = 1, **custom: Any) -> None:
    for one in range(number):
        people.add(
            email=f"left{one}@example.com",
            name="Ada",
            phone_number=None,
            custom_fields=json.dumps(custom),
        )


def held(sandbox: BrevoSandbox, number: int = 0) -> dict[str, Any]:
    found = sandbox.contact(f"left{number}@example.com")
    assert found is not None
    return {name: value for name, value in found["attributes"].items() if name != "EXT_ID"}


def left_out(people: People) -> list[list[str]]:
    return [row["left_out"] for row in people.all("SELECT DISTINCT left_out FROM crm_syncs WHERE state = 'synced'")]


def numbered(*labels: str) -> list[dict[str, Any]]:
    return [{"value": value, "label": label} for value, label in enumerate(labels, start=1)]


def later(people: People) -> None:
    people.run("UPDATE crm_attributes SET looked_at = looked_at - interval '1 h'")


@pytest.mark.parametrize("number", [1, MANY])
@pytest.mark.usefixtures("in_bulk")
def test_values_of_a_file_arrive_in_the_types_of_the_account(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, number: int
) -> None:
    kinds = {"SCORE": "float", "NEWSLETTER": "boolean", "BIRTHDAY": "date", "CODE": "text"}
    brevo_sandbox.configure(attributes=kinds)
    labels = [{"value": 1, "label": "Mr"}, {"value": 2, "label": "Mrs"}]
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=labels)
    choices = ["Red", "Blue"]
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=choices)
    values = {"Score": "6", "Newsletter": "no", "Birthday": "05.04.1984", "Code": 1042}
    add(people, number, **values, Gender="Mrs", Colors="Red;Blue")
    assert pipeline.run().counts == {"claimed": number, "synced": number}
    assert len(brevo_sandbox.requests(path="/contacts/import$")) == (number > 1)
    assert len(brevo_sandbox.requests(method="POST", path="/contacts$")) == (number == 1), "each went once"
    expected = {"SCORE": 6, "NEWSLETTER": False, "BIRTHDAY": "1984-04-05", "CODE": "1042"}
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", **expected, "GENDER": 2, "COLORS": choices}
    assert left_out(people) == [[]]


@pytest.mark.parametrize("number", [1, MANY])
@pytest.mark.usefixtures("in_bulk")
def test_a_value_without_an_attribute_is_told_and_goes_once_it_is_created_by_hand(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, waiting: Callable[[], str | None], number: int
) -> None:
    add(people, number, City="Paris")
    assert pipeline.run().counts == {"claimed": number, "synced": number}
    assert left_out(people) == [["CITY"]]
    [row] = people.all("SELECT DISTINCT warnings, left_out, sent_attributes FROM crm_attempts")
    assert (row["left_out"], row["sent_attributes"]) == (["CITY"], ["FIRSTNAME"])
    assert "custom_fields.City left out: Brevo has no attribute CITY" in row["warnings"][0]
    assert waiting() == "Nothing is due."
    later(people)
    assert waiting() is None
    assert pipeline.run().counts == {}, "the account is as it was"
    assert waiting() == "Nothing is due.", "once an hour"
    brevo_sandbox.configure(attributes={"CITY": "text"})
    later(people)
    assert pipeline.run().counts == {"claimed": number, "synced": number}
    assert held(brevo_sandbox)["CITY"] == "Paris"
    assert left_out(people) == [[]]
    later(people)
    assert waiting() == "Nothing is due."


def test_what_keeps_a_value_from_being_sent_is_shown_by_why(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    brevo_sandbox.configure(attributes={"SCORE": "float"})
    add(people, City="Paris", Score="many")
    pipeline.run()
    found = story(engine, "left0@example.com")
    [standing] = [one for one in found.crms if one.crm == "brevo"]
    assert (standing.condition, standing.left_out) == ("delivered", ["CITY", "SCORE"])
    assert "without CITY, SCORE: the latest attempt says why" in standing.next
    mapper = mapper_of(load_settings(), "brevo")
    told = preview(engine, mapper, found.id)
    assert told
    assert told.verdict == "unchanged"
    remarks = {line.attribute: line.remark for line in told.lines}
    assert "Brevo has no attribute CITY" in (remarks["CITY"] or "")
    assert "SCORE at Brevo takes a number" in (remarks["SCORE"] or "")


def test_a_value_that_does_not_fit_is_not_tried_again_while_the_account_is_as_it_was(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"SCORE": "float"})
    add(people, Score="many")
    pipeline.run()
    later(people)
    assert pipeline.run().counts == {}
    brevo_sandbox.configure(attributes={"SCORE": "float", "OTHER": "text"})
    later(people)
    assert pipeline.run().counts == {"claimed": 1, "unchanged": 1}, "judged anew, and nothing sent for it"
    later(people)
    assert pipeline.run().counts == {}


def test_provision_queues_at_once_whom_it_concerns_and_nobody_else(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    add(people, City="Paris")
    people.add(name="Without a city", phone_number=None)
    pipeline.run()
    with Destination("brevo").open() as account:
        assert "CITY" in provision_account(account, dry_run=False)
    assert people.states() == {"queued": 1, "synced": 1}
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["CITY"] == "Paris"


def test_options_that_contacts_have_are_created_and_then_arrive(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=["Red"])
    add(people, Colors=["Red", "Blue"], Sizes=["S", "M"])
    pipeline.run()
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "COLORS": ["Red"]}
    assert left_out(people) == [["COLORS", "SIZES"]]
    with Destination("brevo").open() as account:
        assert {"COLORS", "SIZES"} <= set(provision_account(account, dry_run=False))
    pipeline.run()
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "COLORS": ["Red", "Blue"], "SIZES": ["S", "M"]}
    assert left_out(people) == [[]]


def test_a_refused_attribute_is_left_out_and_goes_when_the_account_has_changed(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"CITY": "text"})
    add(people, City="Paris")
    body = {"code": "invalid_parameter", "message": "CITY is wrong"}
    brevo_sandbox.fault("status", method="POST", path="/contacts$", status=400, body=body, times=1)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert left_out(people) == [["CITY"]]
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada"}
    brevo_sandbox.configure(attributes={"CITY": "text", "OTHER": "text"})
    later(people)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["CITY"] == "Paris"


def test_a_phone_that_another_contact_has_is_not_called_sent_and_goes_with_an_edit(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [holder] = people.add(name="Ada", phone_number="+12025550143")
    pipeline.run()
    people.add(name="Bea", email="bea@example.com", phone_number="+12025550143")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert ["SMS"] in left_out(people)
    people.run("UPDATE crm_contacts SET phone_number = NULL WHERE id = :id", id=holder)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    for name in ("Bella", "Bea"):
        people.run("UPDATE crm_contacts SET name = :name WHERE email = 'bea@example.com'", name=name)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    bea = brevo_sandbox.contact("bea@example.com")
    assert bea is not None
    assert bea["attributes"]["SMS"] == "12025550143"
    assert left_out(people) == [[]]


def test_a_delivery_that_ends_after_the_account_was_seen_anew_is_judged_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, queue: Queue
) -> None:
    add(people, City="Paris")
    pipeline.run()
    [former] = people.all("SELECT version FROM crm_attributes")
    brevo_sandbox.configure(attributes={"CITY": "text"})
    people.run("UPDATE crm_contacts SET name = 'Grace'")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    people.run("UPDATE crm_syncs SET left_out = '{CITY}', attributes_version = :version", version=former["version"])
    later(people)
    assert pipeline.run().counts["claimed"] == 1, "what it left out may be sent since"
    assert left_out(people) == [[]]


def test_values_that_go_with_a_deleted_attribute_go_again_when_it_is_back(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"CITY": "text"})
    add(people, City="Paris")
    pipeline.run()
    brevo_sandbox.delete_attribute("CITY")
    people.add()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    [sync] = people.all("SELECT s.* FROM crm_syncs s JOIN crm_contacts c ON c.id = contact_id WHERE name = 'Ada'")
    assert (sync["left_out"], sync["sent_attributes"]) == (["CITY"], ["FIRSTNAME"])
    brevo_sandbox.create_attribute("normal", "CITY", type="text")
    later(people)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["CITY"] == "Paris"


def test_values_of_an_attribute_that_was_made_anew_in_another_type_go_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"SCORE": "text"})
    add(people, Score="42")
    pipeline.run()
    brevo_sandbox.delete_attribute("SCORE")
    brevo_sandbox.create_attribute("normal", "SCORE", type="float")
    people.add()
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert held(brevo_sandbox)["SCORE"] == 42


def test_what_was_under_way_while_an_attribute_was_seen_gone_is_judged_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent with the attribute, which Brevo drops without a word."""
    brevo_sandbox.configure(attributes={"CITY": "text"})
    add(people, City="Paris")
    send = Courier._send_all

    def send_late(courier: Courier, *given: Any) -> None:
        brevo_sandbox.delete_attribute("CITY")
        with Destination("brevo").open() as account:
            learner = account.learner()
            assert learner is not None
            learner.learn()
        send(courier, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Courier, "_send_all", send_late)
        pipeline.run()
    assert people.states() == {"queued": 1}
    brevo_sandbox.create_attribute("normal", "CITY", type="text")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["CITY"] == "Paris"


def test_who_has_an_option_that_is_gone_is_told_so_and_gets_it_when_it_is_back(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=["Red", "Blue"])
    add(people, Colors=["Red", "Blue"])
    people.add(email="red@example.com", name="Red", phone_number=None, custom_fields=json.dumps({"Colors": ["Red"]}))
    pipeline.run()
    brevo_sandbox.delete_option("COLORS", "Blue")
    people.add()
    assert pipeline.run().counts == {"claimed": 3, "synced": 2, "unchanged": 1}
    assert people.all("SELECT left_out FROM crm_syncs WHERE left_out <> '{}'") == [{"left_out": ["COLORS"]}]
    brevo_sandbox.change_attribute("normal", "COLORS", multiCategoryOptions=["Blue"])
    later(people)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["COLORS"] == ["Red", "Blue"]


def test_a_label_that_has_another_number_now_is_sent_again_and_one_renamed_is_not(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    for name, labels in {"GENDER": ["Mr", "Mrs"], "TITLE": ["Dr", "Prof"]}.items():
        brevo_sandbox.create_attribute("category", name, enumeration=numbered(*labels))
    add(people, Gender="Mrs")
    people.add(email="dr@example.com", phone_number=None, custom_fields=json.dumps({"Title": "Dr"}))
    pipeline.run()
    brevo_sandbox.change_attribute("category", "GENDER", enumeration=numbered("Mrs", "Mr"))
    brevo_sandbox.change_attribute("category", "TITLE", enumeration=numbered("Doctor", "Prof"))
    people.add()
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert held(brevo_sandbox)["GENDER"] == 1
    doctor = brevo_sandbox.contact("dr@example.com")
    assert doctor is not None
    assert doctor["attributes"]["TITLE"] == 1


def test_the_account_is_asked_once_a_run_and_not_without_need(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    pipeline.run()
    assert brevo_sandbox.requests(path=LOOKS) == [], "nothing was due"
    people.add(3)
    pipeline.run(dry_run=True)
    assert brevo_sandbox.requests(path=LOOKS) == []
    GateKeeper(engine, "brevo").pause("outage", "as a test says", timedelta(hours=1))
    pipeline.run()
    assert brevo_sandbox.requests() == []
    GateKeeper(engine, "brevo").open()
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    assert len(brevo_sandbox.requests(path=LOOKS)) == 1


def test_nothing_is_claimed_while_it_was_never_seen_what_the_account_takes(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(3)
    brevo_sandbox.fault("status", path=LOOKS, status=503, body={"message": "maintenance"}, times=1)
    run = pipeline.run()
    assert (run.problem or "").startswith("Which attributes the account has is not known yet, so no contact was taken.")
    assert "maintenance" in (run.problem or "")
    stored = pipeline.instance.get_run_by_id(run.result.run_id)
    assert stored is not None
    assert stored.tags[OUTCOME_TAG] == "failed: nothing was sent"
    assert people.states() == {"queued": 3}
    assert GateKeeper(engine, "brevo").read().consecutive_failures == 1
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}


def test_a_gate_that_closes_over_the_look_is_the_reason_why_nothing_goes(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(3)
    brevo_sandbox.configure(refusal="ip")
    run = pipeline.run()
    assert "authorised_ips" in (run.problem or "")
    assert len(brevo_sandbox.requests()) == 1
    assert GateKeeper(engine, "brevo").read().closed_for_credentials


def test_without_an_answer_the_account_is_taken_as_it_was_last_seen(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"SCORE": "float"})
    people.add()
    pipeline.run()
    brevo_sandbox.fault("status", path=LOOKS, status=503)
    add(people, Score="42", City="Paris")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "SCORE": 42}
    assert ["CITY"] in left_out(people)


def test_a_short_refusal_of_the_look_is_waited_out(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    brevo_sandbox.fault("status", path=LOOKS, status=429, headers={"x-sib-ratelimit-reset": "1"}, times=1)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_what_another_account_had_does_not_count(people: People, pipeline: Pipeline, engine: sa.Engine) -> None:
    people.add()
    pipeline.run()
    store = AttributeStore(engine, "brevo")
    assert store.read() is not None
    people.run("UPDATE crm_gates SET account = 'another'")
    assert store.read() is None


def test_a_contact_whose_value_is_taken_at_last_is_compared_with_what_arrived(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    labels = [{"value": 1, "label": "Mr"}, {"value": 2, "label": "Mrs"}]
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=labels[:1])
    add(people, Gender="Mrs")
    pipeline.run()
    assert left_out(people) == [["GENDER"]]
    brevo_sandbox.change_attribute("category", "GENDER", enumeration=labels)
    later(people)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox)["GENDER"] == 2


@pytest.mark.parametrize("probing", [False, True], ids=["open", "probing"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "body": {"code": "unauthorized", "message": "No"}},
        {"status": 403, "body": {"code": "permission_denied", "message": "No"}},
        {"status": 405, "body": {"code": "method_not_allowed", "message": "No"}},
        {"status": 429, "headers": {"retry-after": "600"}},
        {"status": 503},
    ],
    ids=["401", "403", "405", "429", "5xx"],
)
def test_where_only_the_attributes_cannot_be_read_contacts_go_by_what_was_seen_before(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, fault: dict[str, Any], *, probing: bool
) -> None:
    people.add()
    pipeline.run()
    people.add(20)
    people.run("UPDATE crm_gates SET probing = :probing", probing=probing)
    brevo_sandbox.fault("status", path="/contacts/attributes", **fault)
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"synced": 21}


def test_while_the_account_answers_nothing_no_contact_is_the_probe(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    pipeline.run()
    people.add(20)
    people.run("UPDATE crm_gates SET probing = true")
    brevo_sandbox.fault("status", status=503)
    pipeline.run()
    assert people.states() == {"synced": 1, "queued": 20}
    assert people.all("SELECT max(attempts) AS n FROM crm_syncs") == [{"n": 0}]
    assert people.all("SELECT pause_kind FROM crm_gates WHERE crm = 'brevo'") == [{"pause_kind": "outage"}]


def test_values_left_out_are_counted_by_field_and_reason_without_a_value(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    brevo_sandbox.configure(attributes={"SCORE": "float"})
    for number, phone in enumerate(["0171 1234567", "0171 7654321", "+49 171 1234567 ext. 7", "+491711234567"]):
        people.add(email=f"p{number}@example.com", phone_number=phone, custom_fields=json.dumps({"Score": "1.234"}))
    assert pipeline.run().counts == {"claimed": 4, "synced": 4}
    found = values_left_out(engine, "brevo")
    assert [(one.field, one.contacts) for one in found] == [
        ("custom_fields.Score", 4),
        ("phone_number", 2),
        ("phone_number", 1),
    ]
    assert "one of thousands" in found[0].reason
    assert "set CRM_PHONE_REGION" in found[1].reason
    assert "extension" in found[2].reason
    told = json.dumps([one.reason for one in found])
    assert "1.234" not in told
    assert "1234567" not in told
    assert values_left_out(engine, "hubspot") == []
    people.run("UPDATE crm_contacts SET phone_number = '+493012345' || substr(email, 2, 1), custom_fields = '{}'")
    pipeline.run()
    assert values_left_out(engine, "brevo") == []


def test_a_doubtful_phone_alone_makes_nobody_look_at_the_account(
    people: People, pipeline: Pipeline, waiting: Callable[[], str | None]
) -> None:
    people.add(email="ada@example.com", phone_number="0171 1234567")
    pipeline.run()
    assert left_out(people) == [["SMS"]]
    later(people)
    assert waiting() == "Nothing is due."
