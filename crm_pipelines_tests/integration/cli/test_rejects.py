"""An import by a user who may not write beside the source, as in the container of the image."""

import os
import subprocess
import sys

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.patience import PATIENCE

_IMAGES_USER = 10001
# Imports are made before the rights are given up: an ordinary user may have no way into the folder of these tests.
_PROGRAM = """
import os, sys
import crm_pipelines.cli, crm_pipelines.cli.database, crm_pipelines.local.databases, crm_pipelines.database.migrating
import crm_pipelines.files, crm_pipelines.files.csv_files, crm_pipelines.settings
import sqlalchemy.dialects.postgresql.psycopg, psycopg, pandas, encodings.idna, encodings.utf_8_sig
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
sys.argv = ["crm-pipelines", *sys.argv[2:]]
crm_pipelines.cli.main()
"""


def imported(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", _PROGRAM, str(_IMAGES_USER), "contacts", "import", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")


@pytest.mark.skipif(sys.platform != "linux", reason="changes its user")
def test_bad_rows_in_a_folder_that_may_not_be_written_stop_no_import(
    environment: dict[str, str], people: People
) -> None:
    with temporary_folder() as folder:
        source = folder / "contacts.csv"
        source.write_text("email\nada@example.com\nwrong\ngrace@example.com\n")
        source.chmod(0o644)
        folder.chmod(0o555)
        done = imported(environment, str(source), "--select", "brevo")
        assert done.returncode == 0, done.stderr
        assert "3 rows: 2 added, 1 rejected." in done.stdout
        assert "Selected for Brevo: 2 contacts." in done.stdout
        assert "contacts.csv, line 3: email: " in done.stderr
        assert "No file for the rejected rows could be written beside the source (Permission denied)" in done.stderr
        assert people.states() == {"queued": 2}
        folder.chmod(0o711)
    with temporary_folder() as elsewhere:
        elsewhere.chmod(0o777)
        source = elsewhere / "contacts.csv"
        source.write_text("email\nwrong\n")
        done = imported(environment, str(source), "--rejects", str(elsewhere / "bad.csv"))
        assert f"Rejected rows are in {elsewhere / 'bad.csv'}." in done.stderr, done.stderr
        if os.geteuid() == 0:
            assert (elsewhere / "bad.csv").stat().st_uid == _IMAGES_USER
