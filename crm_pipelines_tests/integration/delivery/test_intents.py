"""Whoever begins a request forgets what was known, and remembers what the CRM may hold from then on."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms import transport
from crm_pipelines.queue.model import Attempt, Intent
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import RUN, Delivery

LOST: dict[str, dict[str, Any]] = {
    "the connection is reset": {"action": "reset_after"},
    "a proxy answers 502": {"action": "html", "status": 502, "applied": True},
    "the answer is late": {"action": "timeout_after"},
    "the answer is broken": {"action": "garbage_json", "applied": True},
}


def deliver(people: People, delivery: Delivery) -> dict[str, int]:
    """One delivery of all that is queued, in back-off or not."""
    people.make_due()
    delivery.courier().deliver(delivery.claim())
    return delivery.apply()


def edit(people: People, contact_id: UUID, **columns: Any) -> None:
    values = ", ".join(f"{name} = :{name}" for name in columns)
    people.run(f"UPDATE crm_contacts SET {values} WHERE id = :id", id=contact_id, **columns)


@pytest.fixture
def delivered(people: People, delivery: Delivery) -> UUID:
    """Ada, whom the CRM holds."""
    [contact_id] = people.add(name="Ada", email="ada@example.com")
    assert deliver(people, delivery) == {"synced": 1}
    return contact_id


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
def test_a_former_value_is_sent_again_after_a_request_whose_answer_was_lost(
    lost: dict[str, Any],
    people: People,
    delivery: Delivery,
    delivered: UUID,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if lost["action"] == "timeout_after":
        monkeypatch.setattr(transport, "READ_SECONDS", 0.5)
    edit(people, delivered, name="Wrong")
    brevo_sandbox.fault(**lost, method="PUT", times=1)
    assert deliver(people, delivery) == {"queued": 1}
    edit(people, delivered, name="Ada")
    assert deliver(people, delivery) == {"synced": 1}
    [held] = brevo_sandbox.contacts()
    assert held["attributes"]["FIRSTNAME"] == "Ada"


def test_an_attribute_of_a_request_whose_answer_was_lost_is_cleared_when_it_is_blank_again(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"NICKNAME": "text"})
    edit(people, delivered, custom_fields='{"nickname": "Wrong"}')
    brevo_sandbox.fault("reset_after", times=1)
    deliver(people, delivery)
    assert brevo_sandbox.contacts()[0]["attributes"]["NICKNAME"] == "Wrong"
    edit(people, delivered, custom_fields="{}")
    assert deliver(people, delivery) == {"synced": 1}
    assert "NICKNAME" not in brevo_sandbox.contacts()[0]["attributes"]


def test_a_former_address_is_restored_after_a_change_whose_answer_was_lost(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    edit(people, delivered, email="boss@example.com")
    brevo_sandbox.fault("reset_after", method="PUT", times=1)
    deliver(people, delivery)
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["boss@example.com"]
    assert people.sync(delivered)["maybe_keys"] == ["boss@example.com"]
    edit(people, delivered, email="ada@example.com")
    assert deliver(people, delivery) == {"synced": 1}
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["ada@example.com"]
    assert people.sync(delivered)["maybe_keys"] == []


def test_the_mark_of_a_shop_does_not_hide_the_address_that_a_lost_answer_gave_the_contact(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    [held] = brevo_sandbox.contacts()
    people.run("UPDATE crm_syncs SET remote_id = :id", id=str(held["id"]))
    edit(people, delivered, email="boss@example.com")
    brevo_sandbox.fault("reset_after", method="PUT", times=1)
    deliver(people, delivery)
    brevo_sandbox.seed({"email": "boss@example.com", "ext_id": "shop-1", "updateEnabled": True})
    edit(people, delivered, email="ada@example.com")
    assert deliver(people, delivery) == {"synced": 1}
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["ada@example.com"]


def test_nobody_takes_over_an_address_under_which_the_crm_may_hold_somebody_else(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    edit(people, delivered, email="wanted@example.com")
    brevo_sandbox.fault("reset_after", method="PUT", times=1)
    deliver(people, delivery)
    edit(people, delivered, email="ada.new@example.com")
    [other] = people.add(name="Bob", email="wanted@example.com")
    # The other's turn comes while Ada still waits for hers.
    delivery.courier().deliver(delivery.queue.claim(RUN, limit=9, lease=timedelta(minutes=25), contact_ids=[other]))
    assert delivery.apply() == {"queued": 1}
    assert people.all("SELECT kind FROM crm_attempts WHERE contact_id = :id", id=other) == [
        {"kind": "address_in_transit"}
    ]
    for _ in range(2):
        deliver(people, delivery)
    held = {one["email"]: one["attributes"]["FIRSTNAME"] for one in brevo_sandbox.contacts()}
    assert held == {"ada.new@example.com": "Ada", "wanted@example.com": "Bob"}


@pytest.mark.parametrize("first_try", ["was lost", "came to nothing", "was not made"])
def test_an_address_that_was_never_sent_finds_nobody(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, first_try: str
) -> None:
    [stranger] = brevo_sandbox.seed({"email": "boss@example.com", "attributes": {"FIRSTNAME": "Bianca"}})
    [contact] = people.add(name="Ada", email="first@example.com")
    if first_try == "was not made":
        people.run("UPDATE crm_syncs SET claim_no = 1")  # claimed, and given back
    else:
        brevo_sandbox.fault("reset_after" if first_try == "was lost" else "reset_before", method="POST", times=1)
        deliver(people, delivery)
    edit(people, contact, email="boss@example.com")
    edit(people, contact, email="last@example.com")
    assert deliver(people, delivery) == {"synced": 1}
    held = {one["email"]: (one["id"], one["attributes"]["FIRSTNAME"]) for one in brevo_sandbox.contacts()}
    assert held.pop("boss@example.com") == (stranger, "Bianca")
    assert held == {"last@example.com": (int(people.sync(contact)["remote_id"]), "Ada")}


def test_an_address_that_changes_right_before_the_first_request_is_remembered(
    people: People, delivery: Delivery
) -> None:
    [contact] = people.add(email="ada@example.com")
    [claim] = delivery.claim()
    edit(people, contact, email="ada.new@example.com")
    assert people.sync(contact)["maybe_keys"] == []
    assert delivery.queue.intend([Intent(claim=claim, key="ada@example.com", names=frozenset())]) == {contact}
    assert people.sync(contact)["maybe_keys"] == ["ada@example.com"]


def test_what_a_contact_taken_back_during_its_delivery_was_sent_is_remembered(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(attributes={"NICKNAME": "text"})
    edit(people, delivered, custom_fields='{"nickname": "Wrong"}')
    claims = delivery.claim()
    brevo_sandbox.fault("reset_after", times=1)
    delivery.courier().deliver(claims)
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=delivered)
    assert delivery.apply() == {"superseded": 1}
    edit(people, delivered, custom_fields="{}")
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=delivered)
    assert deliver(people, delivery) == {"synced": 1}
    assert "NICKNAME" not in brevo_sandbox.contacts()[0]["attributes"]


def test_an_edit_that_changes_nothing_of_what_was_confirmed_makes_no_request(
    people: People, delivery: Delivery, delivered: UUID, brevo_sandbox: BrevoSandbox
) -> None:
    edit(people, delivered, name="Other")
    edit(people, delivered, name="Ada")
    before = len(brevo_sandbox.requests())
    assert deliver(people, delivery) == {"synced": 1}
    assert len(brevo_sandbox.requests()) == before


def test_an_address_that_a_former_version_has_sent_is_remembered_too(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [contact] = people.add(email="ada@example.com")
    brevo_sandbox.fault("reset_after", method="POST", times=1)
    deliver(people, delivery)
    people.run("UPDATE crm_syncs SET sent_key = NULL")  # it knows nothing of that column
    edit(people, contact, email="ada.new@example.com")
    assert people.sync(contact)["maybe_keys"] == ["ada@example.com"]
    assert deliver(people, delivery) == {"synced": 1}
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["ada.new@example.com"]


def test_what_is_held_by_somebody_else_is_not_sent_and_keeps_what_is_known(
    people: People, delivery: Delivery, delivered: UUID
) -> None:
    edit(people, delivered, name="Other")
    [claim] = delivery.claim()
    people.run("UPDATE crm_syncs SET claim_no = claim_no + 1")
    known = people.sync(delivered)["payload_hash"]
    assert delivery.queue.intend([Intent(claim=claim, key="x", names=frozenset({"X"}))]) == set()
    row = people.sync(delivered)
    assert (row["payload_hash"], row["maybe_keys"]) == (known, [])
    assert "X" not in row["sent_attributes"]


def test_a_contact_that_is_put_off_again_and_again_grows_old(people: People, delivery: Delivery) -> None:
    [contact_id] = people.add()
    people.run("UPDATE crm_syncs SET run_at = now() - interval '2 hours', selected_at = now() - interval '3 hours'")
    for _ in range(3):
        people.make_due()
        [claim] = delivery.claim()
        attempt = Attempt(
            claim=claim,
            revision=1,
            outcome="snoozed",
            kind="some",
            duration=timedelta(),
            retry_after=timedelta(minutes=1),
        )
        delivery.queue.record(RUN, [attempt])
        assert delivery.apply() == {"queued": 1}
        assert people.sync(contact_id)["due_in"] > 0
    backlog = delivery.queue.backlog()
    assert (backlog.due, backlog.put_off) == (0, 1)
    assert backlog.oldest_due_seconds > 7000
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    assert delivery.queue.backlog().oldest_due_seconds < 7000, "who is selected anew begins anew"


@pytest.mark.parametrize("given_back", ["released", "rescued"])
def test_a_contact_that_is_given_back_again_and_again_grows_old(
    given_back: str, people: People, delivery: Delivery
) -> None:
    people.add()
    people.run("UPDATE crm_syncs SET run_at = now() - interval '2 hours', selected_at = now() - interval '3 hours'")
    for _ in range(2):
        assert delivery.claim()
        if given_back == "released":
            delivery.queue.release(RUN)
        else:
            people.expire_leases()
            delivery.queue.rescue()
    assert delivery.queue.backlog().oldest_due_seconds > 7000


def test_an_attempt_that_counts_ends_the_age_of_what_was_put_off(people: People, delivery: Delivery) -> None:
    [contact_id] = people.add()
    people.run("UPDATE crm_syncs SET due_since = now() - interval '2 hours', selected_at = now() - interval '3 hours'")
    assert delivery.queue.backlog().oldest_due_seconds > 7000
    assert deliver(people, delivery) == {"synced": 1}
    assert people.sync(contact_id)["due_since"] is None
