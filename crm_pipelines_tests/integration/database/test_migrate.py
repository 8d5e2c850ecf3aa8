"""The migration of the Compose stack: roles that may do what they need, on a new server and on a former version's."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from crm_pipelines.database import connecting, migrating
from crm_pipelines.files import import_contacts
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
_PASSWORD = "p@ss/w:rd#?&%41'\\ \""
_OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')
UNION SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""


@dataclass(frozen=True)
class Deployed:
    """A server that is migrated as docker-compose.yml has it."""

    server: EmbeddedPostgres
    contacts: str
    dagster: str
    home: Path

    def migrate(self, **environment: str) -> subprocess.CompletedProcess[str]:
        place = f"127.0.0.1:{self.server.port}"
        given = {
            "CRM_DATABASE_URL": f"postgresql://crm_owner@{place}/{self.contacts}",
            "DAGSTER_POSTGRES_URL": f"postgresql+psycopg2://crm_owner@{place}/{self.dagster}",
            "POSTGRES_USER": self.server.user,
            "POSTGRES_PASSWORD": self.server.password,
            "POSTGRES_SERVICES_PASSWORD": _PASSWORD,
            "DAGSTER_HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRM_", "BREVO_", "PG"))}
        return subprocess.run(
            [sys.executable, str(ROOT / "deploy" / "migrate.py")],
            env=kept | given | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def url_of_services(self, name: str) -> str:
        url = sa.make_url(self.server.url(name)).set(username="crm_services", password=_PASSWORD)
        return url.render_as_string(hide_password=False)

    def owners(self, name: str) -> list[str]:
        with psycopg.connect(self.server.url(name).replace("+psycopg", "")) as connection:
            return [owner for (owner,) in connection.execute(_OWNERS)]


@pytest.fixture
def deployed(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Deployed]:
    """Without databases and roles; all is gone at the end, since roles are the whole server's."""
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    contacts, dagster = (f"{kind}_{secrets.token_hex(4)}" for kind in ("contacts", "dagster"))
    yield Deployed(postgres_server, contacts, dagster, tmp_path)
    with postgres_server.connect() as connection:
        for name in (contacts, dagster):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in ("crm_owner", "crm_services"):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def test_services_do_all_their_work_and_change_no_table(deployed: Deployed, tmp_path: Path) -> None:
    done = deployed.migrate()
    assert done.returncode == 0, done.stderr
    assert _PASSWORD not in done.stdout + done.stderr
    with deployed.server.connect() as connection:
        powers = "SELECT bool_or(rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)"
        assert connection.execute(f"{powers} FROM pg_roles WHERE rolname ~ '^crm_(owner|services)$'").fetchone() == (
            False,
        )
    assert deployed.owners(deployed.contacts) == deployed.owners(deployed.dagster) == ["crm_owner"]

    file = tmp_path / "contacts.csv"
    file.write_text("email,name\nada@example.com,Ada\n", encoding="utf-8")
    engine = connecting.create_engine(deployed.url_of_services(deployed.contacts))
    try:
        migrating.require_current_schema(engine)
        assert import_contacts(engine, file, select=["brevo"]).added == 1
        mine = People(engine)
        mine.run("ANALYZE crm_contacts")
        mine.run("DELETE FROM contacts")
        for forbidden in (
            "CREATE TABLE mine (n int)",
            "DROP TABLE crm_attempts",
            "ALTER TABLE crm_syncs ADD n int",
            "TRUNCATE crm_contacts CASCADE",
            "COPY crm_contacts TO PROGRAM 'cat'",
            "SET ROLE crm_owner",
            f"CREATE DATABASE d{secrets.token_hex(4)}",
        ):
            with pytest.raises(sa.exc.DBAPIError, match=r"permission denied|must be owner|transaction block"):
                mine.run(forbidden)
    finally:
        engine.dispose()


def test_what_a_former_version_made_as_superuser_gets_its_owner_and_nothing_else_does(deployed: Deployed) -> None:
    for name in (deployed.contacts, deployed.dagster):
        deployed.server.create_database(name)
    migrating.upgrade(deployed.server.url(deployed.contacts))
    with psycopg.connect(deployed.server.url(deployed.contacts).replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE somebodys_own (n int)")
    for _ in range(2):
        done = deployed.migrate()
        assert done.returncode == 0, done.stderr
    assert sorted(deployed.owners(deployed.contacts)) == sorted(["crm_owner", deployed.server.user])
    engine = connecting.create_engine(deployed.url_of_services(deployed.contacts))
    try:
        mine = People(engine)
        mine.run("UPDATE contacts SET name = 'Ada'")
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            mine.run("SELECT * FROM somebodys_own")
    finally:
        engine.dispose()


def test_one_password_for_both_is_refused(deployed: Deployed) -> None:
    refused = deployed.migrate(POSTGRES_SERVICES_PASSWORD=deployed.server.password)
    assert refused.returncode == 1
    assert refused.stderr.startswith("POSTGRES_SERVICES_PASSWORD is the same as POSTGRES_PASSWORD")


def test_on_somebody_elses_server_no_role_is_made(deployed: Deployed) -> None:
    place = f"{deployed.server.user}@127.0.0.1:{deployed.server.port}"
    done = deployed.migrate(
        CRM_DATABASE_URL=f"postgresql://{place}/{deployed.contacts}",
        DAGSTER_POSTGRES_URL=f"postgresql+psycopg2://{place}/{deployed.dagster}",
        PGPASSWORD=deployed.server.password,
    )
    assert done.returncode == 0, done.stderr
    assert deployed.owners(deployed.contacts) == [deployed.server.user]
    with deployed.server.connect() as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname ~ '^crm_(owner|services)$'").fetchall() == []
