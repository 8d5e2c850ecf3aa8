"""Postgres' client programs: where they are, and how they are told the database without its password being seen."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.embedded.binaries import folders, major_of, version_of
from crm_pipelines.scrubbing import scrub


class ProgramMissing(CrmPipelinesError):
    """A program of Postgres is missing, or too old for the server."""


class ProgramFailed(CrmPipelinesError):
    """A program of Postgres failed."""


@dataclass(frozen=True)
class Program:
    """Where it is, and its major version."""

    path: Path
    major: int


def find_program(name: str, *, at_least: int, chosen: Path | None) -> Program:
    """The oldest of those that know a server of version `at_least`: its files can be read by the most.

    Looked for in `chosen` if given, else where the embedded Postgres is looked for, and on the PATH. Raises
    ProgramMissing.
    """
    able = [program for program in _programs(name, chosen) if program.major >= at_least]
    if able:
        return min(able, key=lambda program: program.major)
    raise ProgramMissing(
        f"There is no {name} of Postgres {at_least} or newer: install Postgres' client programs of that version, or "
        "set CRM_POSTGRES_BIN to a folder that holds it."
    )


def _programs(name: str, chosen: Path | None) -> Iterator[Program]:
    places = [folder / name for folder in folders(chosen)]
    if chosen is None and (on_path := shutil.which(name)):
        places.append(Path(on_path))
    for path in places:
        if version := version_of(path):
            yield Program(path, major_of(version))


def connection_of(url: str) -> tuple[str, dict[str, str]]:
    """What to name the database to a program, and the environment that holds the password.

    Other users of the machine see a program's arguments, and not its environment. For a client key's passphrase there
    is no variable: the program asks for it.
    """
    parameters = conninfo_to_dict(re.sub(r"^postgresql\+\w+://", "postgresql://", url))
    password = parameters.pop("password", None)
    parameters.pop("sslpassword", None)
    shown = make_conninfo(**{name: str(value) for name, value in parameters.items()})
    return shown, {**os.environ, **({} if password is None else {"PGPASSWORD": str(password)})}


def run_program(program: Program, url: str, *arguments: str | Path) -> None:
    """Run it on the database of `url`. Raises ProgramFailed with its first line, without addresses and numbers."""
    shown, environment = connection_of(url)
    done = subprocess.run(  # noqa: S603
        [program.path, "--dbname", shown, "--no-password", *arguments],
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        # What follows the first line may quote a row.
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise ProgramFailed(f"{program.path.name} failed, and nothing was changed: {scrub(said)}")
