"""The first hour as docs/quickstart.md tells it: every command in it is run, and prints what the document shows.

Blocks called `console` are run, line by line that begins with `$`. Times, ids, tokens and places of files differ from
run to run and are compared as such.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.cli import main
from crm_pipelines.local.environment import provision
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

ROOT = Path(__file__).resolve().parents[3]
QUICKSTART = ROOT / "docs" / "quickstart.md"

_DIFFERENT_EACH_TIME = [
    (r"crmp_[0-9a-f]{8}_[\w-]{43}", "<token>"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "<time>"),
    (r"\bat \d\d:\d\d UTC \(number \d+\)", "at <time> (number <id>)"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", "<run>"),
    (r"\b\d+ requests, \d+ of them left", "<limit>"),
    (r"50 % within [^(]+\(", "<delays> ("),
    (r"At the CRM .+ after the change\.", "At the CRM <delay> after the change."),
    (r"[ ─]+", " "),  # a column is as wide as what stands in it
]


def commands() -> Iterator[tuple[str, str]]:
    """Each command of the document, and what is shown below it."""
    for block in re.findall(
        r"^```console\n(.*?)^```$", QUICKSTART.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def comparable(text: str) -> list[str]:
    for pattern, placeholder in _DIFFERENT_EACH_TIME:
        text = re.sub(pattern, placeholder, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_every_command_of_the_first_hour_prints_what_is_shown(
    brevo_environment: BrevoSandbox,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    # With the real limit, a machine that stutters would make requests too early, and so more than are shown.
    brevo_environment.configure(contacts_per_second=1000)
    provision(load_settings(), "brevo", engine)  # as `make up` does
    with engine.begin() as connection:  # nothing was delivered so far
        connection.execute(sa.text("UPDATE crm_gates SET accepted_account = NULL"))
    capfd.readouterr()
    run = 0
    for command, shown in commands():
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", shlex.split(command))
            patch.setattr(sys, "stderr", sys.stdout)  # in the order in which a terminal shows both
            with pytest.raises(SystemExit) as exit_:
                main()
        printed = capfd.readouterr()
        assert bool(exit_.value.code) == ("\n FAILED " in shown), f"{command}: {printed.out}"
        assert comparable(printed.out + printed.err) == comparable(shown), command
        run += 1
    assert run >= 10
