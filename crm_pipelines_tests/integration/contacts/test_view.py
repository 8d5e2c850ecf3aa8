"""The view `contacts` is the SQL contract: what apps read from it is true, and what they write is understood."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines_tests.integration.contacts.states import STATUS_PAIRS, add_contact, put
from crm_pipelines_tests.patience import wait_until

CRMS = ["brevo", "hubspot", "mautic", "n8n"]


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


def query(connection: sa.Connection, statement: str, **parameters: Any) -> sa.CursorResult[Any]:
    return connection.execute(sa.text(statement), parameters)


def pair(connection: sa.Connection, contact_id: UUID, crm: str = "brevo") -> tuple[str, str | None]:
    statement = f"SELECT {crm}_sync_status, {crm}_processing_status FROM contacts WHERE id = :id"
    row = query(connection, statement, id=contact_id).one()
    return row[0], row[-1]


def write(connection: sa.Connection, contact_id: UUID, sync: str | None, processing: str | None) -> None:
    query(
        connection,
        "UPDATE contacts SET brevo_sync_status = :sync, brevo_processing_status = :processing WHERE id = :id",
        sync=sync,
        processing=processing,
        id=contact_id,
    )


def refusal(error: pytest.ExceptionInfo[sa.exc.DBAPIError]) -> psycopg.errors.Diagnostic:
    assert isinstance(error.value.orig, psycopg.Error)
    return error.value.orig.diag


# Reading


@pytest.mark.parametrize("crm", CRMS)
def test_each_state_shows_as_its_pair_of_statuses(connection: sa.Connection, crm: str) -> None:
    for state, expected in STATUS_PAIRS.items():
        contact = add_contact(connection, f"{state}@example.com")
        put(connection, contact, state, crm=crm)
        assert pair(connection, contact, crm) == expected
        assert all(pair(connection, contact, other) == ("New", None) for other in CRMS if other != crm)


def test_the_columns_of_the_contract_are_all_there(connection: sa.Connection) -> None:
    expected = {
        *("id", "email", "name", "phone_number", "email_type", "has_gmail", "context", "source_url", "source_job_id"),
        *("domain_id", "page_id", "custom_fields", "created_at", "updated_at", "first_name", "last_name"),
        *("retry_count", "next_retry_at", "last_retry_at", "last_failed_crm"),
        *(
            f"{crm}_{column}"
            for crm in CRMS
            for column in ("sync_status", "processing_status", "processing_error", "contact_id", "id")
        ),
    }
    found = query(connection, "SELECT column_name FROM information_schema.columns WHERE table_name = 'contacts'")
    assert set(found.scalars()) == expected


def test_the_view_is_listed_as_writable(connection: sa.Connection) -> None:
    row = query(
        connection,
        "SELECT is_trigger_insertable_into, is_trigger_updatable, is_trigger_deletable "
        "FROM information_schema.views WHERE table_name = 'contacts'",
    ).one()
    assert row == ("YES", "YES", "YES")


def test_all_but_brevo_know_a_contact_by_ids_of_their_own(connection: sa.Connection) -> None:
    contact = add_contact(connection)
    for crm in ("hubspot", "mautic", "n8n"):
        put(connection, contact, "synced", crm=crm)
    told = query(connection, "SELECT hubspot_contact_id, mautic_contact_id, n8n_contact_id FROM contacts").one()
    assert told == ("42", "42", "42")


def test_what_the_crm_holds_is_shown_beside_the_status(connection: sa.Connection) -> None:
    contact = add_contact(connection)
    put(connection, contact, "synced")
    assert query(connection, "SELECT brevo_contact_id, brevo_id FROM contacts").one() == ("old@example.com", "42")


def test_the_retry_columns_tell_of_the_most_recent_failure(connection: sa.Connection) -> None:
    contact = add_contact(connection)
    put(connection, contact, "failed", last_attempt_at=sa.text("now() - interval '1 hour'"))
    row = query(connection, "SELECT retry_count, next_retry_at, last_failed_crm FROM contacts").one()
    assert row == (3, None, "brevo")
    put(
        connection,
        contact,
        "waiting",
        crm="hubspot",
        last_attempt_at=sa.text("now()"),
        run_at=sa.text("now() + interval '10 min'"),
    )
    row = query(
        connection,
        "SELECT retry_count, next_retry_at = now() + interval '10 min' AS due, last_retry_at = now() AS retried, "
        "last_failed_crm FROM contacts",
    ).one()
    assert row == (2, True, True, "hubspot")


def test_a_contact_that_never_failed_has_no_retries(connection: sa.Connection) -> None:
    put(connection, add_contact(connection), "synced")
    row = query(connection, "SELECT retry_count, next_retry_at, last_retry_at, last_failed_crm FROM contacts").one()
    assert row == (0, None, None, None)


# Deciding


@pytest.mark.parametrize(
    ("state", "written", "outcome"),
    [
        (None, ("Selected", "Queued"), ("Selected", "Queued")),
        (None, ("Selected", None), ("Selected", "Queued")),
        (None, ("New", "Queued"), ("Selected", "Queued")),
        ("unselected", ("Selected", "Queued"), ("Selected", "Queued")),
        ("synced", ("Selected", "Queued"), ("Selected", "Queued")),
        ("synced", ("Selected", "Complete"), ("Selected", "Queued")),
        ("failed", ("Selected", "Queued"), ("Selected", "Queued")),
        ("failed", ("Queued", "Queued"), ("Selected", "Queued")),
        ("failed", ("Error", "Queued"), ("Selected", "Queued")),
        ("skipped", ("Selected", "Queued"), ("Selected", "Queued")),
        ("waiting", ("Selected", "Queued"), ("Queued", "Queued")),
        ("claimed", ("Selected", "Queued"), ("Processing", "Processing")),
        ("queued", ("New", None), ("New", None)),
        ("queued", ("New", "Queued"), ("New", None)),
        ("claimed", ("New", None), ("New", None)),
        ("failed", ("New", "Error"), ("New", None)),
        ("suppressed", ("New", None), ("Skipped", None)),
        (None, ("Skipped", None), ("Skipped", None)),
        ("queued", ("Skipped", None), ("Skipped", None)),
        ("queued", (None, None), ("New", None)),
    ],
)
def test_a_written_pair_is_a_decision(
    connection: sa.Connection,
    state: str | None,
    written: tuple[str | None, str | None],
    outcome: tuple[str, str | None],
) -> None:
    contact = add_contact(connection)
    put(connection, contact, state)
    write(connection, contact, *written)
    assert pair(connection, contact) == outcome


@pytest.mark.parametrize(
    ("state", "written"),
    [
        (None, ("Complete", "Complete")),
        (None, ("Processing", "Processing")),
        ("queued", ("Complete", "Queued")),
        ("queued", ("Error", "Error")),
        ("queued", ("Selected", "Complete")),
        ("queued", ("Shipped", None)),
        ("claimed", ("Error", "Error")),
        ("claimed", ("Processing", None)),
    ],
)
def test_what_only_deliveries_may_set_is_refused_with_a_way_out(
    connection: sa.Connection, state: str | None, written: tuple[str, str | None]
) -> None:
    contact = add_contact(connection)
    put(connection, contact, state)
    with pytest.raises(sa.exc.IntegrityError, match="only deliveries bring a contact there") as error:
        write(connection, contact, *written)
    assert refusal(error).sqlstate == "23514"
    assert "'Selected', 'Queued' (deliver)" in (refusal(error).message_hint or "")


def test_writing_back_what_was_read_changes_nothing(connection: sa.Connection) -> None:
    contacts = {state: add_contact(connection, f"{state}@example.com") for state in STATUS_PAIRS}
    for state, contact in contacts.items():
        put(connection, contact, state)
    before = query(connection, "SELECT to_jsonb(s) FROM crm_syncs s").scalars().all()
    columns = query(connection, "SELECT * FROM contacts").keys()
    query(connection, f"UPDATE contacts SET {', '.join(f'{name} = {name}' for name in columns)}")
    for state, contact in contacts.items():
        write(connection, contact, *STATUS_PAIRS[state])
    assert query(connection, "SELECT to_jsonb(s) FROM crm_syncs s").scalars().all() == before
    assert set(query(connection, "SELECT revision FROM crm_contacts").scalars()) == {1}


def test_the_reset_of_a_failed_contact_gives_it_its_full_attempts(connection: sa.Connection) -> None:
    contact = add_contact(connection)
    put(connection, contact, "failed")
    query(
        connection,
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued', "
        "brevo_processing_error = NULL, retry_count = 0, next_retry_at = NULL WHERE brevo_processing_status = 'Error'",
    )
    row = query(connection, "SELECT brevo_processing_error, retry_count, last_failed_crm FROM contacts").one()
    assert row == (None, 0, None)
    assert pair(connection, contact) == ("Selected", "Queued")
    assert query(connection, "SELECT attempts FROM crm_syncs").scalar_one() == 0


@pytest.mark.parametrize(
    "assignment",
    [
        "brevo_contact_id = NULL",
        "brevo_id = '7'",
        "brevo_processing_error = 'x'",
        "retry_count = 0",
        "next_retry_at = NULL",
    ],
)
def test_what_the_deliveries_keep_is_not_written_by_hand(connection: sa.Connection, assignment: str) -> None:
    put(
        connection,
        add_contact(connection),
        "waiting",
        remote_key="old@example.com",
        last_attempt_at=sa.text("now()"),
    )
    with pytest.raises(sa.exc.IntegrityError, match="cannot be written; deliveries keep that"):
        query(connection, f"UPDATE contacts SET {assignment}")


def test_a_suppressed_contact_stays_so_and_fails_no_bulk_update(connection: sa.Connection) -> None:
    suppressed, other = add_contact(connection, "a@example.com"), add_contact(connection, "b@example.com")
    put(connection, suppressed, "suppressed")
    notices: list[str] = []
    assert connection.connection.driver_connection is not None
    connection.connection.driver_connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    query(connection, "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued'")
    assert pair(connection, suppressed) == ("Skipped", None)
    assert pair(connection, other) == ("Selected", "Queued")
    assert notices == [f"Contact {suppressed} is suppressed for brevo and stays so."]


def test_each_of_many_that_are_queued_is_found_by_index(connection: sa.Connection) -> None:
    query(
        connection, "INSERT INTO crm_contacts (email) SELECT 'u' || i || '@example.com' FROM generate_series(1, 1000) i"
    )
    query(connection, "ANALYZE crm_contacts")
    read = "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname LIKE 'crm\\_%'"
    before = query(connection, read).scalar_one()
    query(
        connection,
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' "
        "WHERE email LIKE '%@example.com'",
    )
    assert query(connection, read).scalar_one() - before <= 5000, "rows that were read without an index"
    assert query(connection, "SELECT count(*) FROM crm_syncs WHERE state = 'queued'").scalar_one() == 1000


# Changing who somebody is


def test_an_edit_makes_a_revision_and_queues_what_was_delivered(connection: sa.Connection) -> None:
    contact = add_contact(connection, name="Ada")
    put(connection, contact, "synced")
    query(connection, "UPDATE contacts SET name = 'Ada L.' WHERE id = :id", id=contact)
    assert query(connection, "SELECT revision FROM crm_contacts").scalar_one() == 2
    assert pair(connection, contact) == ("Selected", "Queued")


def test_an_edit_leaves_alone_what_somebody_else_changed_meanwhile(engine: sa.Engine) -> None:
    with engine.begin() as setup:
        contact = add_contact(setup, name="Ada", phone_number="+12025550100")
    with engine.connect() as first, engine.connect() as second:
        query(first, "UPDATE crm_contacts SET name = 'Ada L.' WHERE id = :id", id=contact)
        pid = query(second, "SELECT pg_backend_pid()").scalar_one()
        with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(False)) as watcher:
            watcher.autocommit = True
            worker = threading.Thread(
                target=query,
                args=(second, "UPDATE contacts SET phone_number = '+12025550101' WHERE id = :id"),
                kwargs={"id": contact},
            )
            worker.start()
            waiting = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
            wait_until(lambda: watcher.execute(waiting, [pid]).fetchone(), "the second edit waits for the first")
            first.commit()
            worker.join()
            second.commit()
    with engine.connect() as connection:
        row = query(connection, "SELECT name, phone_number FROM contacts").one()
    assert row == ("Ada L.", "+12025550101")


def test_returning_says_what_is_stored(connection: sa.Connection) -> None:
    row = query(
        connection,
        "INSERT INTO contacts (email, brevo_sync_status) VALUES ('ada@example.com', 'Selected') "
        "RETURNING id, custom_fields, created_at = now() AS dated, brevo_sync_status, brevo_processing_status, "
        "n8n_sync_status",
    ).one()
    assert isinstance(row.id, UUID)
    assert tuple(row)[1:] == ({}, True, "Selected", "Queued", "New")
    put_back = query(connection, "UPDATE contacts SET brevo_sync_status = 'New' RETURNING brevo_processing_status")
    assert put_back.scalar_one() is None
    assert query(connection, "DELETE FROM contacts RETURNING email").scalar_one() == "ada@example.com"
    assert query(connection, "SELECT count(*) FROM crm_contacts").scalar_one() == 0


def test_an_insert_takes_given_values_and_fills_in_the_rest(connection: sa.Connection) -> None:
    wanted = uuid4()
    query(
        connection,
        "INSERT INTO contacts (id, email, custom_fields, created_at, hubspot_sync_status, hubspot_processing_status, "
        "retry_count) VALUES (:id, 'ada@example.com', NULL, '2020-01-01Z', 'Selected', 'Queued', 0)",
        id=wanted,
    )
    row = query(connection, "SELECT id, custom_fields, created_at = '2020-01-01Z' AS dated FROM contacts").one()
    assert row == (wanted, {}, True)
    assert pair(connection, wanted, "hubspot") == ("Selected", "Queued")


def test_an_insert_as_delivered_is_refused(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="only deliveries"):
        query(
            connection,
            "INSERT INTO contacts (email, brevo_sync_status, brevo_processing_status) "
            "VALUES ('a@example.com', 'Complete', 'Complete')",
        )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO contacts (email) VALUES (' ADA@example.com')",
        "UPDATE contacts SET email = 'Ada@Example.com' WHERE email = 'b@example.com'",
    ],
)
def test_a_second_contact_with_the_address_is_refused_by_id_without_the_address(
    connection: sa.Connection, statement: str
) -> None:
    holder = add_contact(connection, "ada@example.com")
    add_contact(connection, "b@example.com")
    with pytest.raises(sa.exc.IntegrityError) as error:
        query(connection, statement)
    diagnostic = refusal(error)
    assert diagnostic.sqlstate == "23505"
    assert diagnostic.message_primary == f"Contact {holder} has this address already."
    assert "example.com" not in str(error.value.orig).lower()


def test_a_second_contact_with_the_id_is_refused(connection: sa.Connection) -> None:
    contact = add_contact(connection)
    with pytest.raises(sa.exc.IntegrityError, match=f"Contact {contact} exists already"):
        query(connection, "INSERT INTO contacts (id, email) VALUES (:id, 'b@example.com')", id=contact)


@pytest.mark.parametrize("assignment", ["id = gen_random_uuid()", "created_at = '2020-01-01Z'"])
def test_id_and_creation_date_are_for_ever(connection: sa.Connection, assignment: str) -> None:
    add_contact(connection)
    with pytest.raises(sa.exc.IntegrityError, match="cannot be changed"):
        query(connection, f"UPDATE contacts SET {assignment}")


# Plans


@pytest.mark.parametrize("column", ["id", "email"])
def test_one_contact_is_looked_up_by_index(connection: sa.Connection, column: str) -> None:
    query(
        connection,
        "INSERT INTO crm_contacts (email) SELECT 'u' || i || '@example.com' FROM generate_series(1, 5000) i",
    )
    query(connection, "INSERT INTO crm_syncs (contact_id, crm) SELECT id, 'brevo' FROM crm_contacts")
    query(connection, "ANALYZE crm_contacts, crm_syncs")
    value = query(connection, f"SELECT {column}::text FROM crm_contacts LIMIT 1").scalar_one()
    plan = "\n".join(query(connection, f"EXPLAIN SELECT * FROM contacts WHERE {column} = '{value}'").scalars())
    assert "Seq Scan" not in plan


def test_a_query_pays_only_for_the_crms_that_it_names(connection: sa.Connection) -> None:
    plan = "\n".join(query(connection, "EXPLAIN SELECT brevo_sync_status, count(*) FROM contacts GROUP BY 1").scalars())
    assert plan.count(" on crm_syncs ") == 1


# The queries of the original's runbook


@pytest.fixture
def several(connection: sa.Connection) -> dict[str, UUID]:
    contacts = {}
    for state in ("queued", "waiting", "claimed", "synced", "failed", "rejected"):
        contacts[state] = add_contact(connection, f"{state}@example.com")
        put(connection, contacts[state], state)
    return contacts


def test_runbook_counts_by_status(connection: sa.Connection, several: dict[str, UUID]) -> None:
    counts = query(
        connection,
        "SELECT brevo_sync_status, brevo_processing_status, count(*) FROM contacts GROUP BY 1, 2 ORDER BY 1, 2",
    ).all()
    assert list(map(tuple, counts)) == [
        ("Complete", "Complete", 1),
        ("Error", "Error", 2),
        ("Processing", "Processing", 1),
        ("Queued", "Queued", 1),
        ("Selected", "Queued", 1),
    ]


def test_runbook_failed_contacts_with_their_errors(connection: sa.Connection, several: dict[str, UUID]) -> None:
    failed = query(
        connection,
        "SELECT id, brevo_processing_error, retry_count FROM contacts WHERE brevo_processing_status = 'Error' "
        "ORDER BY retry_count DESC",
    ).all()
    assert list(map(tuple, failed)) == [(several["failed"], "HTTP 503", 3), (several["rejected"], "Invalid phone", 0)]


def test_runbook_contacts_due_for_a_retry(connection: sa.Connection, several: dict[str, UUID]) -> None:
    due = query(
        connection, "SELECT id FROM contacts WHERE brevo_processing_status = 'Queued' AND next_retry_at <= now()"
    )
    assert due.scalars().all() == [several["waiting"]]


def test_runbook_contacts_stuck_in_processing(connection: sa.Connection, several: dict[str, UUID]) -> None:
    stuck = query(
        connection,
        "SELECT id FROM contacts WHERE brevo_processing_status = 'Processing' "
        "AND updated_at < now() + interval '1 second'",
    )
    assert stuck.scalars().all() == [several["claimed"]]


def test_runbook_reset_of_everything_that_failed(connection: sa.Connection, several: dict[str, UUID]) -> None:
    reset = query(
        connection,
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued', "
        "brevo_processing_error = NULL, retry_count = 0 WHERE brevo_sync_status = 'Error'",
    )
    assert reset.rowcount == 2
    assert pair(connection, several["failed"]) == pair(connection, several["rejected"]) == ("Selected", "Queued")
