"""Rows of before addresses had a normal form may be one address: none is lost, one is sent, the others say why not."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.contacts.twins import count_twins, in_words, merge_twins, settle, twins
from crm_pipelines.database import connecting, migrating
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.database.test_database import upgrade_to
from crm_pipelines_tests.integration.delivery.conftest import Delivery, brevo

ADA = "ada@xn--mller-kva.example"
OTHERS = ("ada@müller.example", "ada@müller.example\u00a0", "ada@mu\u0308ller.example")
SAME = "has the same address: merge the two, delete one, or correct an address."


class Former(People):
    """A database of before, until it is upgraded."""

    def __init__(self, url: str) -> None:
        super().__init__(connecting.create_engine(url))
        self.url = url

    def upgrade(self) -> None:
        migrating.upgrade(self.url)

    def held(self, contact_id: UUID, key: str = ADA, *, days: int = 1, **columns: object) -> None:
        """The CRM holds it, as far as a former delivery knows."""
        self.run(
            "UPDATE crm_syncs SET state = 'synced', synced_revision = revision, remote_key = :key, remote_id = '7', "
            r"payload_hash = '\x00', synced_at = now() - :days * interval '1 day' WHERE contact_id = :id",
            key=key,
            days=days,
            id=contact_id,
        )

    def addresses(self) -> dict[UUID, str | None]:
        return {row["id"]: row["address"] for row in self.all("SELECT id, address FROM crm_contacts")}

    def twins(self) -> set[UUID]:
        return {one for one, address in self.addresses().items() if address is None}


@pytest.fixture
def former(empty_database_url: str) -> Iterator[Former]:
    upgrade_to(empty_database_url, "0016")
    people = Former(empty_database_url)
    yield people
    people.engine.dispose()


@pytest.fixture
def delivery(former: Former, brevo_sandbox: BrevoSandbox) -> Iterator[Delivery]:
    crm = brevo(brevo_sandbox.url)
    yield Delivery(former.engine, crm)
    crm.close()


def deliver(delivery: Delivery) -> dict[str, int]:
    claims = delivery.claim()
    with delivery.engine.begin() as connection:
        connection.execute(sa.text("UPDATE crm_gates SET home = crm_home(tableoid)"))
    delivery.courier().deliver(claims)
    return delivery.apply()


def test_without_twins_every_contact_gets_its_form_and_nothing_else_changes(former: Former) -> None:
    emails = ["Ada@Example.com ", "grace@müller.example", "no address", "", None]
    ids = [former.add(email=email)[0] for email in emails]
    shown = "SELECT v.*, c.revision FROM contacts v JOIN crm_contacts c USING (id) ORDER BY id"
    before = former.all(shown)
    former.upgrade()
    forms = ["ada@example.com", "grace@xn--mller-kva.example", "no address", None, None]
    assert former.addresses() == dict(zip(ids, forms, strict=True))
    after = former.all(shown)
    assert [{name: row[name] for name in before[0]} for row in after] == before
    with former.engine.connect() as connection:
        assert (count_twins(connection), in_words(0)) == (0, "")


def oldest(former: Former, ids: list[UUID]) -> UUID:
    former.run("UPDATE crm_contacts SET created_at = now() - interval '1 day' WHERE id = :id", id=ids[1])
    return ids[1]


def selected(former: Former, ids: list[UUID]) -> UUID:
    oldest(former, ids)
    former.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=ids[2])
    return ids[2]


def delivered(former: Former, ids: list[UUID]) -> UUID:
    selected(former, ids)
    former.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=ids[3])
    former.held(ids[3], days=2)
    return ids[3]


def delivered_last(former: Former, ids: list[UUID]) -> UUID:
    delivered(former, ids)
    former.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=ids[0])
    former.held(ids[0], days=1)
    return ids[0]


@pytest.mark.parametrize("make", [oldest, selected, delivered, delivered_last])
def test_the_one_goes_on_whom_the_crm_holds_else_who_is_selected_else_the_oldest(
    former: Former, make: Callable[[Former, list[UUID]], UUID]
) -> None:
    ids = [former.add(email=email, select=False)[0] for email in (ADA, *OTHERS)]
    first = make(former, ids)
    former.upgrade()
    assert former.addresses() == {one: ADA if one == first else None for one in ids}
    assert story(former.engine, OTHERS[0]).id == first
    assert set(story(former.engine, OTHERS[0]).twins) == {*ids} - {first}
    with former.engine.connect() as connection:
        assert in_words(count_twins(connection)).startswith("3 contacts have the address of others and are never sent")
        assert {one.id for one in twins(connection)} == {*ids} - {first}
        assert {one.first_id for one in twins(connection)} == {first}


def test_what_was_queued_as_both_is_delivered_once_and_the_other_says_why(
    former: Former, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [first], [other] = former.add(email=ADA, name="First"), former.add(email=OTHERS[0], name="Other")
    former.upgrade()
    assert deliver(delivery) == {"synced": 1}
    assert [one["email"] for one in brevo_sandbox.contacts()] == [ADA]
    row = former.sync(other)
    assert (row["state"], row["last_error_kind"], row["last_error"]) == (
        "skipped",
        "same_address",
        f"Contact {first} {SAME}",
    )


def test_who_was_selected_as_a_twin_alone_is_delivered(
    former: Former, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [first] = former.add(email=ADA, select=False)
    former.run("INSERT INTO crm_syncs (contact_id, crm, remote_key) VALUES (:id, 'hubspot', :key)", id=first, key=ADA)
    [other] = former.add(email=OTHERS[0])
    former.upgrade()
    assert former.twins() == {other}
    assert deliver(delivery) == {"synced": 1}
    assert former.sync(first)["state"] == "synced"
    assert len(brevo_sandbox.contacts()) == 1


def test_what_both_left_at_the_crm_is_the_entry_of_the_one_that_goes_on(former: Former) -> None:
    [first], [other] = former.add(email=ADA), former.add(email=OTHERS[0])
    former.held(first, days=1)
    former.held(other, days=2)
    former.run("UPDATE crm_syncs SET lists = '{2}', sent_attributes = '{CITY}' WHERE contact_id = :id", id=other)
    former.run("UPDATE crm_syncs SET lists = '{1}', sent_attributes = '{NAME}' WHERE contact_id = :id", id=first)
    former.upgrade()
    row = former.sync(first)
    assert (row["state"], row["remote_key"], row["payload_hash"]) == ("synced", ADA, None)
    assert (sorted(row["lists"]), sorted(row["sent_attributes"])) == (["1", "2"], ["CITY", "NAME"])
    assert (former.sync(other)["state"], former.sync(other)["remote_key"]) == ("skipped", None)


def test_however_a_twin_gets_into_the_queue_again_it_is_not_sent(
    former: Former, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [first], [other] = former.add(email=ADA), former.add(email=OTHERS[0], select=False)
    former.upgrade()
    assert deliver(delivery) == {"synced": 1}
    for statement in (
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' WHERE id = :id",
        "UPDATE contacts SET name = 'Edited' WHERE id = :id",
    ):
        former.run(statement, id=other)
        assert deliver(delivery) == {"skipped": 1}
        assert former.sync(other)["last_error"] == f"Contact {first} {SAME}"
    assert [one["email"] for one in brevo_sandbox.contacts()] == [ADA]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM contacts WHERE id = :id",
        "UPDATE contacts SET email = 'ada@other.example' WHERE id = :id",
        "UPDATE crm_contacts SET email = NULL WHERE id = :id",
    ],
)
def test_when_the_address_is_free_the_next_twin_is_an_ordinary_contact_and_goes_where_it_was_kept_from_going(
    former: Former, statement: str
) -> None:
    [first], [second], [third] = former.add(email=ADA), former.add(email=OTHERS[0]), former.add(email=OTHERS[1])
    former.upgrade()
    former.run(statement, id=first)
    assert (former.addresses()[second], former.addresses()[third]) == (ADA, None)
    assert former.sync(second)["state"] == "queued"
    assert (former.sync(third)["state"], former.sync(third)["last_error"]) == ("skipped", f"Contact {second} {SAME}")


def test_a_twin_whose_address_is_corrected_is_an_ordinary_contact(former: Former, delivery: Delivery) -> None:
    former.add(email=ADA)
    [other] = former.add(email=OTHERS[0])
    former.upgrade()
    with pytest.raises(sa.exc.IntegrityError, match="has this address already"):
        former.run("UPDATE contacts SET email = :email WHERE id = :id", email=OTHERS[1], id=other)
    former.run("UPDATE contacts SET email = 'ada@other.example' WHERE id = :id", id=other)
    assert former.twins() == set()
    assert deliver(delivery) == {"synced": 2}


def test_twins_can_be_merged(former: Former) -> None:
    [first] = former.add(email=ADA, name=None, phone_number="+12025550143", custom_fields='{"City": "London"}')
    [other] = former.add(
        email=OTHERS[0], name="Ada", phone_number="+12025550100", custom_fields='{"City": "Paris", "Tier": "gold"}'
    )
    former.run("SELECT crm_suppress('hubspot', ARRAY[CAST(:id AS uuid)])", id=other)
    former.upgrade()
    with former.engine.begin() as connection:
        assert merge_twins(connection) == 1
        assert merge_twins(connection) == 0
    assert former.all("SELECT id, address, email, name, phone_number, custom_fields FROM crm_contacts") == [
        {
            "id": first,
            "address": ADA,
            "email": ADA,
            "name": "Ada",
            "phone_number": "+12025550143",
            "custom_fields": {"City": "London", "Tier": "gold"},
        }
    ]
    kinds = "SELECT last_error_kind AS kind FROM crm_syncs WHERE contact_id = :id AND crm = 'hubspot' "
    assert former.all(kinds, id=first) == [{"kind": "suppressed"}]
    assert other not in former.addresses()


def test_nobody_who_is_suppressed_becomes_sendable(former: Former, delivery: Delivery) -> None:
    [tabbed] = former.add(email="eve@example.com\t")
    former.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)], 'objected')", id=tabbed)
    [first], [other] = former.add(email=ADA), former.add(email=OTHERS[0])
    former.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=other)
    former.upgrade()
    assert deliver(delivery) in ({}, {"skipped": 1})
    assert former.sync(first)["last_error_kind"] == "suppressed"
    former.run("DELETE FROM contacts")
    former.add(email="Eve@example.com")
    former.add(email=ADA)
    assert deliver(delivery) == {}
    reasons = "SELECT DISTINCT person, reason FROM crm_suppressions WHERE lifted_at IS NULL AND reason IS NOT NULL"
    assert len(former.all(reasons)) == 1


def test_what_came_in_past_the_trigger_gets_its_form_with_the_next_run(people: People, engine: sa.Engine) -> None:
    [holder] = people.add(email="bob@example.com")
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER USER")
    first, second, third = (people.add(email=email)[0] for email in (ADA, OTHERS[0], "Bob@example.com\t"))
    people.run("UPDATE crm_contacts SET created_at = now() - interval '1 day' WHERE id = :id", id=first)
    people.run("ALTER TABLE crm_contacts ENABLE TRIGGER USER")
    settle(engine)
    rows = people.all("SELECT id, address FROM crm_contacts")
    assert {row["id"]: row["address"] for row in rows} == {
        holder: "bob@example.com",
        first: ADA,
        second: None,
        third: None,
    }


def test_a_former_versions_import_goes_on_beside_the_new_tables(former: Former) -> None:
    former.add(email="Ada@example.com")
    former.upgrade()
    former.run(
        "INSERT INTO crm_contacts (email, name) VALUES ('ada@example.com ', 'Ada'), ('grace@example.com', 'Grace') "
        "ON CONFLICT (lower(btrim(email))) DO UPDATE SET name = excluded.name"
    )
    names = former.all("SELECT name, address FROM crm_contacts ORDER BY address")
    assert names == [
        {"name": "Ada", "address": "ada@example.com"},
        {"name": "Grace", "address": "grace@example.com"},
    ]
