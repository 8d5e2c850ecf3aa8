"""Contacts are added or changed by their address in SQL: one or many, at the same time, and none fails for another."""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Json, Jsonb

from crm_pipelines.files import import_contacts
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE, wait_until

ADA = "ada@example.com"
_DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "sql.md"
_MANY = sa.text("SELECT * FROM crm_upsert_contacts(:contacts, CAST(:crms AS text[]))")
_STORED = "SELECT to_jsonb(c) - '{id,created_at,updated_at,revision}'::text[] AS row FROM crm_contacts c ORDER BY email"


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


def upsert(connection: sa.Connection, *contacts: Any, crms: Sequence[str] = ()) -> list[dict[str, Any]]:
    rows = connection.execute(_MANY, {"contacts": json.dumps(contacts), "crms": list(crms)})
    return [dict(row._mapping) for row in rows]


def outcomes(answer: list[dict[str, Any]]) -> list[str]:
    return [row["outcome"] for row in answer]


def one(connection: sa.Connection, arguments: str) -> Any:
    return connection.execute(sa.text(f"SELECT * FROM crm_upsert_contact({arguments})")).one()


def stored(connection: sa.Connection, email: str = ADA) -> dict[str, Any]:
    row = connection.execute(sa.text("SELECT * FROM crm_contacts WHERE email = :email"), {"email": email}).one()
    return dict(row._mapping)


def test_an_address_in_any_case_is_one_contact_and_the_answer_says_what_became_of_it(connection: sa.Connection) -> None:
    added = one(connection, f"'{ADA}', name => 'Ada', custom_fields => '{{\"Tier\": \"gold\"}}'")
    assert (added.outcome, added.problem, added.selected) == ("added", None, [])
    updated = one(connection, "' ADA@Example.com ', name => 'Ada King'")
    assert (updated.id, updated.outcome) == (added.id, "updated")
    assert one(connection, f"'{ADA}', name => 'Ada King'").outcome == "unchanged"
    contact = stored(connection)
    assert (contact["id"], contact["name"], contact["custom_fields"]) == (added.id, "Ada King", {"Tier": "gold"})
    assert contact["revision"] == 2


def test_what_is_not_named_stays_and_what_is_null_is_cleared(connection: sa.Connection) -> None:
    everything = {
        "email": ADA,
        "name": "Ada",
        "phone_number": "+14155550100",
        "email_type": "work",
        "has_gmail": True,
        "context": "met",
        "source_url": "https://example.com",
        "source_job_id": "123e4567-e89b-12d3-a456-426614174000",
        "domain_id": "123e4567-e89b-12d3-a456-426614174001",
        "page_id": "123e4567-e89b-12d3-a456-426614174002",
        "custom_fields": {"Tier": "gold", "Plan": "pro", "Deep": {"kept": None}},
    }
    upsert(connection, everything)
    before = stored(connection)
    uuids = {name: UUID(str(everything[name])) for name in everything if name.endswith("_id")}
    assert {name: before[name] for name in everything} == everything | uuids
    assert outcomes(upsert(connection, {"email": ADA})) == ["unchanged"]
    upsert(connection, {"email": ADA, "has_gmail": None, "page_id": None, "custom_fields": {"Tier": None, "New": 1}})
    after = stored(connection)
    assert {name for name in before if before[name] != after[name]} - {"revision", "updated_at"} == {
        "has_gmail",
        "page_id",
        "custom_fields",
    }
    assert (after["has_gmail"], after["page_id"]) == (None, None)
    assert after["custom_fields"] == {"Plan": "pro", "Deep": {"kept": None}, "New": 1}
    upsert(connection, {"email": ADA, "custom_fields": None})
    assert stored(connection)["custom_fields"] == {}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"name": None, "first_name": None, "last_name": None}, (None, None, None)),
        ({"name": None, "first_name": None}, ("King", None, "King")),
        ({"name": None}, (None, None, None)),
        ({"first_name": None}, ("King", None, "King")),
        ({"last_name": None}, ("Ada", "Ada", None)),
        ({"first_name": None, "last_name": None}, ("Ada King", None, None)),
    ],
)
def test_a_part_of_a_name_that_is_null_is_taken_out_of_the_whole(
    connection: sa.Connection, given: dict[str, None], left: tuple[str | None, ...]
) -> None:
    upsert(connection, {"email": ADA, "first_name": "Ada", "last_name": "King"})
    assert outcomes(upsert(connection, {"email": ADA, **given})) == ["updated"]
    assert tuple(stored(connection)[field] for field in ("name", "first_name", "last_name")) == left
    assert outcomes(upsert(connection, {"email": ADA, **given})) == ["unchanged"]


