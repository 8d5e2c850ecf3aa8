"""What the tables know of the account's attributes and of what was left out for them."""

import json
from typing import Any

import sqlalchemy as sa

from crm_pipelines.contacts.fields import MOST_VALUES, fields_in_use, values_in_use
from crm_pipelines.database.migrating import MIGRATIONS
from crm_pipelines.destinations.attributes import AttributeStore
from crm_pipelines_tests.fixtures.people import People

CITY = {"name": "CITY", "category": "normal", "type": "text"}


def fields(**custom: Any) -> str:
    return json.dumps(custom)


def test_values_in_use_are_counted_item_by_item_the_most_frequent_first(people: People, engine: sa.Engine) -> None:
    for colors in (["Red", "Blue"], ["Blue"], "Blue; Green", " ", None, 7):
        people.add(custom_fields=fields(colors=colors, other="x"))
    assert values_in_use(engine, ["colors", "unknown"]) == {"colors": (("Blue", "7", "Green", "Red"), 0)}


def test_a_field_with_very_many_values_gives_some_and_says_how_many_more(people: People, engine: sa.Engine) -> None:
    people.add(custom_fields=fields(tags=[f"tag {number}" for number in range(MOST_VALUES + 3)]))
    values, more = values_in_use(engine, ["tags"])["tags"]
    assert (len(values), more) == (MOST_VALUES, 3)


def test_what_former_imports_left_out_and_called_sent_is_left_out(people: People, engine: sa.Engine) -> None:
    [concerned, other] = people.add(2)
    said = "CITY, SCORE left out: at Brevo there is no such attribute of this type"
    for contact_id, warnings in ((concerned, ["phone_number left out: not a phone number", said]), (other, [])):
        people.run(
            "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, warnings, started_at) "
            "VALUES (:id, 'brevo', 1, 'r', 1, 'synced', :warnings, now())",
            id=contact_id,
            warnings=warnings,
        )
    people.run(r"UPDATE crm_syncs SET state = 'synced', synced_revision = 1, payload_hash = '\x00'")
    migration = (MIGRATIONS / "versions" / "0015_brief_locks.sql").read_text(encoding="utf-8")
    people.run(migration[migration.index("WITH told AS") :])
    assert people.sync(concerned)["left_out"] == ["CITY", "SCORE"]
    assert people.sync(concerned)["payload_hash"] is None
    assert people.sync(other)["left_out"] == []
    assert people.sync(other)["payload_hash"] is not None
    assert AttributeStore(engine, "brevo").keep([CITY], "v1", {"CITY"}) == 1
    assert (people.sync(concerned)["state"], people.sync(other)["state"]) == ("queued", "synced")


def test_whom_a_new_attribute_concerns_is_found_by_index(people: People, engine: sa.Engine) -> None:
    people.add(2000)
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = 1")
    with engine.begin() as connection:
        connection.execute(sa.text("ANALYZE crm_syncs"))
        plan = connection.execute(
            sa.text(
                "EXPLAIN SELECT contact_id FROM crm_syncs WHERE crm = 'brevo' AND state = 'synced' "
                "AND left_out <> '{}' AND left_out && '{CITY}'"
            )
        ).scalars()
        assert "left_out_idx" in "\n".join(plan)


def test_what_is_being_delivered_or_not_selected_is_not_queued_for_an_attribute(
    people: People, engine: sa.Engine
) -> None:
    [claimed, unselected, delivered] = people.add(3)
    people.run(r"UPDATE crm_syncs SET state = 'synced', synced_revision = 1, left_out = '{CITY}'")
    people.run("UPDATE crm_syncs SET state = 'unselected' WHERE contact_id = :id", id=unselected)
    people.run(
        "UPDATE crm_syncs SET state = 'claimed', claimed_by = 'r', lease_until = now() + interval '1 h' "
        "WHERE contact_id = :id",
        id=claimed,
    )
    store = AttributeStore(engine, "brevo")
    assert store.keep([CITY], "v1", {"CITY"}) == 1
    assert people.sync(delivered)["state"] == "queued"
    assert store.read() == [CITY]


def test_fields_in_use_are_those_with_a_value_with_how_many_contacts_have_one(
    people: People, engine: sa.Engine
) -> None:
    people.add(3, name="Ada Lovelace", custom_fields='{"City": "Paris", "Blank": "", "Nothing": null}')
    people.add(2, name="Ada", phone_number=" ", context="")
    people.add(1, name=None, phone_number="+4930123456")
    in_use = fields_in_use(engine)
    expected = {"first_name": 5, "last_name": 3, "name": 5, "phone_number": 1, "custom_fields.City": 3}
    always = {"created_at", "updated_at", "email_type", "has_gmail"}  # those of the address are found by the database
    assert {name: count for name, count in in_use.contacts.items() if name not in always} == expected
    assert {row["name"] for row in in_use.examples} == {"Ada Lovelace", "Ada", None}
