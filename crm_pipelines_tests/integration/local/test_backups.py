"""What a backup holds, and that nothing is lost, sent or hidden when it is restored."""

import gzip
import json
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
import sqlalchemy as sa
from psycopg import sql

from crm_pipelines.access.sessions import SessionEnded, begin_session, end_session, find_session
from crm_pipelines.access.tokens import SCOPES, TokenRefused, authenticate, create_token, revoke_token
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.records import page
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.local import postgres_programs
from crm_pipelines.local.backups import BackupRefused, Restored, dump, restore
from crm_pipelines.local.embedded import EmbeddedPostgres, embedded_postgres
from crm_pipelines.local.embedded.binaries import find_binaries, folders
from crm_pipelines.local.postgres_programs import ProgramFailed, ProgramMissing
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline
from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE, wait_until


class Backup:
    """A dump of this test's databases, made and restored as by the commands."""

    def __init__(self, people: People, file: Path, server: EmbeddedPostgres) -> None:
        self._people = people
        self._server = server
        self.file = file

    def make(self) -> None:
        dump(load_settings(), self.file)

    def restore(self) -> Restored:
        engine: Any = self._people.engine
        held = engine.pool.checkedout()
        engine.dispose()  # nobody may be connected
        # To the server, whoever has closed a connection is gone a moment later.
        connected = "SELECT count(*) <= %s FROM pg_stat_activity WHERE datname = %s"
        with self._server.connect() as server:

            def closed() -> bool:
                [row] = server.execute(connected, [held, engine.url.database]).fetchall()
                return bool(row[0])

            wait_until(closed, "closed connections are gone")
        return restore(load_settings(), self.file)

    @property
    def gate(self) -> GateKeeper:
        return GateKeeper(self._people.engine, "brevo")


@pytest.fixture
def backup(
    postgres_server: EmbeddedPostgres,
    database_url: str,
    empty_database_url: str,
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Backup]:
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", empty_database_url.replace("+psycopg:", "+psycopg2:"))
    yield Backup(people, tmp_path / "contacts.crm-dump", postgres_server)
    with postgres_server.connect() as server:
        for (name,) in server.execute(r"SELECT datname FROM pg_database WHERE datname ~ '_before_\d'").fetchall():
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def databases(server: EmbeddedPostgres) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def test_a_dump_is_one_private_file_with_both_databases_and_is_not_written_over(backup: Backup) -> None:
    backup.make()
    assert stat.S_IMODE(backup.file.stat().st_mode) == 0o600
    with tarfile.open(backup.file) as archive:
        assert archive.getnames() == ["about.json", "contacts.dump", "dagster.dump"]
        about = archive.extractfile("about.json")
        assert about
        assert json.load(about)["format"] == 1
    assert list(backup.file.parent.iterdir()) == [backup.file], "nothing else is left"
    with pytest.raises(BackupRefused, match="is there already"):
        backup.make()


def test_contacts_are_found_in_a_restored_database_by_the_same_index(backup: Backup, people: People) -> None:
    people.add(name="Erika Müller", email="erika@example.com")
    backup.make()
    backup.restore()
    with people.engine.connect() as connection:
        assert [one.email for one in page(connection, ContactFilter(text="muller"), "brevo")] == ["erika@example.com"]
    assert people.all("SELECT indisvalid FROM pg_index WHERE indexrelid = 'crm_contacts_search_idx'::regclass") == [
        {"indisvalid": True}
    ]


