"""crm-pipelines db psql."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE

# What other users of the machine see of psql itself, which is the parent of this shell, and of its own parent.
_SEEN = r"""\! tr '\0' ' ' < /proc/$PPID/cmdline; tr '\0' ' ' < /proc/$(ps -o ppid= -p $PPID | tr -d ' ')/cmdline"""


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "crm_pipelines", "db", "psql", *arguments]
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
    )


def test_psql_is_on_the_contacts_database_and_takes_arguments_of_its_own(
    environment: dict[str, str], people: People
) -> None:
    people.add(2)
    done = run(environment, "--no-psqlrc", "-At", "--command", "SELECT count(*) FROM contacts")
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
    assert run(environment, "-c", "SELECT nonsense").returncode == 1, "its exit code is passed on"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_password_is_in_nobodys_process_list(environment: dict[str, str], database_url: str) -> None:
    password = sa.make_url(database_url).password
    assert password
    done = run(environment, "--no-psqlrc", "-c", _SEEN)
    assert "--dbname" in done.stdout, done.stderr
    assert "db psql" in done.stdout
    assert password not in done.stdout


def test_the_psql_of_the_embedded_postgres_will_do(environment: dict[str, str], people: People, tmp_path: Path) -> None:
    if not (find_binaries(None).folder / "psql").is_file():
        pytest.skip("The embedded Postgres has none.")
    done = run({**environment, "PATH": str(tmp_path)}, "--no-psqlrc", "-At", "-c", "SELECT count(*) FROM contacts")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_without_psql_a_sentence_says_what_to_install(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    nowhere = {**environment, "PATH": str(tmp_path / "bin"), "CRM_POSTGRES_BIN": str(tmp_path)}
    done = run(nowhere)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no psql: install Postgres' client programs")
