"""One normal form of addresses, in the database as in deliveries: by it two contacts are one, whoever compares."""

import secrets
import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.selection import Who, ids_by_email, select, unknown, unselect
from crm_pipelines.contacts.story import story
from crm_pipelines.crms import normalize
from crm_pipelines.database import connecting, migrating
from crm_pipelines.files import import_contacts
from crm_pipelines.files.addresses import _EDGE
from crm_pipelines.files.loading import SameInOtherLetters
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE, wait_until

ADA = "ada@müller.example"
SPELLINGS = [
    "ada@müller.example",
    "Ada@MÜLLER.example",
    "ada@xn--mller-kva.example",
    "ada@XN--MLLER-KVA.EXAMPLE",
    "ada@mu\u0308ller.example",
    "ada@müller。example",
    "ada@müller．example",
    "ada@ｍüller.example",
    "ada@müller.example\u00a0",
    "\ufeffada@müller.example\t",
    "\u200bada@müller.example\r\n",
    "ada@mü\ufe0fller.example",
]


def in_sql(people: People, addresses: list[str]) -> list[str | None]:
    rows = people.all(
        "SELECT crm_address(a) AS form FROM unnest(CAST(:given AS text[])) WITH ORDINALITY x (a, n) ORDER BY n",
        given=addresses,
    )
    return [row["form"] for row in rows]


def accepted(addresses: list[str]) -> dict[str, str | None]:
    """Those that a delivery would accept, and the form in which it would send them."""
    found = {}
    for one in addresses:
        try:
            found[one] = normalize.address(one)
        except ValueError:
            continue
    return found


def assert_same(people: People, addresses: list[str]) -> None:
    sent = accepted(addresses)
    assert dict(zip(sent, in_sql(people, list(sent)), strict=True)) == sent


@pytest.mark.parametrize("address", SPELLINGS)
def test_every_spelling_has_one_form(people: People, address: str) -> None:
    assert in_sql(people, [address]) == ["ada@xn--mller-kva.example"] == [normalize.address(address)]


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("ΟΔΟΣ@ΟΔΟΣ.gr", "οδος@xn--pxavbq.gr"),
        ("Σ@example.com", "σ@example.com"),
        ("ΟΔΟΣ.ΣΑΣ@example.com", "οδος.σας@example.com"),
        ("İ@İstanbul.example", "i̇@xn--istanbul-o0e.example"),
        ("a@faß.example", "a@xn--fa-hia.example"),
        ("a@FASS.example", "a@fass.example"),
        ("zoe\u0308@example.com", "zoë@example.com"),
        ("Ａda@example.com", "ａda@example.com"),
        ("a@مثال.إختبار", "a@xn--mgbh0fb.xn--kgbechtv"),
        ("a@דוגמה.example", "a@xn--6dbbec0c.example"),
        ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("a@Пример.Испытание", "a@xn--e1afmkfd.xn--80akhbyknj4f"),
    ],
)
def test_the_form_in_other_scripts(people: People, address: str, form: str) -> None:
    assert in_sql(people, [address]) == [form] == [normalize.address(address)]


_LETTERS = st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"])
_TRICKY = st.sampled_from("ßẞςΣσİıǅﬁᾀᾼÅＡａ９。．｡-.aZ9K\u00ad\u0345\u0301\u0308\u0307\u200d\ufe0fᎠꭰ")
_SOME = st.text(
    st.one_of(_TRICKY, st.characters(max_codepoint=0x17F, exclude_categories=["Cc"]), _LETTERS), min_size=1, max_size=8
)
_EDGES = st.sampled_from(["", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\x0b\u2028"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_EDGES, _SOME, _SOME, st.sampled_from(["com", "рф", "例え", "Ελ"]), _EDGES), max_size=40))
def test_the_form_is_the_one_that_deliveries_send(people: People, parts: list[tuple[str, ...]]) -> None:
    assert_same(people, [f"{before}{local}@{domain}.{top}{after}" for before, local, domain, top, after in parts])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.emails(), max_size=20))
def test_the_form_of_plain_addresses_is_the_one_that_deliveries_send(people: People, addresses: list[str]) -> None:
    assert_same(people, addresses)


def changing() -> list[str]:
    """Every character that case or compatibility changes, or that has no width of its own."""
    return [
        one
        for one in map(chr, range(1, sys.maxunicode + 1))
        if unicodedata.category(one) not in {"Cs", "Cn", "Co"}
        and (
            one.lower() != one or unicodedata.normalize("NFKC", one) != one or unicodedata.category(one) in {"Mn", "Cf"}
        )
        and not "\uac00" <= one <= "\ud7a3"
    ]