def test_both_databases_come_back_and_the_former_ones_are_kept(
    backup: Backup, people: People, empty_database_url: str, database_url: str, postgres_server: EmbeddedPostgres
) -> None:
    people.add(3)
    people.run("CREATE TABLE of_the_user AS SELECT 42 AS n")
    dagster = sa.create_engine(empty_database_url, poolclass=sa.NullPool)
    with dagster.begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs AS SELECT 7 AS n"))
    backup.make()
    people.add(2)
    with dagster.begin() as connection:
        connection.execute(sa.text("DROP TABLE runs"))
    restored = backup.restore()
    assert people.all("SELECT count(*) AS n FROM contacts") == [{"n": 3}]
    assert people.all("SELECT n FROM of_the_user") == [{"n": 42}]
    with dagster.connect() as connection:
        assert connection.scalar(sa.text("SELECT n FROM runs")) == 7
    assert set(restored.kept) <= databases(postgres_server)
    with psycopg.connect(postgres_server.url(restored.kept[0]).replace("+psycopg", "")) as former:
        assert former.execute("SELECT count(*) FROM contacts").fetchone() == (5,)


@pytest.mark.parametrize("home", ["home", "NULL"], ids=["where it is", "never noted"])
def test_a_restored_database_sends_nothing_until_somebody_opens_the_gate(
    backup: Backup, people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, home: str
) -> None:
    people.add(2)
    people.run(f"UPDATE crm_gates SET home = {home}")
    backup.make()
    backup.restore()
    run = pipeline.run()
    assert run.success, run.problem
    assert brevo_sandbox.requests() == []
    assert backup.gate.read().pause_kind == "restored"
    backup.gate.open_by_hand()
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}


def test_a_restore_closes_the_gate_of_a_further_account_too(backup: Backup, people: People) -> None:
    register(people.engine, "brevo_eu", "brevo")
    people.run("UPDATE crm_gates SET home = NULL")
    backup.make()
    backup.restore()
    assert GateKeeper(people.engine, "brevo_eu").read().pause_kind == "restored"


def test_after_a_restore_an_edit_back_to_what_the_dump_calls_sent_is_sent(
    backup: Backup, people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(email="ada@example.com", name="Ada Old")
    pipeline.run()
    backup.make()
    people.run("UPDATE crm_contacts SET name = 'Ada New'")
    pipeline.run()
    backup.restore()
    people.run("UPDATE crm_contacts SET name = 'Ada Typo'")
    people.run("UPDATE crm_contacts SET name = 'Ada Old'")
    assert pipeline.run().counts.get("claimed", 0) == 0
    backup.gate.open_by_hand()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_sandbox, "ada@example.com")["attributes"]["FIRSTNAME"] == "Ada"
    assert held(brevo_sandbox, "ada@example.com")["attributes"]["LASTNAME"] == "Old"


def test_after_a_restore_nobody_who_unsubscribed_meanwhile_is_subscribed_again_under_a_former_address(
    backup: Backup, people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(email="ada@example.com")
    backup.make()
    pipeline.run()
    people.run("UPDATE crm_contacts SET email = 'ada@new.example'")
    pipeline.run()
    unsubscribe(brevo_sandbox, "ada@new.example")
    backup.restore()
    backup.gate.open_by_hand()
    pipeline.run()
    [one] = brevo_sandbox.contacts()
    assert (one["email"], one["emailBlacklisted"]) == ("ada@new.example", True)


@pytest.mark.parametrize("threshold", ["1000", "20"])
def test_after_a_restore_nobody_who_is_off_the_list_is_put_on_it_again(
    backup: Backup,
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    threshold: str,
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", threshold)
    people.add(30)
    backup.make()
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "1000")
    pipeline.run()
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {(2,)}
    empty_list(brevo_sandbox)
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", threshold)
    backup.restore()
    backup.gate.open_by_hand()
    pipeline.run()
    assert people.states() == {"synced": 30}
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {()}


def test_who_was_suppressed_since_the_dump_stays_so(
    backup: Backup, people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [ada, *_] = people.add(2)
    backup.make()
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=ada)
    restored = backup.restore()
    assert restored.carried.added == 2, "the address, and our id"
    backup.gate.open_by_hand()
    pipeline.run()
    assert len(brevo_sandbox.contacts()) == 1
    assert people.sync(ada)["state"] == "skipped"


def test_suppressions_under_another_key_are_counted_as_lost(backup: Backup, people: People) -> None:
    backup.make()
    people.run("UPDATE crm_digest_keys SET inner_block = outer_block")
    [ada] = people.add(1, select=False)
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=ada)
    assert backup.restore().carried.lost == 2


