"""The login before Dagster's pages: deploy/login, as docs/deployment.md says."""

import re
import shutil
import socket
import subprocess

from playwright.sync_api import Page, expect, sync_playwright

from crm_pipelines_tests.containers.stack import Stack
from crm_pipelines_tests.fixtures.browser import QUIET
from crm_pipelines_tests.fixtures.compose import ROOT
from crm_pipelines_tests.patience import PATIENCE

_NAME, _PASSWORD = "operator", "a password of the login"
_HOST = "pages.localhost"
"""Caddy gives this name a certificate of its own authority; for other names it asks a public one."""
_POST = ("--header", "Content-Type: application/json", "--data", '{"query": "{ version }"}')
_SIGNED_IN = ("--user", f"{_NAME}:{_PASSWORD}")
_SOCKET = (
    *("--http1.1", "--max-time", "5", "--header", "Connection: Upgrade", "--header", "Upgrade: websocket"),
    *("--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    *("--header", "Sec-WebSocket-Protocol: graphql-ws"),
)


def nobody_gets_past_the_login(stack: Stack) -> str:
    """Pages and GraphQL, by GET, POST and web socket."""
    root = _put_login_before_the_pages(stack)
    assert not stack.inspect("webserver")["NetworkSettings"]["Ports"].get("3000/tcp"), (
        "it is published beside the login"
    )
    refused = {
        "/": _status(stack, f"{root}/"),
        "GET": _status(stack, f"{root}/graphql?query=%7B+version+%7D"),
        "POST": _status(stack, f"{root}/graphql", *_POST),
        "another password": _status(stack, f"{root}/graphql", *_POST, "--user", f"{_NAME}:another"),
        "web socket": _status(stack, f"{root}/graphql", *_SOCKET),
    }
    assert set(refused.values()) == {401}, refused
    return "401 for /, and for /graphql by GET, POST and web socket"


def whoever_signs_in_reaches_the_pages(stack: Stack) -> str:
    """Under the name of DAGSTER_UI_URL, and no page of another origin does."""
    root = stack.settings["DAGSTER_UI_URL"]
    own, foreign = ("--header", f"Origin: {root}"), ("--header", "Origin: https://foreign.example")
    seen = [
        _status(stack, f"{root}/", *_SIGNED_IN),
        _status(stack, f"{root}/graphql", *_POST, *_SIGNED_IN, *own),
        _status(stack, f"{root}/graphql", *_SOCKET, *_SIGNED_IN, *own),
        _status(stack, f"{root}/graphql", *_POST, *_SIGNED_IN, *foreign),
        _status(stack, f"{root}/graphql", *_SOCKET, *_SIGNED_IN, *foreign),
    ]
    assert seen == [200, 200, 101, 403, 403], seen
    return "page, GraphQL and web socket; 403 for a foreign origin"


def a_browser_signs_in_and_launches_a_run(stack: Stack) -> str:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "There is no chromium (Debian: apt-get install chromium)."
    stack.add_contacts(1, "browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        login = {"username": _NAME, "password": _PASSWORD}
        context = browser.new_context(http_credentials=login, ignore_https_errors=True)  # type: ignore[arg-type]
        context.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        seen = _launch(context.new_page(), stack.settings["DAGSTER_UI_URL"])
        browser.close()
    return seen


def _launch(page: Page, root: str) -> str:
    heard: list[str] = []
    page.on("websocket", lambda one: one.on("framereceived", lambda frame: heard.append(str(frame))))
    page.goto(f"{root}/locations/crm_pipelines/jobs/brevo_check_account/playground")
    page.get_by_role("button", name="Launch run").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.get_by_text("RUN_SUCCESS").first).to_be_visible()
    assert any("RunSuccessEvent" in frame for frame in heard), "the log came through the web socket"
    return "the run's log came through the web socket"


def _put_login_before_the_pages(stack: Stack) -> str:
    """The address of the pages."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        root = f"https://{_HOST}:{listener.getsockname()[1]}"
    override = stack.folder / "login.yml"
    published = f"127.0.0.1:{root.rpartition(':')[2]}:443"
    override.write_text(f"services:\n  login: {{ports: !override ['{published}']}}\n", encoding="utf-8")
    stack.files += [ROOT / "deploy" / "login" / "docker-compose.yml", override]
    hashing = ("docker", "run", "--rm", "caddy:2", "caddy", "hash-password", "--plaintext", _PASSWORD)
    stack.settings |= {
        "PAGES_HOST": _HOST,
        "PAGES_USER": _NAME,
        "PAGES_PASSWORD_HASH": stack.run(*hashing).stdout.strip(),
        "DAGSTER_UI_URL": root,
    }
    stack.up()
    certificate = stack.inside("login", "cat", "/data/caddy/pki/authorities/local/root.crt").stdout
    (stack.folder / "login.pem").write_text(certificate, encoding="utf-8")
    return root


def _status(stack: Stack, url: str, *options: str) -> int:
    """The HTTP status, under Caddy's certificate."""
    curl = ["curl", "--silent", "--output", "/dev/null", "--noproxy", "*", "--write-out", "%{http_code}"]
    trusting = ["--cacert", str(stack.folder / "login.pem")]
    asked = subprocess.run([*curl, *trusting, *options, url], capture_output=True, text=True, check=False)
    return int(asked.stdout)
