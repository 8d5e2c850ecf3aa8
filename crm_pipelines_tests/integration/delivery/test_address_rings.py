"""Contacts that take over each other's addresses: none waits for ever, and each ends under its own new one."""

from uuid import UUID

import pytest

from crm_pipelines.crms import normalize
from crm_pipelines.delivery.planning import CLAIM_LEASE
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import RUN, Delivery


def deliver(people: People, delivery: Delivery) -> dict[str, int]:
    people.make_due()
    delivery.courier().deliver(delivery.claim())
    return delivery.apply()


def address(number: int) -> str:
    return f"address{number}@example.com"


@pytest.fixture
def crowd(people: People, delivery: Delivery) -> list[UUID]:
    """Six contacts that the CRM holds, by name and address of the same number."""
    ids = [people.add(name=f"Name{number}", email=address(number))[0] for number in range(6)]
    assert deliver(people, delivery) == {"synced": 6}
    return ids


def shift(people: People, ids: list[UUID], size: int) -> None:
    """Each of the first `size` contacts gets the next one's address, the last of them the first one's."""
    with people.engine.begin() as connection:
        for number, contact_id in enumerate(ids[:size]):
            connection.exec_driver_sql(
                "UPDATE crm_contacts SET email = %s WHERE id = %s", (f"via{number}@example.com", contact_id)
            )
        for number, contact_id in enumerate(ids[:size]):
            connection.exec_driver_sql(
                "UPDATE crm_contacts SET email = %s WHERE id = %s", (address((number + 1) % size), contact_id)
            )


def held(sandbox: BrevoSandbox) -> dict[str, str]:
    return {one["email"]: one["attributes"]["FIRSTNAME"] for one in sandbox.contacts()}


def shifted(size: int) -> dict[str, str]:
    return {address((number + 1) % size if number < size else number): f"Name{number}" for number in range(6)}


