"""The net below all tests: what they leave running is found."""

import signal
import subprocess
import sys

import pytest

from crm_pipelines_tests import leftovers


def test_a_process_that_outlives_the_tests_is_named_and_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(leftovers.VARIABLE, "another session")
    monkeypatch.setattr(leftovers, "PATIENCE", 0)
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(command, start_new_session=True) as orphan:
        assert leftovers.end() == [f"{orphan.pid} {' '.join(command)}"]
        assert orphan.wait() == -signal.SIGKILL
    assert leftovers.end() == []
