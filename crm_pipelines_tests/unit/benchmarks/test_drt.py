"""drt is compared with, in a version that is pinned with hashes, and is no dependency of ours."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from benchmarks.drt import installing

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "benchmarks" / "drt" / "drt.lock"


def test_the_version_that_is_named_is_the_one_that_is_locked() -> None:
    assert f"drt-core[postgres]=={installing.VERSION} " in LOCK.read_text(encoding="utf-8")


def test_each_package_of_its_lock_file_has_a_hash() -> None:
    lock = LOCK.read_text(encoding="utf-8")
    packages = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]
    assert packages
    assert all("--hash=sha256:" in one for one in packages)


def test_the_project_does_not_depend_on_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    assert not [one for one in wanted if one.startswith("drt")]
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert not re.search(r"^drt", lock.read_text(encoding="utf-8"), re.MULTILINE), lock


def test_what_is_half_installed_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(folder: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        raise installing.NotInstallable

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(installing, "_install", cut_off)
    with pytest.raises(installing.NotInstallable):
        installing.python()
    assert not list((tmp_path / "crm-pipelines" / "benchmarks").iterdir())


def test_it_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def install(folder: Path) -> None:
        made.append(folder)
        (folder / "bin").mkdir(parents=True)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(installing, "_install", install)
    assert installing.python() == installing.python()
    assert len(made) == 1