@pytest.mark.parametrize("size", [2, 3, 6])
def test_contacts_that_pass_their_addresses_on_in_a_ring_all_arrive(
    size: int, people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    numbers = {one["id"]: one["attributes"]["FIRSTNAME"] for one in brevo_sandbox.contacts()}
    shift(people, crowd, size)
    for _ in range(size + 1):
        deliver(people, delivery)
    assert people.states() == {"synced": 6}
    assert held(brevo_sandbox) == shifted(size)
    assert numbers == {one["id"]: one["attributes"]["FIRSTNAME"] for one in brevo_sandbox.contacts()}, "entries stay"
    given_way = people.all("SELECT contact_id, outcome, message FROM crm_attempts WHERE kind = 'address_ring'")
    assert [(row["contact_id"], row["outcome"]) for row in given_way] == [(min(crowd[:size]), "snoozed")]
    assert "interim address" in given_way[0]["message"]


@pytest.mark.parametrize("size", [2, 3])
def test_a_ring_of_contacts_whose_first_delivery_was_not_confirmed_arrives_too(
    size: int, people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    ids = [people.add(name=f"Name{number}", email=address(number))[0] for number in range(6)]
    brevo_sandbox.fault("reset_after", method="POST", times=size)
    for contact_id in ids[:size]:
        claims = delivery.queue.claim(RUN, limit=1, lease=CLAIM_LEASE, contact_ids=[contact_id])
        delivery.courier().deliver(claims)
    delivery.apply()
    shift(people, ids, size)
    for _ in range(size + 2):
        deliver(people, delivery)
    assert people.states() == {"synced": 6}
    assert held(brevo_sandbox) == shifted(size)
    assert people.all("SELECT 1 FROM crm_syncs WHERE maybe_keys <> '{}'") == []


def test_two_rings_and_who_waits_for_one_of_them_all_arrive(
    people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    [newcomer] = people.add(name="Newcomer", email="newcomer@example.com")
    deliver(people, delivery)
    swaps = {0: 1, 1: 0, 2: 3, 3: 2, 4: None}
    with people.engine.begin() as connection:
        for number in swaps:
            connection.exec_driver_sql(
                "UPDATE crm_contacts SET email = %s WHERE id = %s", (f"via{number}@example.com", crowd[number])
            )
        for number, other in swaps.items():
            wanted = "elsewhere@example.com" if other is None else address(other)
            connection.exec_driver_sql("UPDATE crm_contacts SET email = %s WHERE id = %s", (wanted, crowd[number]))
        connection.exec_driver_sql("UPDATE crm_contacts SET email = %s WHERE id = %s", (address(4), newcomer))
    for _ in range(4):
        deliver(people, delivery)
    assert people.states() == {"synced": 7}
    expected = {address(1): "Name0", address(0): "Name1", address(3): "Name2", address(2): "Name3"}
    assert held(brevo_sandbox) == expected | {
        "elsewhere@example.com": "Name4",
        address(4): "Newcomer",
        address(5): "Name5",
    }


def test_a_step_aside_whose_answer_was_lost_is_taken_again(
    people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    shift(people, crowd, 2)
    brevo_sandbox.fault("reset_after", method="PUT", times=1)
    for _ in range(4):
        deliver(people, delivery)
    assert people.states() == {"synced": 6}
    assert held(brevo_sandbox) == shifted(2)


def test_who_stands_aside_and_changes_the_address_once_more_arrives(
    people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    shift(people, crowd, 2)
    deliver(people, delivery)
    first = min(crowd[:2])
    assert people.sync(first)["remote_key"] == f"{first}@address-change.invalid"
    people.run("UPDATE crm_contacts SET email = 'third@example.com' WHERE id = :id", id=first)
    for _ in range(2):
        deliver(people, delivery)
    assert people.states() == {"synced": 6}
    [other] = set(crowd[:2]) - {first}
    names = {contact_id: f"Name{number}" for number, contact_id in enumerate(crowd)}
    assert held(brevo_sandbox)["third@example.com"] == names[first]
    assert held(brevo_sandbox)[address(crowd.index(first))] == names[other]


def test_where_the_crm_refuses_the_interim_address_all_are_told_so(
    people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    shift(people, crowd, 2)
    refusal = {"code": "invalid_parameter", "message": "Invalid email address"}
    brevo_sandbox.fault("status", status=400, body=refusal, method="PUT", times=1)
    for _ in range(3):
        deliver(people, delivery)
    assert people.states() == {"synced": 4, "failed": 2}
    kinds = {row["last_error_kind"]: row["last_error"] for row in people.all("SELECT * FROM crm_syncs")}
    assert "Invalid email address" in kinds["address_ring"]
    assert "Correct that one first" in kinds["address_in_use"]


def test_nobody_steps_aside_for_who_only_waits(
    people: People, delivery: Delivery, crowd: list[UUID], brevo_sandbox: BrevoSandbox
) -> None:
    with people.engine.begin() as connection:
        for number, email in ((0, "away@example.com"), (1, address(0)), (2, address(1))):
            connection.exec_driver_sql("UPDATE crm_contacts SET email = %s WHERE id = %s", (email, crowd[number]))
    for _ in range(3):
        deliver(people, delivery)
    assert people.states() == {"synced": 6}
    assert people.all("SELECT 1 FROM crm_attempts WHERE kind = 'address_ring'") == []


OTHER_SPELLINGS = ["ada@bücher.example", "ada@b.example\t", "\u00a0ada@b.example"]


@pytest.mark.parametrize("delivered", [True, False], ids=["delivered before", "new"])
@pytest.mark.parametrize("email", OTHER_SPELLINGS)
def test_who_takes_over_an_address_that_is_sent_in_another_spelling_waits_for_its_turn(
    email: str, delivered: bool, people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [first] = people.add(name="First", email=email)
    if delivered:
        people.add(name="Second")
    deliver(people, delivery)
    people.run("UPDATE crm_contacts SET email = 'elsewhere@example.com' WHERE id = :id", id=first)
    if delivered:
        people.run("UPDATE crm_contacts SET email = :email WHERE name = 'Second'", email=email)
    else:
        people.add(name="Second", email=email)
    [second] = people.all("SELECT id FROM crm_contacts WHERE name = 'Second'")
    delivery.courier().deliver(delivery.queue.claim(RUN, limit=1, lease=CLAIM_LEASE, contact_ids=[second["id"]]))
    assert delivery.apply() == {"queued": 1}
    for _ in range(2):
        deliver(people, delivery)
    assert people.states() == {"synced": 2}
    assert held(brevo_sandbox) == {"elsewhere@example.com": "First", normalize.address(email): "Second"}


@pytest.mark.parametrize(
    "emails", [("ada@bücher.example", "bob@bücher.example"), ("ada@BÜCHER.example", "Bob@B.example")]
)
def test_a_swap_of_addresses_that_are_sent_in_another_spelling_arrives(
    emails: tuple[str, str], people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    ids = [people.add(name=f"Name{number}", email=email)[0] for number, email in enumerate(emails)]
    deliver(people, delivery)
    with people.engine.begin() as connection:
        for contact_id, email in zip(
            [*ids, *ids], ["via0@example.com", "via1@example.com", *reversed(emails)], strict=True
        ):
            connection.exec_driver_sql("UPDATE crm_contacts SET email = %s WHERE id = %s", (email, contact_id))
    for _ in range(3):
        deliver(people, delivery)
    assert people.states() == {"synced": 2}
    assert held(brevo_sandbox) == {normalize.address(emails[1]): "Name0", normalize.address(emails[0]): "Name1"}


def test_nobody_gets_the_entry_of_somebody_who_was_taken_back(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [first] = people.add(name="First", email="shared@example.com")
    deliver(people, delivery)
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=first)
    people.run("UPDATE crm_contacts SET email = 'elsewhere@example.com'")
    people.add(name="Second", email="shared@example.com")
    assert deliver(people, delivery) == {"failed": 1}
    [row] = people.all("SELECT last_error FROM crm_syncs WHERE state = 'failed'")
    assert "Select that one first" in row["last_error"]
    assert held(brevo_sandbox) == {"shared@example.com": "First"}
    for contact in ("First", "Second"):
        people.run("SELECT crm_select('brevo', ARRAY(SELECT id FROM crm_contacts WHERE name = :name))", name=contact)
        assert deliver(people, delivery) == {"synced": 1}
    assert held(brevo_sandbox) == {"elsewhere@example.com": "First", "shared@example.com": "Second"}


@pytest.mark.parametrize("first", ["First", "Second"])
def test_a_mark_of_a_contact_that_is_here_is_not_kept_for_whoever_has_the_address_now(
    first: str, people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    """The account knows the first of old, under an address that is the second's now; here nothing is known of that."""
    [old] = people.add(name="First", email="elsewhere@example.com")
    [new] = people.add(name="Second", email="shared@example.com")
    brevo_sandbox.seed({"email": "shared@example.com", "ext_id": str(old), "attributes": {"FIRSTNAME": "First"}})
    people.run(
        "UPDATE crm_syncs SET run_at = now() + interval '1 hour' WHERE contact_id <> :id",
        id={"First": old, "Second": new}[first],
    )
    for _ in range(2):
        delivery.courier().deliver(delivery.claim())
        assert delivery.apply() == {"synced": 1}
        people.make_due()
    assert held(brevo_sandbox) == {"elsewhere@example.com": "First", "shared@example.com": "Second"}


@pytest.mark.parametrize("next_one", ["the first", "the second"])
def test_an_address_that_was_left_before_the_selection_was_seen_takes_nobody_s_entry(
    next_one: str, people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    """Nothing here tells that the CRM may hold the first under it: the edit began unselected, the answer was lost."""
    [first] = people.add(name="First", email="shared@example.com", select=False)
    with people.engine.connect() as editor:
        editor.exec_driver_sql("UPDATE crm_contacts SET email = 'elsewhere@example.com'")
        people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=first)
        brevo_sandbox.fault("reset_after", method="POST", times=1)
        deliver(people, delivery)
        editor.commit()
    [second] = people.add(name="Second", email="shared@example.com")
    waiting = second if next_one == "the first" else first
    people.make_due()
    people.run("UPDATE crm_syncs SET run_at = now() + interval '1 hour' WHERE contact_id = :id", id=waiting)
    delivery.courier().deliver(delivery.claim())
    delivery.apply()
    for _ in range(2):
        deliver(people, delivery)
    assert held(brevo_sandbox) == {"elsewhere@example.com": "First", "shared@example.com": "Second"}