def test_an_argument_that_is_null_leaves_the_value_and_clear_takes_it_away(connection: sa.Connection) -> None:
    one(connection, f"'{ADA}', name => 'Ada', context => 'met', custom_fields => '{{\"Tier\": 1}}'")
    assert one(connection, f"'{ADA}', name => NULL").outcome == "unchanged"
    assert one(connection, f"'{ADA}', clear => ARRAY['name', 'custom_fields']").outcome == "updated"
    contact = stored(connection)
    assert (contact["name"], contact["context"], contact["custom_fields"]) == (None, "met", {})


REFUSED: list[tuple[Any, str]] = [
    ({}, "email: it is missing."),
    ({"email": None}, "email: it is missing."),
    ({"email": "  "}, "email: it is missing."),
    ({"email": 7}, "email: it is no e-mail address."),
    ({"email": "zebedee"}, "email: it is no e-mail address."),
    ({"email": "zebedee@"}, "email: it is no e-mail address."),
    ({"email": "zebedee @example.com"}, "email: it is no e-mail address."),
    ({"email": "zebedee@@example.com"}, "email: it is no e-mail address."),
    ({"email": "zebedee@example.com, quux@example.com"}, "email: it is no e-mail address."),
    # Longer than an entry of an index may be.
    ({"email": f"{secrets.token_hex(4_000)}@example.com"}, "email: the address is longer than 254 characters."),
    ({"email": "zebedee@example.com", "nmae": "Z"}, '"nmae" is no field of a contact.'),
    ({"email": "zebedee@example.com", "id": None}, '"id" is no field of a contact.'),
    ({"email": "zebedee@example.com", "brevo_sync_status": "New"}, '"brevo_sync_status" is no field of a contact.'),
    ({"email": "zebedee@example.com", "zebedee@example.com": 1}, '"…" is no field of a contact.'),
    ({"email": "zebedee@example.com", "name": 7}, "name: expected a text."),
    ({"email": "zebedee@example.com", "phone_number": 14155550100}, "phone_number: expected a text."),
    ({"email": "zebedee@example.com", "context": ["met"]}, "context: expected a text."),
    ({"email": "zebedee@example.com", "has_gmail": "true"}, "has_gmail: expected true or false."),
    (
        {"email": "zebedee@example.com", "page_id": "7"},
        "page_id: expected a UUID such as 123e4567-e89b-12d3-a456-426614174000.",
    ),
    (
        {"email": "zebedee@example.com", "custom_fields": [1]},
        'custom_fields: expected a JSON object such as {"Tier": "gold"}.',
    ),
    (
        {"email": "zebedee@example.com", "name": 1, "has_gmail": 1},
        "has_gmail: expected true or false. name: expected a text.",
    ),
    ("zebedee@example.com", "Expected a JSON object with the fields of a contact."),
    (None, "Expected a JSON object with the fields of a contact."),
    ([{"email": "zebedee@example.com"}], "Expected a JSON object with the fields of a contact."),
]
UNSTORABLE = [
    r'{"email": "zebedee@example.com", "name": "a\u0000b"}',
    r'{"email": "zebedee@example.com", "name": "\ud800"}',
    '{"email": "zebedee@example.com", "custom_fields": {"n": 1e999999}}',
]


def test_an_item_that_cannot_be_used_says_why_without_the_address_and_costs_no_other(connection: sa.Connection) -> None:
    answer = upsert(connection, {"email": "first@example.com"}, *(item for item, _ in REFUSED), {"email": ADA})
    assert outcomes(answer) == ["added", *["refused"] * len(REFUSED), "added"]
    assert [row["ordinal"] for row in answer] == list(range(1, len(REFUSED) + 3))
    assert [row["problem"] for row in answer[1:-1]] == [problem for _, problem in REFUSED]
    assert not any("zebedee" in row["problem"] or row["id"] for row in answer[1:-1])
    count = connection.execute(sa.text("SELECT count(*) FROM crm_contacts")).scalar_one()
    assert count == 2


