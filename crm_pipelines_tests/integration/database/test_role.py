"""The pipeline works with a database role that may change no table, made as docs/deployment.md says."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting
from crm_pipelines.files import import_contacts
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline

_DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "deployment.md"


@pytest.fixture
def role_url(engine: sa.Engine, database_url: str) -> Iterator[str]:
    """The contacts database as the role of the document sees it."""
    [documented] = re.findall(r"```sql\n(CREATE ROLE crm_sender .*?)```", _DOCUMENT.read_text(encoding="utf-8"), re.S)
    name = f"crm_sender_{secrets.token_hex(4)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(documented.replace("crm_sender", name).replace("'…'", "'secret'"))
    yield sa.make_url(database_url).set(username=name, password="secret").render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_everything_but_migrations_works_without_the_right_to_change_tables(
    role_url: str, people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", role_url)
    engine = connecting.create_engine(role_url)
    file = tmp_path / "contacts.csv"
    file.write_text("email,name\nada@example.com,Ada\n", encoding="utf-8")
    assert import_contacts(engine, file, select=["brevo"]).added == 1
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    mine = People(engine)
    mine.run("UPDATE contacts SET name = 'Ada Lovelace'")
    mine.run(
        "INSERT INTO contacts (email, brevo_sync_status, brevo_processing_status) "
        "VALUES ('b@example.com', 'Selected', 'Queued')"
    )
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    mine.run("DELETE FROM contacts WHERE email = 'b@example.com'")
    for forbidden in (
        "CREATE TABLE mine (n int)",
        "DROP TABLE crm_attempts",
        "ALTER TABLE crm_syncs ADD n int",
        "TRUNCATE crm_contacts CASCADE",
    ):
        with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            mine.run(forbidden)
    engine.dispose()
