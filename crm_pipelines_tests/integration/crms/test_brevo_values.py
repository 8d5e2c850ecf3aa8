"""What the account refuses, drops or keeps of one contact, over HTTP: the rest arrives, and what did not is told."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.brevo.upsert import MOST_REQUESTS
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Sendable
from crm_pipelines.crms.schema import Finding, InUse, ProvisionError
from crm_pipelines_tests import one_contact
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import look_up

KEY = "xkeysib-test"
REFUSED = {"code": "invalid_parameter"}


def at_once() -> None:
    """No waiting for one's turn."""


@pytest.fixture
def brevo(brevo_sandbox: BrevoSandbox) -> Iterator[Brevo]:
    brevo_sandbox.configure(attributes={"BIRTHDAY": "date", "SINCE": "date", "CITY": "text", "NOTE": "text"})
    client = Brevo(api_key=KEY, base_url=brevo_sandbox.url, mapping=load_mapping(None))
    learn(client)
    yield client
    client.close()


def learn(brevo: Brevo) -> None:
    outcome, attributes = brevo.schema.attributes(turn=at_once)
    assert outcome.result is Result.SYNCED
    brevo.know(attributes)


def payload(brevo: Brevo, sent: set[str] | frozenset[str] = frozenset(), **custom: Any) -> Payload:
    record = {"id": UUID(int=1), "email": "ada@example.com", "name": "Ada", "custom_fields": custom}
    found = brevo.prepare(record, sent_attributes=frozenset(sent))
    assert isinstance(found, Payload)
    return found


def deliver(
    brevo: Brevo,
    sent: set[str] | frozenset[str] = frozenset(),
    turn: Callable[[], None] = at_once,
    remote_id: str | None = None,
    **custom: Any,
) -> Outcome:
    """The first delivery, or a further one of a contact that was `sent` some attributes."""
    told = payload(brevo, sent, **custom)
    return one_contact.deliver(brevo, told, remote_key=told.key if sent else None, remote_id=remote_id, turn=turn)


def held(sandbox: BrevoSandbox) -> dict[str, Any]:
    found = sandbox.contact("ada@example.com")
    assert found is not None
    return {name: value for name, value in found["attributes"].items() if name != "EXT_ID"}


def test_a_refused_date_is_left_out_with_all_dates_and_the_rest_arrives(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault(
        "status", method="POST", status=400, body={**REFUSED, "message": "Invalid date format"}, times=1
    )
    outcome = deliver(brevo, BIRTHDAY="1984-04-05", SINCE="2020-01-01", CITY="Paris")
    assert (outcome.result, outcome.requests) == (Result.SYNCED, 2)
    assert outcome.left_out == {"BIRTHDAY", "SINCE"}
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY"}
    assert "BIRTHDAY, SINCE left out, the rest was sent. Brevo: Invalid date format" in outcome.warnings[0]
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "CITY": "Paris"}


def test_an_attribute_that_a_refusal_names_is_left_out_alone(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    body = {**REFUSED, "message": "attributes/CITY should be one of the options, not NOTED"}
    brevo_sandbox.fault("status", method="POST", status=400, body=body, times=1)
    outcome = deliver(brevo, BIRTHDAY="1984-04-05", CITY="Paris", NOTE="x")
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"CITY"}))
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "BIRTHDAY": "1984-04-05", "NOTE": "x"}


def test_a_refusal_that_names_no_attribute_is_about_the_contact(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("status", method="POST", status=400, body={**REFUSED, "message": "This is wrong"})
    outcome = deliver(brevo, BIRTHDAY="1984-04-05")
    assert (outcome.result, outcome.requests, outcome.left_out) == (Result.REJECTED, 1, frozenset())


@pytest.mark.parametrize("said", ["Invalid attribute value", "Wrong format"])
def test_a_value_that_is_refused_without_a_name_is_found_by_its_type_and_the_rest_arrives(
    brevo: Brevo, brevo_sandbox: BrevoSandbox, said: str
) -> None:
    brevo_sandbox.configure(attributes={"BIRTHDAY": "date", "SCORE": "float", "VIP": "boolean", "CITY": "text"})
    learn(brevo)
    brevo_sandbox.fault("status", method="POST", status=400, body={**REFUSED, "message": said}, times=2)
    outcome = deliver(brevo, BIRTHDAY="1984-04-05", SCORE="6", VIP="yes", CITY="Paris")
    assert (outcome.result, outcome.requests, outcome.left_out) == (Result.SYNCED, 3, frozenset({"SCORE"}))
    assert outcome.sent_attributes == {"FIRSTNAME", "BIRTHDAY", "VIP", "CITY"}
    assert "SCORE left out, the rest was sent" in outcome.warnings[0]
    assert said in outcome.warnings[0]
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "BIRTHDAY": "1984-04-05", "VIP": True, "CITY": "Paris"}