def test_the_form_is_the_one_that_deliveries_send_for_every_character_that_changes(people: People) -> None:
    assert_same(people, [f"a{one}b@x{one}y.example" for one in changing()])


def test_what_is_stripped_is_what_a_delivery_strips(people: People) -> None:
    assert set(_EDGE) == set(normalize._EDGE)
    edges = [*map(chr, range(1, 0x3200)), "\ufeff", "\ufffc", "\ufe0f"]
    stripped = in_sql(people, [f"{one}a@b.example" for one in edges])
    for one, form in zip(edges, stripped, strict=True):
        assert (form == "a@b.example") == (normalize.text(f"{one}a@b.example") == "a@b.example"), hex(ord(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Not an address", " not an address\u00a0"),
        ("Ada@localhost", "ada@LOCALHOST\t"),
        ("ada@müller", "ada@xn--mller-kva"),
        ("ada@@Müller.example", "ada@@xn--mller-kva.example"),
        ("x" * 300 + "@example.com", "X" * 300 + "@example.com "),
    ],
)
def test_of_what_is_no_valid_address_two_spellings_have_one_form_too(people: People, one: str, other: str) -> None:
    assert in_sql(people, [one])[0] is not None
    assert len(set(in_sql(people, [one, other]))) == 1


def test_what_is_blank_has_no_form(people: People) -> None:
    assert in_sql(people, ["", " \t\u00a0\u200b\ufeff"]) == [None, None]


@pytest.fixture
def without_collation(postgres_server: EmbeddedPostgres) -> Iterator[People]:
    """A migrated database of the locale C, where lower() knows ASCII only."""
    name = f"test_{secrets.token_hex(6)}"
    make = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc"
    with postgres_server.connect() as connection:
        connection.execute(sql.SQL(make).format(sql.Identifier(name)))
        try:
            migrating.upgrade(postgres_server.url(name))
            people = People(connecting.create_engine(postgres_server.url(name)))
            yield people
            people.engine.dispose()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_the_form_needs_no_collation(without_collation: People) -> None:
    assert_same(without_collation, [*SPELLINGS, "ÉÄŞ@ÉÄŞ.example", "Привет@Пример.рф"])
    assert len(set(in_sql(without_collation, SPELLINGS))) == 1


def test_the_index_does_not_make_a_change_of_an_address_wait_for_entries_about_the_contact(people: People) -> None:
    [contact_id] = people.add()
    change = "UPDATE crm_contacts SET email = 'other@example.com' WHERE id = :id"
    with people.engine.begin() as entry:
        entry.execute(sa.text("SELECT FROM crm_contacts WHERE id = :id FOR KEY SHARE"), {"id": contact_id})
        with people.engine.begin() as edit:
            edit.execute(sa.text("SET LOCAL lock_timeout = '1ms'"))
            assert edit.execute(sa.text(change), {"id": contact_id}).rowcount == 1


# The stored form


def test_the_form_is_kept_by_the_database_whatever_is_written_to_it(people: People) -> None:
    [contact_id] = people.add(email=ADA, address="mine@example.com")
    for statement in (
        "UPDATE crm_contacts SET name = 'Ada'",
        "UPDATE crm_contacts SET address = 'mine@example.com'",
        "UPDATE crm_contacts SET email = email || E'\\t', address = 'mine@example.com'",
        "UPDATE contacts SET name = 'Ada again'",
    ):
        people.run(statement)
        assert people.all("SELECT id, address FROM crm_contacts") == [
            {"id": contact_id, "address": "ada@xn--mller-kva.example"}
        ]
    people.run("UPDATE contacts SET email = 'Grace@Example.com'")
    assert people.all("SELECT address FROM crm_contacts") == [{"address": "grace@example.com"}]
    people.run("UPDATE contacts SET email = NULL")
    assert people.all("SELECT address FROM crm_contacts") == [{"address": None}]


@pytest.mark.parametrize("other", SPELLINGS)
def test_a_second_spelling_is_refused_in_sql_by_id_without_the_address(people: People, other: str) -> None:
    [holder] = people.add(email="ada@xn--mller-kva.example")
    people.add(email="grace@example.com")
    for statement in (
        "INSERT INTO contacts (email) VALUES (:other)",
        "UPDATE contacts SET email = :other WHERE email = 'grace@example.com'",
    ):
        with pytest.raises(sa.exc.IntegrityError) as error:
            people.run(statement, other=other)
        assert isinstance(error.value.orig, psycopg.errors.UniqueViolation)
        assert error.value.orig.diag.message_primary == f"Contact {holder} has this address already."
        assert "ller" not in str(error.value.orig)


