"""crm-pipelines tokens: made once, shown once, listed without secrets, revoked."""

import json

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.tokens import TokenRefused, authenticate
from crm_pipelines_tests.integration.cli.test_cli import Run, run  # noqa: F401 - a fixture


def test_a_token_is_printed_alone_and_allows_what_was_said(run: Run, engine: sa.Engine) -> None:  # noqa: F811
    made = run("tokens", "create", "web app", "--scope", "write", "--scope", "read")
    assert made.returncode == 0
    assert made.stderr == "Keep it: it cannot be shown again.\n"
    assert authenticate(engine, made.stdout.strip()).scopes == {"read", "write"}
    assert authenticate(engine, run("tokens", "create", "monitor").stdout.strip()).scopes == {"read"}


def test_tokens_are_listed_without_their_secrets_and_refused_once_revoked(run: Run, engine: sa.Engine) -> None:  # noqa: F811
    token = run("tokens", "create", "gone").stdout.strip()
    authenticate(engine, token)
    assert run("tokens", "revoke", "gone").stdout == "The token gone is revoked.\n"
    with pytest.raises(TokenRefused):
        authenticate(engine, token)
    listed = run("tokens", "list", "--json").stdout
    [told] = json.loads(listed)
    assert (told["name"], told["scopes"]) == ("gone", ["read"])
    assert told["last_used_at"]
    assert told["revoked_at"]
    assert token.split("_", 2)[2] not in listed + run("tokens", "list").stdout
    assert run("tokens", "create", "gone").returncode == 0, "the name is free again"


def test_a_name_that_is_taken_and_one_that_is_unknown_are_mistakes(run: Run) -> None:  # noqa: F811
    run("tokens", "create", "web")
    taken = run("tokens", "create", "web")
    assert (taken.returncode, taken.stdout) == (2, "")
    assert "There is a token named 'web' already" in taken.stderr
    unknown = run("tokens", "revoke", "wep")
    assert unknown.returncode == 1
    assert "`crm-pipelines tokens list` shows" in unknown.stderr
    assert run("tokens", "create", " ").returncode == 2
    assert run("tokens", "create", "x" * 101).returncode == 2