@pytest.mark.parametrize("item", UNSTORABLE)
def test_what_postgres_cannot_store_is_that_items_problem_alone(connection: sa.Connection, item: str) -> None:
    content = f'[{{"email": "{ADA}"}}, {item}, {{"email": "last@example.com"}}]'
    rows = connection.execute(_MANY, {"contacts": content, "crms": []}).all()
    assert [row.outcome for row in rows] == ["added", "refused", "added"]
    assert rows[1].problem == "It holds a character or a number that Postgres cannot store."


def test_what_is_no_array_or_no_crm_is_refused_as_a_whole(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="Expected a JSON array of contacts"):
        connection.execute(_MANY, {"contacts": "{}", "crms": []})
    connection.rollback()
    with pytest.raises(sa.exc.DBAPIError, match="There is no CRM named brevoo"):
        upsert(connection, {"email": ADA}, crms=["brevo", "brevoo"])
    connection.rollback()
    assert upsert(connection) == []
    assert connection.execute(sa.text("SELECT crm_upsert_contacts(CAST(NULL AS jsonb))")).all() == []


def test_items_with_one_address_count_in_their_order(connection: sa.Connection) -> None:
    answer = upsert(
        connection,
        {"email": "Ada@example.com", "name": "One", "context": "kept"},
        {"email": ADA.upper(), "name": "Two"},
        {"email": ADA, "name": "Two"},
    )
    assert outcomes(answer) == ["added", "updated", "unchanged"]
    contact = stored(connection, "Ada@example.com")
    assert {row["id"] for row in answer} == {contact["id"]}
    assert (contact["name"], contact["context"]) == ("Two", "kept")


def test_selecting_is_for_those_who_never_were_as_by_an_import(people: People, tmp_path: Path) -> None:
    emails = [f"{name}@example.com" for name in ("taken_back", "suppressed", "delivered", "waiting", "never")]
    people.run("INSERT INTO contacts (email) SELECT unnest(CAST(:emails AS text[]))", emails=emails)
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM contacts WHERE email <> 'never@example.com'")
    people.run("SELECT crm_unselect('brevo', array_agg(id)) FROM contacts WHERE email = 'taken_back@example.com'")
    people.run("SELECT crm_suppress('brevo', array_agg(id)) FROM contacts WHERE email = 'suppressed@example.com'")
    people.run(
        "UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE contact_id = "
        "(SELECT id FROM crm_contacts WHERE email = 'delivered@example.com')"
    )
    before = people.all("SELECT * FROM crm_syncs ORDER BY contact_id")
    everybody = [{"email": email} for email in (*emails, ADA)]
    with people.engine.begin() as connection:
        answer = upsert(connection, *everybody, {"email": "no address"}, crms=["hubspot", "brevo", "brevo"])
    of_brevo = ["brevo" in row["selected"] for row in answer]
    assert of_brevo == [False, False, False, False, True, True, False]
    assert [row["selected"].count("hubspot") for row in answer] == [1] * 6 + [0]
    assert [row for row in people.all("SELECT * FROM crm_syncs ORDER BY contact_id") if row in before] == before
    file = tmp_path / "contacts.csv"
    file.write_text("\n".join(["email", *emails, ADA]), encoding="utf-8")
    report = import_contacts(people.engine, file, select=["brevo"])
    assert (report.selected, report.taken_back, report.suppressed) == ({"brevo": 0}, {"brevo": 1}, {"brevo": 1})


def test_a_change_queues_who_was_delivered_and_no_change_does_not(people: People) -> None:
    [contact] = people.add(email=ADA, name="Ada")
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision")
    with people.engine.begin() as connection:
        upsert(connection, {"email": ADA, "name": "Ada"})
    assert people.sync(contact)["state"] == "synced"
    with people.engine.begin() as connection:
        upsert(connection, {"email": ADA, "name": "Ada King"})
    assert people.sync(contact)["state"] == "queued"


def test_who_must_never_be_sent_is_suppressed_when_added_again(people: People) -> None:
    people.add(email=ADA, select=False)
    people.run("SELECT crm_suppress('brevo', array_agg(id)) FROM crm_contacts")
    people.run("DELETE FROM crm_contacts")
    with people.engine.begin() as connection:
        [row] = upsert(connection, {"email": ADA}, crms=["brevo"])
    assert (row["outcome"], row["selected"], people.sync(row["id"])["state"]) == ("added", [], "skipped")


