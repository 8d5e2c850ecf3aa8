"""What people read keeps to the words of docs/glossary.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from crm_pipelines.cli import cli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "crm_pipelines"

# Words of the code, with what people read in their place.
REPLACED = {
    r"gates?": "sending (to Brevo) is on, paused or stopped",
    r"claim(s|ed|ing)?": "a run takes contacts",
    r"prob(e|es|ed|ing)": "one contact tests the CRM",
    r"park(s|ed|ing)?": "failed",
    r"singly": "one by one",
    r"(un)?charge[sd]?": "without using up a try",
    r"snooze[sd]?|put off": "postponed",
    r"mends?|mended": "correct, remove",
    r"so it is with|such as is": "short sentences: subject, verb, object",
}
_FORBIDDEN = re.compile(rf"\b(?:{'|'.join(REPLACED)})\b", re.IGNORECASE)

# Documents for those who change the code keep its words, and the glossary explains them.
FOR_ENGINEERS = {"architecture.md", "benchmarks.md", "conformance.md", "dependencies.md", "glossary.md"}

_CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`]*`|\]\([^)]*\)|<[^>]*>", re.DOTALL)
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|WHERE|FROM) ")
_NOT_FOR_PEOPLE = {"database/migrations", "sandbox"}


def _commands(command: click.Command, path: str = "crm-pipelines") -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=path)
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, f"{path} {name}")


def _sentences(module: Path) -> Iterator[tuple[str, str]]:
    """The texts of a module that are sentences or parts of some: no docstrings, names, or SQL."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if " " in text.strip() and not _SQL.search(text):
            yield f"{module.relative_to(ROOT)}:{node.lineno}", text


def _said(text: str) -> list[str]:
    return [found[0] for found in _FORBIDDEN.finditer(_CODE.sub(" ", text))]


def test_the_help_of_every_command_keeps_to_the_glossary() -> None:
    # `gate` is the name of a command, which scripts rely on.
    helps = {
        name: re.sub(r"crm-pipelines gate|^ +gate ", "", text, flags=re.MULTILINE) for name, text in _commands(cli)
    }
    assert {name: words for name, text in helps.items() if (words := _said(text))} == {}


def test_every_sentence_of_the_program_keeps_to_the_glossary() -> None:
    found = {
        where: (words, text)
        for module in sorted(PACKAGE.rglob("*.py"))
        if not any(f"/{folder}/" in module.as_posix() for folder in _NOT_FOR_PEOPLE)
        for where, text in _sentences(module)
        if (words := _said(text))
    }
    assert found == {}


@pytest.mark.parametrize("template", sorted(PACKAGE.rglob("api/pages/templates/*.html")), ids=lambda one: one.name)
def test_every_page_keeps_to_the_glossary(template: Path) -> None:
    shown = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", template.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert _said(shown) == []


@pytest.mark.parametrize(
    "document",
    [
        one
        for one in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
        if one.name not in FOR_ENGINEERS
    ],
    ids=lambda one: one.name,
)
def test_every_document_for_users_keeps_to_the_glossary_and_leads_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert {line: words for line in _CODE.sub(" ", text).split("\n") if (words := _said(line))} == {}
    assert "glossary.md)" in text