def test_a_contact_that_is_refused_with_and_without_each_value_is_rejected_in_few_requests(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    body = {**REFUSED, "message": "Invalid attribute value"}
    brevo_sandbox.fault("status", method="POST", status=400, body=body)
    outcome = deliver(brevo, BIRTHDAY="1984-04-05", CITY="Paris")
    assert (outcome.result, outcome.requests, outcome.left_out) == (Result.REJECTED, 3, frozenset())
    assert outcome.warnings == ()


def test_a_refused_value_that_brevo_has_an_older_one_of_is_cleared(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    deliver(brevo, CITY="Paris")
    body = {**REFUSED, "message": "CITY is wrong"}
    brevo_sandbox.fault("status", method="PUT", status=400, body=body, times=1)
    outcome = deliver(brevo, {"FIRSTNAME", "CITY"}, CITY="Rome")
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"CITY"}))
    assert "CITY" not in held(brevo_sandbox)
    assert outcome.sent_attributes == {"FIRSTNAME"}


def test_of_values_of_which_one_is_refused_brevo_keeps_what_it_has(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    sent = deliver(brevo, CITY="Paris", NOTE="x").sent_attributes
    body = {**REFUSED, "message": "Invalid attribute value"}
    brevo_sandbox.fault("status", method="PUT", status=400, body=body, times=1)
    outcome = deliver(brevo, sent, CITY="Paris", NOTE="y")
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"FIRSTNAME", "CITY", "NOTE"}))
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "CITY": "Paris", "NOTE": "x"}
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY", "NOTE"}, "so that they can be cleared later"


def test_a_suspect_that_is_the_only_one_of_its_type_is_cleared(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    sent = deliver(brevo, BIRTHDAY="1984-04-05", CITY="Paris").sent_attributes
    body = {**REFUSED, "message": "Invalid attribute value"}
    brevo_sandbox.fault("status", method="PUT", status=400, body=body, times=1)
    outcome = deliver(brevo, sent, BIRTHDAY="1984-04-06", CITY="Paris")
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"BIRTHDAY"}))
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "CITY": "Paris"}
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY"}


@pytest.mark.parametrize(
    "said", ["CITY cannot be Springfield", "Invalid attribute value: Springfield", "No Springfield"]
)
def test_a_value_that_a_refusal_quotes_is_told_to_nobody(brevo: Brevo, brevo_sandbox: BrevoSandbox, said: str) -> None:
    brevo_sandbox.fault("status", method="POST", status=400, body={**REFUSED, "message": said}, times=1)
    outcome = deliver(brevo, CITY="Springfield", NOTE="No")
    told = " ".join((outcome.message or "", *outcome.warnings))
    assert "***" in told
    assert "Springfield" not in told


