"""Commands answer at once: each loads what it needs, and nothing that is heavy and for others."""

import subprocess
import sys

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE

# With Dagster alone, no command could answer within a second.
NO_COMMAND = {"alembic", "dagster", "fastapi", "mako", "matplotlib", "numpy", "openpyxl", "pandas", "pygments"}
NO_CRM = {*NO_COMMAND, "email_validator", "phonenumbers", "requests", "urllib3"}
NO_DATABASE = {*NO_CRM, "psycopg", "pydantic", "rich", "sqlalchemy"}

CODE = """
import sys
from crm_pipelines.cli import main
heavy, sys.argv = sys.argv[1].split(), ["crm-pipelines", *sys.argv[2:]]
try:
    main()
finally:
    print(*(name for name in heavy if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("--help", NO_DATABASE),
        ("--version", NO_DATABASE),
        ("status --help", NO_DATABASE),
        ("status", NO_CRM),
        ("status brevo --json", NO_CRM),
        ("gate", NO_CRM),
        ("tokens list", NO_CRM),
        ("suppressions list", NO_CRM),
        ("contacts select brevo --email ada@example.com", NO_CRM),
        ("contacts unselect brevo --email ada@example.com", NO_CRM),
        ("contacts twins", NO_CRM),
        ("retry brevo --all", NO_CRM),
        ("db url", NO_CRM),
        # These ask how the CRM's module sees it.
        ("why ada@example.com", NO_COMMAND),
        ("check brevo", NO_COMMAND),
        ("alerts test", NO_COMMAND),
    ],
)
def test_a_command_loads_nothing_heavy_that_it_does_not_need(
    environment: dict[str, str], people: People, command: str, unneeded: set[str]
) -> None:
    people.add(email="ada@example.com", select=False)
    done = subprocess.run(
        [sys.executable, "-c", CODE, " ".join(sorted(unneeded)), *command.split()],
        # The address of nobody: a check that cannot reach the CRM has loaded all that it needs.
        env={**environment, "BREVO_API_KEY": "k", "BREVO_API_BASE_URL": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if command == "check brevo" else 0), done.stderr
    assert done.stderr.splitlines()[-1] == "", done.stderr