def test_a_token_revoked_since_the_dump_stays_so_and_no_session_of_before_opens_anything(
    backup: Backup, people: People
) -> None:
    leaver = create_token(people.engine, "leaver", SCOPES)
    colleague = create_token(people.engine, "colleague", SCOPES)
    signed_out = begin_session(people.engine, authenticate(people.engine, colleague))
    backup.make()
    revoke_token(people.engine, "leaver")
    end_session(people.engine, signed_out)
    assert backup.restore().carried.revoked == 1
    with pytest.raises(TokenRefused):
        authenticate(people.engine, leaver)
    with pytest.raises(SessionEnded):
        find_session(people.engine, signed_out)
    assert authenticate(people.engine, colleague).name == "colleague"


@pytest.fixture
def named(
    backup: Backup, people: People, postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Names other databases to restore to, after a dump of one contact; they are dropped at the end."""
    people.add()
    backup.make()
    made: list[str] = []

    def name(contacts: str, dagster: str) -> None:
        made.extend((contacts, dagster))
        monkeypatch.setenv("CRM_DATABASE_URL", postgres_server.url(contacts))
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_server.url(dagster).replace("+psycopg:", "+psycopg2:"))

    yield name
    with postgres_server.connect() as server:
        for one in made:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(one)))


def counted(server: EmbeddedPostgres, database: str) -> int:
    with psycopg.connect(server.url(database).replace("+psycopg", "")) as connection:
        [row] = connection.execute("SELECT count(*) FROM crm_contacts").fetchall()
    return int(row[0])


def test_a_dump_comes_to_a_server_that_has_no_such_databases(
    backup: Backup, named: Callable[[str, str], None], postgres_server: EmbeddedPostgres
) -> None:
    named("brand_new", "brand_new_dagster")
    restore(load_settings(), backup.file)
    assert counted(postgres_server, "brand_new") == 1


@pytest.mark.parametrize("length", [48, 63])
def test_a_database_with_a_long_name_is_kept_too(
    backup: Backup, named: Callable[[str, str], None], postgres_server: EmbeddedPostgres, length: int
) -> None:
    contacts, dagster = "c" * length, "d" * length
    named(contacts, dagster)
    for one in (contacts, dagster):
        postgres_server.create_database(one)
    with psycopg.connect(postgres_server.url(contacts).replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS n")
    kept = restore(load_settings(), backup.file).kept[0]
    assert counted(postgres_server, contacts) == 1
    with psycopg.connect(postgres_server.url(kept).replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT n FROM precious").fetchone() == (42,)


def test_a_restored_database_has_the_encoding_and_the_locale_of_the_former_one(
    backup: Backup, named: Callable[[str, str], None], postgres_server: EmbeddedPostgres
) -> None:
    named("peculiar", "peculiar_dagster")
    postgres_server.create_database("peculiar_dagster")
    of_it = sa.text("SELECT encoding, datlocprovider, datcollate, datctype FROM pg_database WHERE datname = 'peculiar'")
    engine = sa.create_engine(postgres_server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as server:
        server.execute(
            sa.text("CREATE DATABASE peculiar TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'")
        )
        before = server.execute(of_it).one()
        restore(load_settings(), backup.file)
        assert server.execute(of_it).one() == before


def test_while_somebody_uses_a_database_nothing_is_changed(
    backup: Backup, people: People, postgres_server: EmbeddedPostgres
) -> None:
    people.add()
    backup.make()
    before = databases(postgres_server)
    with people.engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
        with pytest.raises(BackupRefused, match="Somebody uses the databases"):
            restore(load_settings(), backup.file)
    assert databases(postgres_server) == before
    assert not backup.gate.read().paused


def test_a_dump_that_breaks_off_is_refused_and_leaves_everything_as_it_was(
    backup: Backup, people: People, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    people.add()
    backup.make()
    with tarfile.open(backup.file) as archive:
        for name in archive.getnames():
            content = archive.extractfile(name)
            assert content is not None
            (tmp_path / "parts").mkdir(exist_ok=True)
            (tmp_path / "parts" / name).write_bytes(content.read())
    dumped = tmp_path / "parts" / "contacts.dump"
    dumped.write_bytes(dumped.read_bytes()[: dumped.stat().st_size // 2])
    with tarfile.open(backup.file, "w") as archive:
        for part in sorted((tmp_path / "parts").iterdir()):
            archive.add(part, arcname=part.name)
    before = databases(postgres_server)
    with pytest.raises(ProgramFailed, match="nothing was changed"):
        backup.restore()
    assert databases(postgres_server) == before
    assert people.states() == {"queued": 1}


@pytest.mark.parametrize("content", [b"PGDMP", b""], ids=["a dump of pg_dump", "empty"])
def test_a_file_of_another_kind_is_refused(backup: Backup, content: bytes) -> None:
    backup.file.write_bytes(content)
    with pytest.raises(BackupRefused, match="was not made by `crm-pipelines db dump`"):
        backup.restore()


def test_a_dump_that_somebody_has_packed_and_that_breaks_off_is_refused(backup: Backup) -> None:
    backup.make()
    packed = gzip.compress(backup.file.read_bytes())
    backup.file.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BackupRefused, match="or it is not complete"):
        backup.restore()


def test_without_programs_that_know_the_server_a_sentence_names_the_version(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_programs, "_programs", lambda *_: iter(()))
    with pytest.raises(ProgramMissing, match=r"There is no pg_dump of Postgres \d+ or newer"):
        backup.make()
    assert not backup.file.exists()
    assert list(backup.file.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="where the wheel has two versions")
def test_data_of_an_older_version_come_into_a_newer_one_by_dump_and_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = find_binaries(None)
    older = [
        folder
        for folder in folders(None)
        if (folder / "initdb").is_file() and find_binaries(folder).major < newest.major
    ]
    if not older:
        pytest.skip("there is one version only")
    for name in ("CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, "")
    with temporary_folder() as folder:
        monkeypatch.setenv("CRM_PIPELINES_DATA_DIR", str(folder))
        with embedded_postgres(folder / "postgres", bin_dir=older[0]) as server:
            server.create_database("contacts")
            with psycopg.connect(server.url("contacts").replace("+psycopg", "")) as connection:
                connection.execute("CREATE TABLE precious AS SELECT 42 AS n")
        data = folder / "postgres"
        dump(load_settings(), folder / "old.crm-dump")  # with the programs that fit, which are found by the data
        data.rename(folder / "old")
        restore(load_settings(), folder / "old.crm-dump")
        with embedded_postgres(data) as server:
            with server.connect() as connection:
                assert connection.info.server_version // 10_000 == newest.major
            with psycopg.connect(server.url("contacts").replace("+psycopg", "")) as connection:
                assert connection.execute("SELECT n FROM precious").fetchone() == (42,)


def held(sandbox: BrevoSandbox, email: str) -> dict[str, Any]:
    found = sandbox.contact(email)
    assert found
    return found


def unsubscribe(sandbox: BrevoSandbox, email: str) -> None:
    """By the person's own act."""
    changed = requests.put(
        f"{sandbox.url}/contacts/{email}",
        json={"emailBlacklisted": True},
        headers={"api-key": API_KEY},
        timeout=PATIENCE,
    )
    changed.raise_for_status()


def empty_list(sandbox: BrevoSandbox) -> None:
    """By hand on Brevo's page: nothing shows in listUnsubscribed."""
    url = f"{sandbox.url}/contacts/lists/2/contacts/remove"
    requests.post(url, json={"all": True}, headers={"api-key": API_KEY}, timeout=PATIENCE).raise_for_status()
