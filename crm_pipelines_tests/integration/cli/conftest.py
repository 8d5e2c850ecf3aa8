"""The program, run in this process, and the environment for one of its own."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crm_pipelines.cli import main

# COLUMNS: pytest's workers have the width of whatever terminal the tests were started in.
OURS = ("ALERT_", "BREVO_", "CRM_", "DAGSTER_", "DOCS_", "SENTRY_", "SMTP_", "STATUS_", "COLUMNS")


@dataclass(frozen=True)
class Done:
    """How the program ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """For the program in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "CRM_DATABASE_URL": database_url}


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program in this process, from its arguments to its exit code."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> Done:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["crm-pipelines", *arguments])
            with pytest.raises(SystemExit) as exit_:
                main()
        printed = capsys.readouterr()
        assert exit_.value.code is None or isinstance(exit_.value.code, int)
        return Done(exit_.value.code or 0, printed.out, printed.err)

    return run
