"""What a dry run foresees is what a run then does: in counts, and of the first contacts field by field."""

import sqlalchemy as sa

from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.delivery.previewing import MOST_SHOWN, ContactChange, Foreseen, changes, foresee, foreseen_in_words
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.delivery.conftest import Delivery


def deliver(delivery: Delivery) -> None:
    delivery.courier().deliver(delivery.claim())
    delivery.apply()


def foreseen(delivery: Delivery) -> Foreseen:
    queue = delivery.account.queue
    return foresee(queue, delivery.crm, queue.peek(limit=100))


def shown(delivery: Delivery) -> dict[str, ContactChange]:
    queue = delivery.account.queue
    return {one.email or "": one for one in changes(queue, delivery.crm, queue.peek(limit=100))}


def test_new_changed_and_sent_again_are_told_apart_and_each_is_what_happens(delivery: Delivery, people: People) -> None:
    edited, again = people.add(2)
    deliver(delivery)
    people.run("UPDATE crm_contacts SET name = 'Grace Hopper' WHERE id = :id", id=edited)
    select(people.engine, "brevo", Who(ids=(again,)))
    people.add(3)
    people.add(email=None)
    counts = foreseen(delivery).counts()
    assert {name: count for name, count in counts.items() if count} == {
        "claimed": 6,
        "synced": 5,
        "skipped": 1,
        "new": 3,
        "changed": 1,
        "again": 1,
    }
    assert foreseen_in_words(counts) == "3 new, 1 changed, 1 sent again, 1 never sent"
    assert people.states() == {"queued": 6}, "nothing was taken"
    assert delivery.apply() == {}
    deliver(delivery)
    assert people.states() == {"synced": 5, "skipped": 1}


def test_an_edit_to_and_fro_is_foreseen_as_no_request(delivery: Delivery, people: People) -> None:
    [contact] = people.add(name="Ada")
    deliver(delivery)
    for name in ("Ada Lovelace", "Ada"):
        people.run("UPDATE crm_contacts SET name = :name WHERE id = :id", id=contact, name=name)
    assert foreseen_in_words(foreseen(delivery).counts()) == "1 unchanged"
    [change] = shown(delivery).values()
    assert (change.kind, change.fields) == ("unchanged", ())


def test_each_field_is_new_sent_before_cleared_or_left_out(delivery: Delivery, people: People) -> None:
    [contact] = people.add(email="ada@example.com", name="Ada Lovelace", context="a fair")
    first = {line.field: line for line in shown(delivery)["ada@example.com"].fields}
    assert shown(delivery)["ada@example.com"].kind == "new"
    assert {line.change for line in first.values() if line.attribute} == {"new"}
    assert (first["context"].attribute, first["context"].change) == (None, "left out")
    deliver(delivery)
    people.run(
        "UPDATE crm_contacts SET name = 'Ada', phone_number = 'none', page_id = gen_random_uuid() WHERE id = :id",
        id=contact,
    )
    change = shown(delivery)["ada@example.com"]
    assert change.kind == "changed"
    lines = {line.field: (line.change, line.value) for line in change.fields}
    assert lines["first_name"] == ("sent before", "Ada")
    assert lines["last_name"] == ("cleared", None)
    assert lines["phone_number"] == ("left out", None)
    assert lines["page_id"][0] == "new"
    assert "domain_id" not in lines, "blank, and nothing was sent of it"


def test_what_is_left_out_is_counted_by_field_and_reason_and_holds_no_value(delivery: Delivery, people: People) -> None:
    people.add(2, phone_number="call me maybe")
    people.add()
    [one] = foreseen(delivery).left_out()
    assert (one.field, one.reason, one.contacts) == ("phone_number", "not a phone number", 2)


def test_the_parts_of_a_run_add_up(delivery: Delivery, people: People, engine: sa.Engine) -> None:
    people.add(MOST_SHOWN + 3, phone_number="none")
    queue = delivery.account.queue
    claims = queue.peek(limit=100)
    parts = [foresee(queue, delivery.crm, part) for part in (claims[:4], claims[4:])]
    assert Foreseen.sum(parts) == foresee(queue, delivery.crm, claims)
    assert len(Foreseen.sum(parts).first) == MOST_SHOWN