def test_a_second_spelling_is_a_conflict_in_the_api(api: Api) -> None:
    ada, grace = api.post("/contacts", {"email": ADA}), api.post("/contacts", {"email": "grace@example.com"})
    assert ada["email"] == ADA
    other = {"email": "\u200bADA@xn--mller-kva.example\u00a0"}
    for method, path in (("POST", "/contacts"), ("PATCH", f"/contacts/{grace['id']}")):
        answer = api.call(method, path, json=other)
        assert answer.status_code == 409
        assert ada["id"] in answer.text
    unseen = api.post("/contacts", {"email": "\ufeffjoan@example.com\u200b"})
    assert unseen["email"] == "joan@example.com"


def test_rows_of_one_address_are_one_contact_of_an_import(people: People, engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = [f'"{spelling}",name {number}' for number, spelling in enumerate(SPELLINGS)]
    file.write_text("\n".join(["email,name", *rows, "bob@example。com,Bob", "Bob@example.com,Bob again"]), "utf-8")
    done = import_contacts(engine, file, select=["brevo"])
    assert (done.rows, done.added, done.duplicates, done.rejected) == (len(rows) + 2, 2, len(rows), 0)
    assert done.selected == {"brevo": 2}
    assert people.all("SELECT name FROM crm_contacts ORDER BY address") == [
        {"name": f"name {len(rows) - 1}"},
        {"name": "Bob again"},
    ]
    again = import_contacts(engine, file, select=["brevo"])
    assert (again.added, again.updated, again.unchanged, again.selected) == (0, 0, 2, {"brevo": 0})


def test_rows_of_one_address_in_several_chunks_are_one_contact(
    people: People, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.files.CHUNK", 2)
    file = tmp_path / "people.csv"
    file.write_text("\n".join(["email,name", *(f'"{one}",Ada' for one in SPELLINGS)]), "utf-8")
    done = import_contacts(engine, file)
    assert (done.added, done.updated, done.duplicates) == (1, 0, len(SPELLINGS) - 1)
    assert len(people.all("SELECT FROM crm_contacts")) == 1


def test_of_two_transactions_that_write_one_address_at_once_one_is_refused(people: People) -> None:
    insert = sa.text("INSERT INTO contacts (email) VALUES (:email)")
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool:
        with people.engine.begin() as first:
            first.execute(insert, {"email": ADA})
            second = pool.submit(people.run, insert.text, email="ada@xn--mller-kva.example")
            wait_until(lambda: people.all(waiting), "the second waits for the first", poll_seconds=0.01)
        with pytest.raises(sa.exc.IntegrityError):
            second.result(PATIENCE)
    assert len(people.all("SELECT FROM crm_contacts")) == 1


@pytest.mark.parametrize("named", SPELLINGS)
def test_a_contact_is_found_by_any_spelling(people: People, engine: sa.Engine, named: str) -> None:
    [contact_id] = people.add(email="ada@mÜller.example", select=False)
    assert ids_by_email(engine, [named]) == [contact_id]
    assert story(engine, named).id == contact_id
    who = Who(emails=(named, "nobody@example.com"))
    assert unknown(engine, who) == ("nobody@example.com",)
    assert select(engine, "brevo", who).selected == 1
    assert unselect(engine, "brevo", who).unselected == 1
    with engine.connect() as connection:
        assert [one.id for one in records.page(connection, ContactFilter(text=named.strip()), "brevo")] == [contact_id]
        for domain in ("müller.example", "MÜLLER.EXAMPLE", "xn--mller-kva.example"):
            assert [one.id for one in records.page(connection, ContactFilter(domain=domain), "brevo")] == [contact_id]


def test_looking_up_an_address_uses_the_index(people: People) -> None:
    people.add(3)
    with people.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for condition in (
            "= crm_address(:given)",
            "= ANY (ARRAY(SELECT crm_address(e) FROM unnest(ARRAY[CAST(:given AS text)]) e))",
        ):
            plan = connection.execute(
                sa.text(f"EXPLAIN SELECT id FROM crm_contacts WHERE address {condition}"), {"given": ADA}
            )
            assert "crm_contacts_address_key" in "\n".join(plan.scalars())


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_file_with_an_address_that_only_the_former_index_takes_for_another_one_is_told_its_line(
    people: People, engine: sa.Engine, tmp_path: Path, is_stored: bool
) -> None:
    if people.all("SELECT lower('İ') = 'i' AS same") == [{"same": False}]:
        pytest.skip("not with the locale of this database")
    if is_stored:
        people.add(email="İ@example.com")
    file = tmp_path / "people.csv"
    lines = ["email", "grace@example.com", "i@example.com", *([] if is_stored else ["İ@example.com"])]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SameInOtherLetters, match="line 3" + (":" if is_stored else ", 4:")) as refused:
        import_contacts(engine, file)
    assert "@" not in str(refused.value)
