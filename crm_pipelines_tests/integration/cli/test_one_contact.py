"""Where there is one, commands speak of one."""

import re

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.cli.conftest import Run

# Figures that stand before a noun; 11 and 0.1 are no 1.
_ONE_OF_MANY = re.compile(
    r"(?<![\d.,])1 (contacts|runs|rows|requests|attempts|values|fields|minutes|alerts|suppressions|tokens|times|others"
    r"|days|hours|problems|attributes|people|imports|are|were|have)\b|\b1 contact (are|were|have)\b"
)


def test_of_one_contact_no_command_speaks_as_of_many(run: Run, people: People) -> None:
    people.add(email="ada@example.com", name="Ada")
    said = []
    for command in (
        "status",
        "status brevo",
        "gate",
        "gate close brevo",
        "gate open brevo",
        "why ada@example.com",
        "contacts unselect brevo --email ada@example.com",
        "contacts select brevo --email ada@example.com",
        "contacts twins",
        "retry brevo --all",
        "health",
        "suppress ada@example.com",
        "suppress ada@example.com",
        "suppressions list",
        "contacts unselect brevo --all",
        "status mautic",
    ):
        done = run(*command.split(), BREVO_API_KEY="k", COLUMNS="80")
        said.append(f"$ {command}\n{done.stdout}{done.stderr}")
    people.run("UPDATE crm_syncs SET state = 'unselected'")
    people.add(email="grace@example.com")
    said.append(run("status", COLUMNS="80").stdout)
    text = "\n".join(said)
    assert "1 contact" in text
    assert [found.group() for found in _ONE_OF_MANY.finditer(" ".join(text.split()))] == []
