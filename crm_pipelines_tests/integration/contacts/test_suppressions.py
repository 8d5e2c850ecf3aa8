"""Who must never be sent is not sent, whatever becomes of the contact's row, until somebody lifts it by name."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic import command

from crm_pipelines.contacts import records
from crm_pipelines.contacts.suppressions import suppress, suppressions, unsuppress
from crm_pipelines.database import connecting, migrating
from crm_pipelines.delivery.spellings import spellings
from crm_pipelines.delivery.why import preview
from crm_pipelines.errors import UsageError
from crm_pipelines.files import import_contacts
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.delivery.conftest import Delivery, delivery

__all__ = ["delivery"]

ADA = "ada@example.com"
SELECT = "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued'"


def never_send(engine: sa.Engine, email: str = ADA, *, crm: str = "brevo", reason: str | None = None) -> int:
    with engine.begin() as connection:
        return suppress(connection, crm, [spellings(email)], reason=reason, by="test").added


def lift(engine: sa.Engine, email: str = ADA, *, crm: str = "brevo") -> int:
    with engine.begin() as connection:
        return unsuppress(connection, crm, spellings(email), reason="asked for it", by="test").persons


def status(people: People, email: str = ADA) -> str:
    [row] = people.all("SELECT brevo_sync_status AS status FROM contacts WHERE email = :email", email=email)
    found: str = row["status"]
    return found


def by_view(people: People, _: Path) -> None:
    people.run("INSERT INTO contacts (email) VALUES ('Ada@example.com ')")


def selected_by_view(people: People, _: Path) -> None:
    people.run(
        "INSERT INTO contacts (email, brevo_sync_status, brevo_processing_status) "
        "VALUES ('Ada@example.com ', 'Selected', 'Queued')"
    )


def by_api(people: People, _: Path) -> None:
    names = [
        "name",
        "first_name",
        "last_name",
        "phone_number",
        "email_type",
        "has_gmail",
        "context",
        "source_url",
        "source_job_id",
        "domain_id",
    ]
    with people.engine.begin() as connection:
        blank = dict.fromkeys([*names, "page_id"])
        records.create(connection, {**blank, "email": "Ada@example.com ", "custom_fields": {}})


def by_file(people: People, folder: Path) -> None:
    file = folder / "people.csv"
    file.write_text("email\nAda@example.com\n", encoding="utf-8")
    report = import_contacts(people.engine, file, select=["brevo"])
    assert (report.selected, report.suppressed) == ({"brevo": 0}, {"brevo": 1})


def by_edit(people: People, _: Path) -> None:
    people.add(email="other@example.com")
    people.run("UPDATE contacts SET email = 'Ada@example.com' WHERE email = 'other@example.com'")


@pytest.mark.parametrize("arrive", [by_view, selected_by_view, by_api, by_file, by_edit])
@pytest.mark.parametrize("deleted", [False, True], ids=["never a contact", "deleted"])
def test_who_comes_under_a_suppressed_address_is_suppressed(
    people: People, tmp_path: Path, deleted: bool, arrive: Callable[[People, Path], None]
) -> None:
    if deleted:
        people.add(email=ADA)
    never_send(people.engine)
    people.run("DELETE FROM contacts")
    arrive(people, tmp_path)
    [row] = people.all("SELECT email, brevo_sync_status AS status, hubspot_sync_status AS other FROM contacts")
    assert (row["status"], row["other"]) == ("Skipped", "New")
    people.run(SELECT)
    assert people.states() == {"skipped": 1}


def test_a_suppression_stops_a_contact_in_any_state(people: People) -> None:
    people.add(email=ADA)
    with people.engine.begin() as connection:
        done = suppress(connection, "brevo", [spellings("ADA@example.com")], reason=None, by="test")
    assert (done.added, done.known, done.contacts) == (1, 0, 1)
    assert status(people) == "Skipped"
    assert never_send(people.engine) == 0


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE contacts SET brevo_sync_status = 'New', brevo_processing_status = NULL",
        "UPDATE contacts SET brevo_sync_status = 'New', brevo_processing_status = NULL WHERE email = 'ada@example.com'",
        SELECT,
        "SELECT crm_unselect('brevo', array_agg(id)) FROM crm_contacts",
        "SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts",
        "UPDATE contacts SET name = 'Changed'",
    ],
)
def test_nothing_lifts_a_suppression_but_saying_so(people: People, attempt: str) -> None:
    people.add(email=ADA)
    people.add(email="other@example.com")
    never_send(people.engine)
    people.run(attempt)
    assert status(people) == "Skipped"
    [contact] = people.all("SELECT id FROM crm_contacts WHERE email = :email", email=ADA)
    people.run("SELECT crm_unsuppress('brevo', ARRAY[CAST(:id AS uuid)], 'asked for it')", id=contact["id"])
    assert status(people) == "New"
    people.run(SELECT)
    assert status(people) == "Selected"


def test_who_is_lifted_is_lifted_under_every_identifier_and_on_record(people: People) -> None:
    people.add(email=ADA)
    never_send(people.engine, reason="objected by letter")
    people.run("UPDATE contacts SET email = 'new@example.com'")
    assert status(people, "new@example.com") == "Skipped"
    assert lift(people.engine, "new@example.com") == 1
    assert status(people, "new@example.com") == "New"
    people.run("DELETE FROM contacts")
    by_view(people, Path())
    assert people.states() == {}, "the former address is that of the same person"
    rows = people.all("SELECT DISTINCT reason, by, lifted_by, lift_reason FROM crm_suppressions")
    assert rows == [{"reason": "objected by letter", "by": "test", "lifted_by": "test", "lift_reason": "asked for it"}]


def test_a_suppressed_person_takes_the_suppression_along_to_a_new_address(people: People) -> None:
    people.add(email=ADA)
    never_send(people.engine)
    people.run("UPDATE contacts SET email = 'new@example.com'")
    people.run("DELETE FROM contacts")
    people.add(email="new@example.com")
    assert people.states() == {"skipped": 1}


def test_a_contact_without_an_address_can_be_suppressed(people: People) -> None:
    [contact_id] = people.add(email=None)
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    people.run("UPDATE contacts SET email = 'ada@example.com'")
    people.run("DELETE FROM contacts")
    people.add(email=ADA)
    assert people.states() == {"skipped": 1}


def test_one_crm_is_suppressed_and_the_others_are_not(people: People) -> None:
    people.add(email=ADA)
    never_send(people.engine, crm="hubspot")
    people.run(f"{SELECT}, hubspot_sync_status = 'Selected'")
    [row] = people.all("SELECT brevo_sync_status AS brevo, hubspot_sync_status AS hubspot FROM contacts")
    assert row == {"brevo": "Selected", "hubspot": "Skipped"}


def test_no_address_is_kept_and_the_digest_is_a_keyed_one(people: People) -> None:
    never_send(people.engine)
    [row] = people.all("SELECT s::text AS all_of_it, digest FROM crm_suppressions s")
    assert "ada@" not in row["all_of_it"]
    assert "example.com" not in row["all_of_it"]
    [key] = people.all("SELECT inner_block FROM crm_digest_keys")
    secret = bytes(one ^ 0x36 for one in key["inner_block"])
    assert bytes(row["digest"]) == hmac.digest(secret, f"email:{ADA}".encode(), hashlib.sha256)
    assert len(set(secret[:32])) > 16


def test_the_list_tells_who_is_a_contact(people: People) -> None:
    [contact_id] = people.add(email=ADA)
    never_send(people.engine, reason="by letter")
    never_send(people.engine, "nobody@example.com")
    lift(people.engine, "nobody@example.com")
    never_send(people.engine, "stranger@example.com", crm="n8n")
    with people.engine.connect() as connection:
        listed = [(one.crm, one.reason, one.contact_id, one.email) for one in suppressions(connection)]
        assert [one.crm for one in suppressions(connection, "n8n")] == ["n8n"]
    assert listed == [("brevo", "by letter", contact_id, ADA), ("n8n", None, None, None)]


def test_what_is_no_address_is_refused_unquoted() -> None:
    with pytest.raises(UsageError, match="@-sign") as refused:
        spellings("Zebedee")
    assert "Zebedee" not in str(refused.value)


def test_who_is_suppressed_right_before_is_not_sent(people: People, delivery: Delivery) -> None:
    people.add(2)
    people.add(email=ADA)
    claims = delivery.claim()
    never_send(people.engine)
    delivery.courier().deliver(claims)
    delivery.apply()
    assert people.states() == {"synced": 2, "skipped": 1}


def test_a_database_of_before_keeps_its_suppressed_and_puts_nobody_back_on_a_list(empty_database_url: str) -> None:
    engine = connecting.create_engine(empty_database_url)
    people = People(engine)
    config = migrating._config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        connection.commit()
    [suppressed] = people.add(email=ADA)
    [delivered] = people.add()
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=suppressed)
    people.run("UPDATE crm_syncs SET remote_key = 'x' WHERE contact_id = :id", id=delivered)
    migrating.upgrade(empty_database_url)
    assert people.sync(delivered)["lists"] is None, "not known, so the list counts as asked for"
    people.run("DELETE FROM contacts WHERE id = :id", id=suppressed)
    [again] = people.add(email=ADA)
    assert people.sync(again)["state"] == "skipped"
    assert people.sync(again)["lists"] == []
    engine.dispose()


def contact_in(people: People, email: str) -> UUID:
    """Queued in spite of the triggers, as if it had been written in the same moment as the suppression."""
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER USER")
    [contact_id] = people.add(email=email)
    people.run("ALTER TABLE crm_contacts ENABLE TRIGGER USER")
    return contact_id


@pytest.mark.parametrize("stored", [ADA, "Ada@EXAMPLE.com\u00a0", "ada@müller.example"])
@pytest.mark.parametrize("named", [ADA, "ada@müller.example", "ADA@xn--mller-kva.example"])
def test_whoever_got_as_far_as_the_request_is_not_sent_whatever_the_spelling(
    people: People, delivery: Delivery, stored: str, named: str
) -> None:
    same = spellings(stored.replace("\u00a0", "")) & spellings(named)
    never_send(people.engine, named)
    contact_id = contact_in(people, stored)
    told = preview(people.engine, delivery.crm, contact_id)
    assert told is not None
    assert told.verdict == ("skipped" if same else "send")
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == ({"skipped": 1} if same else {"synced": 1})
    row = people.sync(contact_id)
    assert row["last_error_kind"] == ("suppressed" if same else None)
    assert row["last_attempt_at"] is None or not same


def test_who_was_suppressed_by_sql_and_comes_back_with_the_domain_spelt_otherwise_is_not_sent(
    people: People, delivery: Delivery
) -> None:
    people.add(email="ada@müller.example")
    people.run("SELECT crm_suppress('brevo', array_agg(id)) FROM crm_contacts")
    people.run("DELETE FROM crm_contacts")
    [contact_id] = people.add(email="ada@xn--mller-kva.example")
    assert delivery.claim() == []
    assert people.sync(contact_id)["last_error_kind"] == "suppressed"
