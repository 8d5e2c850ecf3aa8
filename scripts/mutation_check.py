"""Removes one guard of the protocol at a time from a copy of this tree, and requires that its tests go red.

A guard that can be removed unnoticed is not tested. No part of `make test`, since it takes minutes: `make mutations`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parent.parent
# Without its guard a test may wait for what never comes.
_LITTLE_PATIENCE = {"CRM_PIPELINES_TEST_PATIENCE": "0.3"}


def main(words: list[str]) -> int:
    """Prints a table; returns 1 when a guard could be removed unnoticed. With words: only guards that hold one."""
    mutations = [one for one in MUTATIONS if not words or any(word in one.guard for word in words)]
    if not mutations:
        print(f"No guard's name holds one of these words: {', '.join(words)}.")
        return 1
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="crm-pipelines-mutations-") as name:
        tree = Path(name)
        tree.chmod(0o711)
        for folder in ("crm_pipelines", "crm_pipelines_tests", "deploy"):
            shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "dagster.yaml"):
            shutil.copy(ROOT / file, tree / file)
        for mutation in mutations:  # before minutes pass: is what is to be removed still there?
            with _Without(tree, mutation):
                pass
        every_test = sorted({test for mutation in mutations for test in mutation.tests})
        if complaint := _complaint(tree, every_test):
            print(f"{complaint}\nThe tests fail without any change; nothing can be told from them.")
            return 1
        print("| without any change | green |", flush=True)
        for mutation in mutations:
            with _Without(tree, mutation):
                caught = bool(_complaint(tree, mutation.tests))
            survivors += not caught
            print(
                f"| {mutation.guard} | {'red, as it should be' if caught else 'GREEN: no test notices'} |", flush=True
            )
    return 1 if survivors else 0


class _Without:
    """The tree without one guard, for the length of the block."""

    def __init__(self, tree: Path, mutation: Mutation) -> None:
        self._tree = tree
        self._mutation = mutation
        self._before: dict[Path, str] = {}

    def __enter__(self) -> None:
        for file, text, replacement in self._mutation.changes:
            path = self._tree / file
            content = path.read_text(encoding="utf-8")
            self._before.setdefault(path, content)
            if content.count(text) < 1:
                raise SystemExit(f"{self._mutation.guard}: {file} no longer holds what is to be removed: {text}")
            path.write_text(content.replace(text, replacement), encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        for path, content in self._before.items():
            path.write_text(content, encoding="utf-8")


def _complaint(tree: Path, tests: list[str] | tuple[str, ...]) -> str:
    """What pytest says when a test fails, else nothing. What pytest cannot do (a wrong name, say) ends this program."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # PYTHONPATH: what the tests start would find the package as it is installed.
    environment = {**os.environ, **_LITTLE_PATIENCE, "PYTHONPATH": str(tree)}
    result = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if result.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout[-2000:] if result.returncode else ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
