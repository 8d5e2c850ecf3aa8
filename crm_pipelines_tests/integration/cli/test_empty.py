"""A database without a contact is called empty, wherever one looks, with how to bring contacts in."""

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.cli.conftest import Run

EMPTY = "There are no contacts yet. Bring some in: `crm-pipelines contacts import FILE --select brevo`."
COMMANDS = [["status"], ["status", "brevo"], ["why", "ada@example.com"], ["check", "brevo"], ["sync", "brevo"]]


def said(run: Run, sandbox: BrevoSandbox, command: list[str]) -> str:
    done = run(*command, BREVO_API_KEY="xkeysib-test-0123456789abcdef", BREVO_API_BASE_URL=sandbox.url)
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_that_tells_of_contacts_says_that_there_are_none(
    run: Run, brevo_sandbox: BrevoSandbox, command: list[str]
) -> None:
    assert said(run, brevo_sandbox, command).count(EMPTY) == 1


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_with_one_contact_none_of_them_does(
    run: Run, brevo_sandbox: BrevoSandbox, people: People, command: list[str]
) -> None:
    people.add(email="grace@example.com")
    assert "no contacts yet" not in said(run, brevo_sandbox, command)
