"""The list of guards that `make mutations` removes names what is there."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = ROOT / "scripts" / "mutations.py"


@pytest.mark.skipif(not _SCRIPT.exists(), reason="in the copy that make mutations works on")
def test_each_guard_stands_where_the_list_says_and_its_tests_exist() -> None:
    specification = importlib.util.spec_from_file_location("mutations", _SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    listed = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(listed)
    missing = [
        f"{one.guard}: {file}"
        for one in listed.MUTATIONS
        for file, text, _ in one.changes
        if text not in (ROOT / file).read_text(encoding="utf-8")
    ]
    missing += [
        f"{one.guard}: {test}" for one in listed.MUTATIONS for test in one.tests if not _exists(*test.split("::"))
    ]
    assert missing == []


def _exists(file: str, name: str = "") -> bool:
    path: Path = ROOT / file
    return path.exists() and (not name or f"def {name.partition('[')[0]}(" in path.read_text(encoding="utf-8"))