def test_endless_refusals_come_to_an_end(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    custom: dict[str, Any] = {f"NOTE{number}": "x" for number in range(20)}
    brevo_sandbox.configure(attributes=dict.fromkeys(custom, "text"))
    learn(brevo)
    for name in custom:
        body = {**REFUSED, "message": f"{name} is wrong"}
        brevo_sandbox.fault("status", method="POST", status=400, body=body, times=1)
    outcome = deliver(brevo, **custom)
    assert (outcome.result, outcome.requests) == (Result.REJECTED, MOST_REQUESTS)


def test_an_account_that_refuses_dates_and_transactional_attributes_gets_neither(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("transactional", "ORDER_DATE", type="date")
    brevo_sandbox.configure(refuse_dates=True, refuse_transactional=True)
    brevo.know(None)
    assert deliver(brevo, ORDER_DATE="2026-05-04").result is Result.REJECTED, "what is not known is not left out"
    learn(brevo)
    outcome = deliver(brevo, ORDER_DATE="2026-05-04", BIRTHDAY="04/05/1984", SINCE="05.04.1984")
    assert (outcome.result, outcome.requests, outcome.warnings) == (Result.SYNCED, 1, ())
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada", "SINCE": "1984-04-05"}


def test_a_label_is_sent_as_its_number_and_read_back_as_the_same(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    labels = [{"value": 1, "label": "Mr"}, {"value": 2, "label": "Mrs"}]
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=labels)
    learn(brevo)
    deliver(brevo, GENDER="Mrs")
    assert held(brevo_sandbox)["GENDER"] == 2
    sent = payload(brevo, GENDER="Mrs")
    _, found = look_up(brevo, sent, remote_key=None, remote_id=None, turn=at_once)
    assert found is not None
    assert [one.same for one in brevo.reading.compare(sent, found) if one.attribute == "GENDER"] == [True]


def test_what_brevo_keeps_though_it_was_cleared_is_told_and_cleared_again(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(keeps_cleared=["CITY"])
    deliver(brevo, CITY="Paris", NOTE="x")
    outcome = deliver(brevo, {"FIRSTNAME", "CITY", "NOTE"})
    assert (outcome.result, outcome.requests) == (Result.SYNCED, 2)
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY"}
    assert [warning.split(" is blank here")[0] for warning in outcome.warnings] == ["CITY"]
    brevo_sandbox.configure(keeps_cleared=[])
    again = deliver(brevo, outcome.sent_attributes)
    assert (again.sent_attributes, again.warnings) == (frozenset({"FIRSTNAME"}), ())
    assert held(brevo_sandbox) == {"FIRSTNAME": "Ada"}


def test_a_delivery_that_clears_nothing_is_not_looked_at(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    assert deliver(brevo, CITY="Paris").requests == 1
    assert deliver(brevo, {"FIRSTNAME", "CITY"}, CITY="Rome").requests == 1


@pytest.mark.parametrize(("status", "body"), [(500, {}), (404, {"message": "Contact does not exist"}), (200, {})])
def test_what_could_not_be_looked_at_does_not_count_as_cleared(
    brevo: Brevo, brevo_sandbox: BrevoSandbox, status: int, body: dict[str, Any]
) -> None:
    deliver(brevo, CITY="Paris")
    brevo_sandbox.fault("status", method="GET", status=status, body=body)
    outcome = deliver(brevo, {"FIRSTNAME", "CITY"})
    assert (outcome.result, outcome.sent_attributes) == (Result.SYNCED, frozenset({"FIRSTNAME", "CITY"}))
    assert "did not show whether it is cleared" in outcome.warnings[0]


def test_another_contact_with_the_number_that_was_known_says_nothing_of_what_is_cleared(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    [other] = brevo_sandbox.seed({"email": "other@example.com"})
    brevo_sandbox.configure(keeps_cleared=["CITY"])
    deliver(brevo, CITY="Paris")
    outcome = deliver(brevo, {"FIRSTNAME", "CITY"}, remote_id=str(other))
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY"}


def test_a_gate_that_closes_after_the_write_loses_no_delivery(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    deliver(brevo, CITY="Paris")
    turns = iter([True])

    def once(contacts: Sequence[Sendable]) -> Sequence[Sendable]:
        return contacts if next(turns, False) else []

    told = payload(brevo, {"FIRSTNAME", "CITY"})
    contact = Sendable(payload=told, remote_key=told.key, remote_id=None)
    [outcome] = brevo.deliver([contact], turn=once)
    assert outcome is not None
    assert (outcome.result, outcome.requests) == (Result.SYNCED, 1)
    assert outcome.sent_attributes == {"FIRSTNAME", "CITY"}


def test_attributes_that_are_not_told_are_an_outage(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("status", path="/attributes$", status=200, body={}, times=1)
    outcome, attributes = brevo.schema.attributes(turn=at_once)
    assert (outcome.result, outcome.kind, attributes) == (Result.RETRY, "outage", None)
    brevo_sandbox.configure(revoked_keys=[KEY])
    assert brevo.schema.attributes(turn=at_once)[0].result is Result.REFUSED


def in_use(**fields: InUse) -> Callable[..., dict[str, InUse]]:
    return lambda names: {name: fields[name] for name in names if name in fields}


def options(sandbox: BrevoSandbox, name: str) -> list[str]:
    [found] = [one for one in sandbox.state()["attributes"] if one["name"] == name]
    listed: list[str] = found["multiCategoryOptions"]
    return listed


def test_a_new_attribute_of_choices_gets_the_options_in_use(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    values = in_use(colors=InUse(values=("Red", "Blue", "x" * 201), more=7))
    fields = {"colors": ["Red"]}
    [new] = [
        one
        for one in brevo.schema.plan(turn=at_once, custom_fields=fields, values_in_use=values)
        if one.name == "COLORS"
    ]
    assert (new.options, new.exists) == (("Red", "Blue"), False)
    assert "1 values of more than 200 characters" in new.remark
    assert "7 rarer values" in new.remark
    brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=fields, values_in_use=values)
    assert options(brevo_sandbox, "COLORS") == ["Red", "Blue"]


def test_an_attribute_of_choices_gets_the_options_that_it_lacks_and_keeps_the_others(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=["Green", "Red"])
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=[{"value": 1, "label": "Mr"}])
    fields = {"colors": "Red;Blue", "gender": "Mrs"}
    values = in_use(colors=InUse(values=("red", "Blue")), gender=InUse(values=("Mrs",)))
    brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=fields, values_in_use=values)
    assert options(brevo_sandbox, "COLORS") == ["Green", "Red", "Blue"]
    assert [one["path"] for one in brevo_sandbox.requests(method="PUT")] == ["/v3/contacts/attributes/normal/COLORS"]
    assert brevo.schema.plan(turn=at_once, custom_fields=fields, values_in_use=values) == []


def test_the_preflight_tells_of_options_labels_and_attributes_that_cannot_be_written(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=["Red"])
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=[{"value": 1, "label": "Mr"}])
    brevo_sandbox.create_attribute("category", "BARE")
    brevo_sandbox.create_attribute("transactional", "ORDER_DATE", type="date")
    fields = {"colors": ["Red"], "gender": "Mrs", "bare": "x", "order date": "2026-05-04"}
    values = in_use(colors=InUse(values=("Red", "Blue")), gender=InUse(values=("Mr", "Mrs", "Dr"), more=3))
    told: dict[str, Finding] = {
        one.subject.removeprefix("Attribute "): one
        for one in brevo.check(turn=at_once, custom_fields=fields, values_in_use=values)
    }
    assert not any(told[name].ok for name in ("COLORS", "GENDER", "BARE", "ORDER_DATE"))
    assert "1 values in use are none of its options" in told["COLORS"].detail
    assert "5 values in use are none of its labels" in told["GENDER"].detail
    assert "tells no labels" in told["BARE"].detail
    assert "is transactional" in told["ORDER_DATE"].detail
    assert "Blue" not in "".join(one.detail for one in told.values()), "values are the contacts' own"


def test_provision_goes_on_after_a_refusal_and_a_second_time_makes_what_was_refused(
    brevo: Brevo, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=["Red"])
    fields = {"colors": "Blue", "odd": "x", "size": 7}
    values = in_use(colors=InUse(values=("Red, Blue", "Green; red")))
    odd = {"path": "/attributes/normal/(ODD|COLORS)$", "status": 400}
    brevo_sandbox.fault("status", body={**REFUSED, "message": "Invalid attribute name"}, times=2, **odd)
    with pytest.raises(ProvisionError) as failed:
        brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=fields, values_in_use=values)
    assert "SIZE" in failed.value.created
    assert "Brevo did not create the attribute ODD. Invalid attribute name" in str(failed.value)
    assert "Brevo did not add options to the attribute COLORS. Invalid attribute name" in str(failed.value)
    assert len(failed.value.refused) == 2
    again = brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=fields, values_in_use=values)
    assert again == ["ODD", "COLORS"]
    assert options(brevo_sandbox, "COLORS") == ["Red", "Blue", "Green"]


def test_provision_ends_at_a_refusal_that_is_not_about_one_attribute(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("status", method="POST", status=402, body={"code": "not_enough_credits", "message": "No"})
    with pytest.raises(ProvisionError) as failed:
        brevo.schema.provision(dry_run=False, turn=at_once)
    assert (failed.value.created, len(failed.value.refused)) == ([], 1)
    assert len(brevo_sandbox.requests(method="POST", path="/attributes/")) == 1
