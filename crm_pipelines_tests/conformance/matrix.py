"""The tables that documents have from the code: which kind claims what, what the cases promise, what users get.

`python -m crm_pipelines_tests.conformance.matrix` writes them into docs/conformance.md and docs/crms.md.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from types import ModuleType

from crm_pipelines_tests.conformance.bench import needed
from crm_pipelines_tests.conformance.features import features
from crm_pipelines_tests.conformance.subject import Capability
from crm_pipelines_tests.conformance.subjects import KINDS

Case = Callable[..., None]

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"

_ABOUT_THE_SUITE = {"test_matrix", "test_the_suite_can_fail"}


def modules() -> list[ModuleType]:
    """Those with cases, by name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    return [import_module(f"{__package__}.{name}") for name in names if name not in _ABOUT_THE_SUITE]


def cases(module: ModuleType) -> Iterator[tuple[Case, frozenset[Capability]]]:
    """The cases of a module in the order in which they stand there, and what each asks of a kind."""
    found = [case for name, case in getmembers(module, isfunction) if name.startswith("test_")]
    for case in sorted(found, key=lambda one: one.__code__.co_firstlineno):
        yield case, needed(case)


def capabilities() -> str:
    """One row per capability, one column per kind."""
    rows = [
        [f"`{one.name}`", one.value, *("yes" if one in kind.capabilities else "no" for kind in KINDS.values())]
        for one in Capability
    ]
    return _table(["capability", "means that", *KINDS], *rows)


def promises() -> str:
    """One row per case."""
    rows = []
    for module in modules():
        about = (module.__doc__ or "").partition("\n")[0]
        rows.append([f"**{about}**", ""])
        for case, asked in cases(module):
            sentence = case.__name__.removeprefix("test_").replace("_", " ")
            rows.append([sentence, ", ".join(f"`{name}`" for name in sorted(one.name for one in asked))])
    return _table(["case", "asks for"], *rows)


def kinds() -> str:
    """One row per feature, one column per kind that users can have."""
    return _table(*features())


def written(document: str, table: str) -> str:
    """The document with this table in the place of the one whose first column has the same name."""
    first = re.escape(table.partition(" |")[0])
    return re.sub(rf"^{first} \|.*\n(\|.*\n)*", lambda _: table, document, flags=re.MULTILINE)


TABLES: Mapping[Callable[[], str], Path] = {
    capabilities: DOCUMENTS / "conformance.md",
    promises: DOCUMENTS / "conformance.md",
    kinds: DOCUMENTS / "crms.md",
}
"""Each table, and the document that has it."""


def _table(header: list[str], *rows: list[str]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for table, path in TABLES.items():
        path.write_text(written(path.read_text(encoding="utf-8"), table()), encoding="utf-8")
