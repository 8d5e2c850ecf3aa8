"""The house is as docs/architecture.md says, and no name means two things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import crm_pipelines

PACKAGE = Path(crm_pipelines.__file__).parent
ROOT = PACKAGE.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_SUFFIXES = ("py", "sql", "toml", "yaml", "yml", "md")


def test_every_file_and_folder_that_the_architecture_names_exists() -> None:
    named = {word for word in re.findall(r"`([\w./-]+)`", TEXT) if _is_path(word)}
    assert len(named) > 40
    assert {word for word in named if not _exists(word)} == set()


def _is_path(word: str) -> bool:
    return not word.startswith((".", "/")) and (word.endswith("/") or word.rpartition(".")[2] in _SUFFIXES)


def _exists(word: str) -> bool:
    """From the package on, or from the project's folder; a bare name that stands behind a path: anywhere in it."""
    return (PACKAGE / word).exists() or (ROOT / word).exists() or ("/" not in word and any(PACKAGE.rglob(word)))


def test_the_list_of_rooms_has_every_room_and_no_other() -> None:
    [rooms] = re.findall(r"^## Rooms\n\n```\ncrm_pipelines/\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    listed, room = set(), ""
    for indent, name in re.findall(r"^( +)(\S+)", rooms, flags=re.MULTILINE):
        listed.add(f"{room}{name}" if len(indent) > 2 else name)
        room = room if len(indent) > 2 else name
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    folders = {f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.glob("*/__init__.py")}
    assert {name for name in listed if name.count("/") < 2} == files | folders
    assert {name for name in listed if not (PACKAGE / name).exists()} == set()


def test_every_room_says_what_it_is() -> None:
    silent = [
        path for path in PACKAGE.rglob("__init__.py") if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_no_two_public_classes_have_one_name() -> None:
    homes = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        if "sandbox" not in path.parts:  # stand-ins have words of their own for what is on the CRM's side
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
