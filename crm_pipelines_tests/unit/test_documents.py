"""Documents that repeat what the code says are checked against it, and what they point at exists."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from crm_pipelines.cli import cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TELLING = [*DOCUMENTS, *(ROOT / "crm_pipelines").rglob("*.py")]
"""What tells people which commands to type."""


def test_the_configuration_reference_and_the_example_say_what_the_settings_say() -> None:
    script = ROOT / "scripts" / "write_configuration.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_section(document: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")) if "://" not in link]
    for link in links:
        file, _, section = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not section or section in sections(target), link


def sections(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_command_that_people_are_told_to_type_exists() -> None:
    told = [(path, words) for path in TELLING for words in commands(path)]
    assert len(told) > 100
    assert {" ".join(words): unknown for _, words in told if (unknown := first_unknown(words))} == {}


def commands(path: Path) -> Iterator[list[str]]:
    """`crm-pipelines …` between backticks, and at the beginning of a line of its own."""
    text = path.read_text(encoding="utf-8")
    for told in re.findall(r"`crm-pipelines ([^`\n]+)`|^[ $]*crm-pipelines ([a-z][^|#>\n]*)", text, flags=re.MULTILINE):
        told_words = re.split(r" [|&>]|;|#", told[0] or told[1])[0].rstrip("\\ ")
        try:
            yield shlex.split(told_words)
        except ValueError:  # a sentence in the code that goes on in the next line
            yield told_words.split()


def first_unknown(words: list[str]) -> str | None:
    """The first word that is no command and no option."""
    command: click.Command = cli
    for word in words:
        if word.startswith("-"):
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            if word.partition("=")[0] not in options:
                return word
        elif isinstance(command, click.Group):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return None


def test_every_document_and_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for path in TELLING:
        text = path.read_text(encoding="utf-8")
        missing = {name for name in re.findall(r"\bdocs/[\w-]+\.md\b", text) if not (ROOT / name).is_file()}
        unknown = {target for named in re.findall(r"`make ([a-z -]+)", text) for target in named.split()} - targets
        assert (missing, unknown) == (set(), set()), path


def test_the_latest_release_in_the_changelog_is_the_version_of_the_package() -> None:
    [latest, *_] = re.findall(
        r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert latest == version("crm-pipelines")


def test_every_target_is_described_for_those_who_work_on_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    told = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    assert {target for target in targets if not re.search(rf"\bmake {target}\b", told)} == {"help"}


def test_the_second_terminal_knows_the_stand_in_before_a_command_asks_it() -> None:
    for name in ("README.md", "docs/quickstart.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        second = text[text.index(". .venv/bin/activate") :]
        known = second.index("export BREVO_API_KEY=sandbox BREVO_API_BASE_URL=http://127.0.0.1:8085/v3")
        assert known < second.index("crm-pipelines provision brevo"), name
