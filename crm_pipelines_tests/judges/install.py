"""Installs the judges: `python -m crm_pipelines_tests.judges.install`. Does nothing where they are.

About five minutes and 3 GB. What is half installed has another name, so that nobody takes it for whole.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from crm_pipelines_tests.judges import installed

_AS_OF = "2026-11-28"
"""npm takes no version published later, so that n8n's own dependencies stay those that were tried."""


def _run(command: Sequence[str | Path], folder: Path) -> None:
    """Run it, and show what it printed only where it failed."""
    environment = os.environ | installed.environment()
    ended = subprocess.run(
        command, cwd=folder, env=environment, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ended.returncode:
        raise click.ClickException(f"{Path(command[0]).name} failed in {folder}:\n{ended.stdout[-3000:]}")


def _install_node(folder: Path) -> None:
    options = [
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--require-hashes",
        "--root-user-action=ignore",
    ]
    _run([sys.executable, "-m", "pip", "install", *options, "--target", ".", "-r", installed.NODE_REQUIREMENT], folder)


def _install_n8n(folder: Path) -> None:
    wanted = {"private": True, "dependencies": {"n8n": installed.N8N_VERSION}}
    (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    # Scripts of packages would compile SQLite's binding, and what else needs a compiler; n8n on Postgres needs none.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", f"--before={_AS_OF}"]
    _run([installed.node(), installed.npm(), "install", *options], folder)


def _make(folder: Path, program: Path, install: Callable[[Path], None]) -> None:
    if program.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    for left in (part, folder):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    click.echo(f"Installing {folder.name} into {folder} ...", err=True)
    began = time.monotonic()
    install(part)
    part.rename(folder)
    click.echo(f"  took {time.monotonic() - began:.0f} s", err=True)


@click.command()
def main() -> None:
    """Install Node and n8n where they are missing."""
    installed.root().mkdir(parents=True, exist_ok=True)
    with (installed.root() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else may be installing
        _make(installed.node_folder(), installed.node(), _install_node)
        _make(installed.n8n_folder(), installed.n8n(), _install_n8n)


if __name__ == "__main__":
    main()
