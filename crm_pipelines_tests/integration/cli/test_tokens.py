"""crm-pipelines tokens: made once, shown once, listed without secrets, revoked."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crm_pipelines.access.tokens import TokenRefused, authenticate
from crm_pipelines_tests.integration.cli.conftest import Run


def test_a_token_is_printed_alone_and_allows_what_was_said(run: Run, engine: sa.Engine) -> None:
    made = run("tokens", "create", "web app", "--scope", "write", "--scope", "read")
    assert made.returncode == 0
    assert made.stderr == "Keep it: it cannot be shown again.\n"
    assert authenticate(engine, made.stdout.strip()).scopes == {"read", "write"}
    assert authenticate(engine, run("tokens", "create", "monitor").stdout.strip()).scopes == {"read"}


def test_tokens_are_listed_without_their_secrets_and_refused_once_revoked(run: Run, engine: sa.Engine) -> None:
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


def test_a_token_may_expire_and_the_list_says_when(run: Run, engine: sa.Engine) -> None:
    token = run("tokens", "create", "for a month", "--expires", "30").stdout.strip()
    run("tokens", "create", "for ever")
    assert authenticate(engine, token).name == "for a month"
    month, ever = json.loads(run("tokens", "list", "--json").stdout)
    assert ever["expires_at"] is None
    left = datetime.fromisoformat(month["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    shown = run("tokens", "list").stdout
    assert "Expires (UTC)" in shown
    assert month["expires_at"][:10] in shown
    assert run("tokens", "create", "never", "--expires", "0").returncode == 2


def test_a_name_that_is_taken_and_one_that_is_unknown_are_mistakes(run: Run) -> None:
    run("tokens", "create", "web")
    taken = run("tokens", "create", "web")
    assert (taken.returncode, taken.stdout) == (2, "")
    assert "There is a token named 'web' already" in taken.stderr
    unknown = run("tokens", "revoke", "wep")
    assert unknown.returncode == 1
    assert "`crm-pipelines tokens list` shows" in unknown.stderr
    assert run("tokens", "create", " ").returncode == 2
    assert run("tokens", "create", "x" * 101).returncode == 2


def test_beyond_this_machine_the_api_is_served_only_when_there_is_a_token(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crm_pipelines.api")  # the command sets it, and this sets it back
    served: list[object] = []
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: served.append(1))
    refused = run("api", "--host", "0.0.0.0", "--port", "65000")
    assert (refused.returncode, served) == (2, [])
    assert refused.stderr.startswith("Error: Without a token the API is served on this machine only: make one with")