@pytest.mark.parametrize("before", [[], [{"email": ADA, "context": "met"}]], ids=["new", "stored"])
def test_two_at_once_make_one_contact_with_what_both_say(people: People, before: list[dict[str, Any]]) -> None:
    with people.engine.begin() as connection:
        upsert(connection, *before)

    def second() -> list[dict[str, Any]]:
        with people.engine.begin() as connection:
            return upsert(connection, {"email": ADA.upper(), "custom_fields": {"Plan": "pro"}}, crms=["brevo"])

    with ThreadPoolExecutor(1) as pool, people.engine.begin() as first:
        [mine] = upsert(first, {"email": ADA, "name": "Ada", "custom_fields": {"Tier": 1}}, crms=["brevo"])
        other = pool.submit(second)
        _wait_for_a_lock(people)
        first.commit()
        [theirs] = other.result(PATIENCE)
    assert (mine["id"], theirs["outcome"]) == (theirs["id"], "updated")
    [contact] = people.all("SELECT name, context, custom_fields FROM contacts")
    assert contact == {
        "name": "Ada",
        "context": "met" if before else None,
        "custom_fields": {"Tier": 1, "Plan": "pro"},
    }
    assert people.states() == {"queued": 1}


@pytest.mark.parametrize("stored_before", [True, False])
def test_two_batches_in_different_order_do_not_wait_for_each_other(people: People, stored_before: bool) -> None:
    a, b = {"email": "a@example.com", "name": "A"}, {"email": "b@example.com", "name": "B"}
    if stored_before:
        people.run("INSERT INTO contacts (email) VALUES ('a@example.com'), ('b@example.com')")

    def backwards() -> list[str]:
        with people.engine.begin() as connection:
            return outcomes(upsert(connection, b, a, crms=["brevo"]))

    with ThreadPoolExecutor(1) as pool, people.engine.begin() as first:
        upsert(first, a)
        other = pool.submit(backwards)
        _wait_for_a_lock(people)
        upsert(first, b)  # a deadlock if the other one held b by now
        first.commit()
        assert other.result(PATIENCE) == ["unchanged", "unchanged"]


def _wait_for_a_lock(people: People) -> None:
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE '%crm_upsert_contacts%'"
    )
    wait_until(lambda: people.all(waiting), "the other call waits for the first", poll_seconds=0.01)


_CUSTOM = st.dictionaries(st.sampled_from(["Tier", "Plan"]), st.one_of(st.none(), st.integers(0, 1)))
_ITEMS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"email": st.sampled_from([ADA, "ADA@example.com", "b@example.com", "no address", None])},
    optional={
        "name": st.sampled_from(["Ada", "", None, 7]),
        "has_gmail": st.sampled_from([True, None, "yes"]),
        "custom_fields": st.one_of(st.none(), _CUSTOM, st.just([])),
        "nmae": st.none(),
    },
)


