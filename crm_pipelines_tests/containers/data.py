"""What is checked of contacts: import, delivery, backup."""

import csv
import shutil
from pathlib import Path

from crm_pipelines_tests.containers.stack import SandboxInside, Stack, documented
from crm_pipelines_tests.fixtures.compose import ROOT
from crm_pipelines_tests.patience import wait_until


def the_documented_import_takes_the_good_rows(stack: Stack) -> str:
    """The samples, some rows of which cannot be used."""
    folder = stack.folder / "import"
    folder.mkdir()
    shutil.copy(ROOT / "samples" / "contacts.csv", folder)
    [_, _, command] = documented("Start")
    told = stack.shell(command)
    rejected, given = (_addresses(path) for path in (folder / "contacts.rejects.csv", folder / "contacts.csv"))
    taken = int(stack.sql("SELECT count(*) FROM contacts"))
    assert rejected, told
    assert taken == len(given - rejected), told
    return f"{taken} contacts, and {len(rejected)} rows that cannot be used in contacts.rejects.csv"


def the_schedule_delivers_them(stack: Stack) -> str:
    [command] = documented("Start")[1:2]
    assert "check brevo" in command
    stack.inside("code", "crm-pipelines", "provision", "brevo")
    sandbox = SandboxInside(stack, "brevo-sandbox")
    due = "SELECT count(*) FROM contacts WHERE brevo_sync_status IN ('Selected', 'Queued', 'Processing')"
    wait_until(lambda: stack.sql(due) == "0", "nothing is due", poll_seconds=1)
    assert sandbox.contact("ada@example.com"), sandbox.contacts()
    delivered = stack.delivered("")
    assert delivered == len(sandbox.contacts()) > 10
    return f"{delivered} contacts"


def the_documented_backup_comes_back(stack: Stack) -> str:
    backup, restore = documented("Back up, restore")
    before = stack.sql("SELECT count(*) FROM contacts")
    stack.shell(backup)
    stack.add_contacts(3, "late")
    told = stack.shell(restore)
    assert stack.sql("SELECT count(*) FROM contacts") == before
    assert "restored" in told, told
    stack.add_contacts(1, "restored")
    stack.inside("code", "crm-pipelines", "gate", "open", "brevo")
    stack.wait_until_delivered(1, "restored")
    return f"{before} contacts; sending waited for a person"


def _addresses(file: Path) -> set[str]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return {row["Email"].casefold() for row in csv.DictReader(lines)}
