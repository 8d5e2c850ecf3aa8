"""`scripts/setup-venv`, which every `make` target calls, with a stand-in for Python and pip."""

import shutil
import subprocess
from pathlib import Path

import pytest

import crm_pipelines

CHECKOUT = Path(crm_pipelines.__file__).parent.parent
SAYS = "pip-says"  # what the stand-in's pip prints; present: it fails

# As much of Python as the script uses: its version, `-m venv`, and `-m pip`, which notes its calls.
STAND_IN = """#!/bin/sh
case "$*" in
*version_info*) echo "${STAND_IN_VERSION:-3.12}" ;;
"-m venv"*) [ -f no-venv ] && { cat no-venv; exit 1; }; mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip --version") ;;
"-m pip"*) echo "$*" >> pip-calls; [ -f pip-says ] && { cat pip-says; exit 1; }; echo "Collecting something" ;;
esac
exit 0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with two lock files, in a path with a space."""
    project = tmp_path / "a project"
    (project / "requirements").mkdir(parents=True)
    (project / "programs").mkdir()
    for name in ("local.lock", "test.lock"):
        (project / "requirements" / name).write_text(f"# {name}\n")
    (project / "pyproject.toml").touch()
    shutil.copytree(CHECKOUT / "scripts", project / "scripts")
    for tool in ("sh", "cat", "cksum", "tr", "dirname", "grep", "tail", "tee", "awk", "rm", "mkdir", "mktemp", "cp"):
        found = shutil.which(tool)
        assert found
        (project / "programs" / tool).symlink_to(found)
    _python(project, "python3.12")
    return project


def _python(project: Path, name: str, text: str = STAND_IN) -> None:
    python = project / "programs" / name
    python.write_text(text)
    python.chmod(0o755)


def _run(project: Path, lock: str = "local", **environment: str) -> subprocess.CompletedProcess[str]:
    # Only the stand-in and the tools: this machine's own Pythons must not be found.
    return subprocess.run(
        ["sh", project / "scripts" / "setup-venv", lock],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": str(project / "programs"), **environment},
        check=False,
    )


def _installed(project: Path) -> list[str]:
    """The lock files that pip was given so far."""
    calls = project / "pip-calls"
    words = calls.read_text().split() if calls.exists() else []
    return [Path(word).stem for word in words if word.endswith(".lock")]


def _fails(project: Path, **environment: str) -> str:
    done = _run(project, **environment)
    assert done.returncode == 1
    assert not (project / ".venv" / ".installed").exists()
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    return last


def test_the_first_time_it_installs_and_the_second_time_it_does_nothing(project: Path) -> None:
    first = _run(project)
    assert first.returncode == 0, first.stderr
    assert "Making .venv with Python 3.12" in first.stderr
    second = _run(project)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert _installed(project) == ["local"]


def test_what_was_installed_for_tests_serves_the_rest_too(project: Path) -> None:
    for lock in ("local", "test", "local", "test"):
        assert _run(project, lock).returncode == 0
    assert _installed(project) == ["local", "test"]


@pytest.mark.parametrize("changed", ["requirements/local.lock", "pyproject.toml"])
def test_a_change_of_what_is_needed_installs_again(project: Path, changed: str) -> None:
    _run(project)
    (project / changed).write_text("changed")
    assert _run(project).returncode == 0
    assert _installed(project) == ["local", "local"]


def test_a_moved_checkout_gets_a_new_environment(project: Path) -> None:
    _run(project)
    moved = project.rename(project.with_name("moved"))
    done = _run(moved)
    assert "Making .venv" in done.stderr
    assert _installed(moved) == ["local", "local"]


def test_a_half_made_environment_is_made_again(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    assert "Making .venv" in _run(project).stderr


def test_a_shim_that_exists_but_does_not_run_is_passed_over(project: Path) -> None:
    _python(project, "python3.13", "#!/bin/sh\necho 'version 3.13 is not installed' >&2\nexit 127\n")
    assert "Making .venv with Python 3.12" in _run(project).stderr


def test_a_python_that_is_asked_for_is_taken_and_replaces_another(project: Path) -> None:
    _run(project)
    _python(project, "mine", STAND_IN.replace("3.12", "3.11"))
    assert "Making .venv with Python 3.11" in _run(project, PYTHON="mine").stderr
    assert _run(project, PYTHON="mine").stderr == ""


def test_a_python_that_is_asked_for_but_too_old_is_named(project: Path) -> None:
    _python(project, "old", STAND_IN.replace("3.12", "3.9"))
    assert "PYTHON is old" in _fails(project, PYTHON="old")


def test_an_old_python_alone_is_named_with_its_version(project: Path) -> None:
    (project / "programs" / "python3.12").unlink()
    _python(project, "python3", STAND_IN.replace("3.12", "3.9"))
    assert "3.11, 3.12 or 3.13 is needed, and 3.9 was found" in _fails(project)


def test_without_any_python_it_says_which_are_fit(project: Path) -> None:
    (project / "programs" / "python3.12").unlink()
    assert "Python 3.11, 3.12 or 3.13 is needed, and none was found" in _fails(project)


@pytest.mark.parametrize(
    ("pip", "sentence"),
    [
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "package index cannot be reached"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "is not the one in"),
        ("ERROR: something new", "see the lines above"),
    ],
)
def test_a_failed_installation_says_why_and_is_tried_again(project: Path, pip: str, sentence: str) -> None:
    (project / SAYS).write_text(f"{pip}\n")
    assert sentence in _fails(project)
    (project / SAYS).unlink()
    assert _run(project).returncode == 0


def test_a_missing_venv_module_is_named_with_its_package(project: Path) -> None:
    (project / "no-venv").write_text(
        "The virtual environment was not created successfully because ensurepip is not available."
    )
    assert "python3-venv" in _fails(project)