def _model(items: list[dict[str, Any]]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    contacts: dict[str, dict[str, Any]] = {}
    expected = []
    for item in items:
        if (
            "@" not in (item["email"] or "")
            or "nmae" in item
            or item.get("name") == 7
            or item.get("has_gmail") == "yes"
            or item.get("custom_fields") == []
        ):
            expected.append("refused")
            continue
        key = item["email"].lower()
        before = contacts.get(key)
        after = {"name": None, "has_gmail": None, **(before or {}), **item}
        custom = {**(before or {}).get("custom_fields", {}), **(item.get("custom_fields") or {})}
        cleared = "custom_fields" in item and item["custom_fields"] is None
        after["custom_fields"] = {} if cleared else {k: v for k, v in custom.items() if v is not None}
        after["email"] = (before or item)["email"]
        expected.append("added" if before is None else "unchanged" if after == before else "updated")
        contacts[key] = after
    return expected, contacts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(items=st.lists(_ITEMS, max_size=8), cut=st.integers(0, 8))
def test_every_item_has_one_outcome_however_they_are_parted_into_calls(
    engine: sa.Engine, items: list[dict[str, Any]], cut: int
) -> None:
    with engine.connect() as connection:  # rolled back
        answers = [*upsert(connection, *items[:cut]), *upsert(connection, *items[cut:])]
        rows = [row for (row,) in connection.execute(sa.text(_STORED))]
    expected, contacts = _model(items)
    assert outcomes(answers) == expected
    assert [{name: row[name] for name in ("email", "name", "has_gmail", "custom_fields")} for row in rows] == sorted(
        contacts.values(), key=lambda contact: str(contact["email"])
    )


def test_every_form_in_which_programs_send_json_is_taken(database_url: str) -> None:
    items = [{"email": ADA, "name": "Ada"}]
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        for form in (json.dumps(items), Json(items), Jsonb(items)):
            connection.execute("SELECT * FROM crm_upsert_contacts(%s)", [form])
            rows = connection.execute("SELECT outcome FROM crm_upsert_contacts(%s, ARRAY['brevo'])", [form]).fetchall()
            assert rows == [("unchanged",)]


def test_the_documents_examples_do_what_they_say(people: People, database_url: str, tmp_path: Path) -> None:
    text = _DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sql\n(.*?)^```", text, flags=re.S | re.M)
    people.run("CREATE TABLE signups (mail text, full_name text)")
    people.run("INSERT INTO signups VALUES ('', 'Nobody'), ('marie@example.com', 'Marie')")
    file = tmp_path / "people.json"
    file.write_text(json.dumps([{"email": "it's@example.com", "name": "O'Neil"}]), encoding="utf-8")
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        answers = [connection.execute(block).fetchall() for block in blocks[:4]]
        [[added], [ada, grace, linus], [blank], lock] = answers
        assert added[1:] == ("added", None, [])
        assert ada == (1, added[0], "updated", None, ["brevo"])
        assert (grace[2:], linus[2:]) == (
            ("added", None, ["brevo"]),
            ("refused", 'email: it is no e-mail address. "nmae" is no field of a contact.', []),
        )
        assert (blank[3], lock) == ("email: it is missing.", [])
        [array] = re.findall(r'execute\("(SELECT .*ARRAY.*)", \[json', text)
        assert len(connection.execute(array, [file.read_text(encoding="utf-8")]).fetchall()) == 1
        [single] = re.findall(r'execute\("(SELECT .*name.*)", \[email, name\]\)', text)
        assert connection.execute(single, [ADA, "Ada"]).fetchall()[0][1] == "updated"
    [statement] = re.findall(r'sa\.text\("(SELECT .*)"\)', text)
    assert len(people.all(statement, people=file.read_text(encoding="utf-8"))) == 1
    if (program := shutil.which("psql")) is None:
        return
    [session] = re.findall(r"^```\n(\\set .*?)^```", text, flags=re.S | re.M)
    done = subprocess.run(
        [program, "-XAt", "-v", "ON_ERROR_STOP=1", database_url.replace("+psycopg", "")],
        input=session,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert "|unchanged|" in done.stdout


def test_the_documents_role_may_add_and_change_and_nothing_else(people: People, database_url: str) -> None:
    [documented] = re.findall(r"```sql\n(CREATE ROLE crm_writer .*?)```", _DOCUMENT.read_text(encoding="utf-8"), re.S)
    name = f"crm_writer_{secrets.token_hex(4)}"
    people.add(email="suppressed@example.com")
    people.run("SELECT crm_suppress('brevo', array_agg(id)) FROM crm_contacts")
    with people.engine.begin() as connection:
        connection.exec_driver_sql(documented.replace("crm_writer", name).replace("'…'", "'secret'"))
    url = sa.make_url(database_url).set(username=name, password="secret")
    theirs = sa.create_engine(url)
    try:
        with theirs.begin() as connection:
            assert outcomes(upsert(connection, {"email": ADA}, crms=["brevo"])) == ["added"]
            upsert(connection, {"email": ADA, "name": "Ada"}, {"email": "suppressed@example.com", "name": "S"})
            connection.execute(sa.text("INSERT INTO contacts (email) VALUES ('b@example.com')"))
            connection.execute(sa.text("UPDATE contacts SET name = 'B' WHERE email = 'b@example.com'"))
        for forbidden in ("DELETE FROM crm_contacts", "SELECT * FROM crm_tokens", "UPDATE crm_gates SET account = 'x'"):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), theirs.begin() as connection:
                connection.execute(sa.text(forbidden))
    finally:
        theirs.dispose()
        with people.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {name}")
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_an_insert_of_many_with_one_that_is_there_adds_none_and_names_the_contact(people: People) -> None:
    [holder] = people.add(email=ADA)
    with pytest.raises(sa.exc.IntegrityError, match=f"Contact {holder} has this address already"):
        people.run(
            "INSERT INTO contacts (email) SELECT 'x' || i || '@example.com' FROM generate_series(1, 99) i "
            "UNION ALL SELECT :email",
            email=ADA,
        )
    assert people.all("SELECT id FROM contacts") == [{"id": UUID(str(holder))}]


@pytest.mark.parametrize(
    ("stored_name", "item", "expected"),
    [
        (("Dr. Ada King", None, None), ("Dr. Ada King", "Ada", "King"), ("Dr. Ada King", "Ada", "King")),
        (("Dr. Ada King", "Ada", "King"), ("Ada King", "Ada", "King"), ("Ada King", "Ada", "King")),
        (("Ada King", "Ada", "King"), ("Countess", "Ada", "King"), ("Countess", "Ada", "King")),
        (("Dr. Ada King", "Ada", "King"), (None, "Ada", "King"), ("Ada King", "Ada", "King")),
        (("Ada King", None, None), ("", "Ada", "King"), ("Ada King", "Ada", "King")),
        (("King, Ada", None, None), (None, "Ada", "King"), ("King, Ada", "Ada", "King")),
    ],
)
def test_a_name_and_its_parts_that_are_given_together_are_stored_as_given(
    people: People,
    connection: sa.Connection,
    stored_name: tuple[str | None, ...],
    item: tuple[str | None, ...],
    expected: tuple[str, ...],
) -> None:
    fields = ("name", "first_name", "last_name")
    columns: dict[str, Any] = dict(zip(fields, stored_name, strict=True))
    people.add(email=ADA, **columns)
    given = {"email": ADA, **dict(zip(fields, item, strict=True))}
    assert outcomes(upsert(connection, given)) == ["updated"]
    assert tuple(stored(connection)[field] for field in fields) == expected
    assert outcomes(upsert(connection, given)) == ["unchanged"]


@pytest.mark.parametrize(
    ("stored_name", "item", "expected"),
    [
        (("Ada King", "Ada", "King"), {"first_name": None}, ("King", None, "King")),
        (("Ada King", "Ada", "King"), {"first_name": None, "last_name": None}, ("Ada King", None, None)),
        (("Ada King", None, None), {"first_name": "", "last_name": ""}, ("Ada King", "", "")),
        (("Ada King", None, None), {"first_name": "Ada", "last_name": None}, ("Ada", "Ada", None)),
        (("Dr. Ada King", "Ada", "King"), {"last_name": "Byron"}, ("Ada Byron", "Ada", "Byron")),
        (("Dr. Ada King", "Ada", None), {"first_name": "Ada", "phone_number": "1"}, ("Dr. Ada King", "Ada", None)),
    ],
)
def test_parts_alone_make_the_name_and_blank_ones_take_none_away(
    people: People,
    connection: sa.Connection,
    stored_name: tuple[str | None, ...],
    item: dict[str, str | None],
    expected: tuple[str | None, ...],
) -> None:
    fields = ("name", "first_name", "last_name")
    columns: dict[str, Any] = dict(zip(fields, stored_name, strict=True))
    people.add(email=ADA, **columns)
    assert outcomes(upsert(connection, {"email": ADA, **item})) == ["updated"]
    assert tuple(stored(connection)[field] for field in fields) == expected


def test_an_address_that_only_the_former_index_takes_for_another_one_is_refused_at_once(
    people: People, connection: sa.Connection
) -> None:
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER USER")
    [contact] = people.add(email=ADA)
    people.run("ALTER TABLE crm_contacts ENABLE TRIGGER USER")
    connection.execute(sa.text("SET LOCAL statement_timeout = '10s'"))
    answer = upsert(connection, {"email": ADA.upper()}, {"email": "grace@example.com"})
    assert outcomes(answer) == ["refused", "added"]
    assert answer[0]["problem"] == f"email: contact {contact} has it already, in another spelling."
