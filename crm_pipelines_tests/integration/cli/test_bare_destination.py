"""A CRM that can do nothing but take contacts: every command says something sensible of it."""

import json
from pathlib import Path

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.postbox import Postbox
from crm_pipelines_tests.integration.cli.conftest import Run


@pytest.fixture
def program(run: Run, postbox_environment: Postbox, tmp_path: Path) -> Run:
    """The program with the one destination `postbox`."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return run


def test_check_looks_at_what_there_is(program: Run, postbox_people: People) -> None:
    postbox_people.add()
    done = program("check", "postbox", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["findings"]
    assert [one["subject"] for one in found] == ["Contacts database", "Mapping file", "Key", "Account"]
    assert all(one["ok"] for one in found)


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["for good", "dry run"])
def test_where_no_attribute_has_to_be_made_nothing_is_missing(
    program: Run, postbox: Postbox, options: list[str]
) -> None:
    done = program("provision", "postbox", *options)
    assert (done.returncode, done.stdout) == (0, "postbox: nothing is missing.\n"), done.stderr
    assert postbox.journal == []


def test_sync_foresees_and_delivers(program: Run, postbox_people: People, postbox: Postbox) -> None:
    postbox_people.add(5)
    assert "5 would be taken: 5 new. Nothing was sent." in program("sync", "postbox", "--dry-run").stdout
    assert postbox.deliveries() == []
    assert "2 taken: 2 delivered. 1 request." in program("sync", "postbox", "--limit", "2").stdout
    assert "3 taken: 3 delivered. 1 request." in program("sync", "postbox").stdout
    assert len(postbox.held()) == 5
    status = {one["crm"]: one for one in json.loads(program("status", "--json").stdout)}
    assert status["postbox"]["counts"]["Complete"] == 5
    assert status["postbox"]["account"]["name"] == "postbox-1"


def test_why_says_what_would_be_sent_and_that_the_crm_shows_nothing(program: Run, postbox_people: People) -> None:
    postbox_people.add(email="ada@example.com", name="Ada", custom_fields=json.dumps({"note": "x"}))
    assert "1 delivered" in program("sync", "postbox").stdout
    for options in ([], ["--live"]):
        done = program("why", "ada@example.com", *options)
        assert done.returncode == 0, done.stderr
        assert "Unchanged since the last delivery: a run would make no request." in done.stdout
        assert ("postbox does not show what it holds" in done.stdout) == (options == ["--live"])
