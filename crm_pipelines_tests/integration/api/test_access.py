"""Who gets in, with what, from where, and how often."""

from collections.abc import Callable

import pytest
import requests

from crm_pipelines.access.tokens import create_token, revoke_token
from crm_pipelines.api.access import FAILURES_PER_MINUTE, Authenticator
from crm_pipelines.api.errors import LARGEST_BODY
from crm_pipelines_tests.fixtures.api import ENOUGH, Api, error_of
from crm_pipelines_tests.patience import PATIENCE

READS = [
    "/contacts",
    "/crm/status/summary",
    "/crm/status/failed",
    "/crm/status/errors",
    "/crm/health",
    "/crm/config",
    "/metrics",
]
WRITES = [
    ("POST", "/contacts"),
    ("PUT", "/contacts/crm/select"),
    ("POST", "/contacts/crm/select/filtered"),
    ("POST", "/contacts/crm/sync/trigger"),
    ("POST", "/contacts/crm/retry"),
    ("PATCH", "/contacts/3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    ("PUT", "/contacts/3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    ("DELETE", "/contacts/3fa85f64-5717-4562-b3fc-2c963f66afa6"),
]


def test_nothing_but_the_document_is_told_without_a_token(api: Api) -> None:
    api.sign_in(None)
    for method, path in [("GET", path) for path in READS] + WRITES:
        assert api.refused(method, path, json={}) == (401, "unauthorized"), path
    public = api.session.get(f"{api.root}/api/v3/openapi.json", timeout=PATIENCE)
    assert public.ok
    assert api.session.get(f"{api.root}/docs", timeout=PATIENCE).ok, "the same as a page"
    assert api.session.get(f"{api.root}/redoc", timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic {token}",
        "Bearer {token}x",
        "Bearer {other}",
        "Bearer crmp_\xe9_\xe9",
        "Bearer crmp_%00",
        "{token}",
    ],
)
def test_a_token_that_is_wrong_in_any_way_is_refused(api: Api, authorization: str) -> None:
    token = api.new_token()
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    api.session.headers["Authorization"] = authorization.format(token=token, other=other)
    answer = api.call("GET", "/crm/config")
    assert error_of(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert token not in answer.text


def test_a_revoked_token_is_refused_from_then_on(api: Api) -> None:
    api.sign_in(api.new_token(name="gone"))
    assert api.get("/contacts")["total"] == 0
    revoke_token(api.engine, "gone")
    assert api.refused("GET", "/contacts") == (401, "unauthorized")


def test_each_scope_allows_its_own_and_no_more(api: Api) -> None:
    reader, writer = api.new_token(["read"]), api.new_token(["write"])
    api.sign_in(reader)
    assert api.get("/contacts")["total"] == 0
    for method, path in WRITES:
        assert api.refused(method, path, json={}) == (403, "scope_missing"), path
    api.sign_in(writer)
    assert api.post("/contacts", {"email": "ada@example.com"})
    for path in READS:
        assert api.refused("GET", path) == (403, "scope_missing"), path


def test_a_token_is_stored_nowhere(api: Api) -> None:
    secret = api.new_token().split("_", 2)[2]
    rows = api.people.all("SELECT *, encode(digest, 'escape') AS escaped FROM crm_tokens")
    assert rows
    assert secret not in str(rows)


def test_an_expired_token_is_refused_from_then_on(api: Api) -> None:
    api.sign_in(create_token(api.engine, "for a day", ["read"], days=1))
    assert api.get("/contacts")["total"] == 0
    api.people.run("UPDATE crm_tokens SET expires_at = now() WHERE name = 'for a day'")
    assert api.refused("GET", "/contacts") == (401, "unauthorized")


def test_guesses_are_throttled(api: Api) -> None:
    for wrong in ["no", f"crmp_00000000_{'a' * 43}"] * (FAILURES_PER_MINUTE // 2):
        assert error_of(guess(api, wrong))[0] == 401
    throttled = guess(api, "no")
    assert error_of(throttled) == (429, "too_many_requests")
    assert int(throttled.headers["Retry-After"]) <= 60


def test_a_valid_token_is_never_locked_out_by_failures_from_its_address_nor_after_a_restart(api: Api) -> None:
    api.app.state.authenticator = Authenticator(api.engine, requests_per_minute=ENOUGH)  # as after a restart
    for _ in range(FAILURES_PER_MINUTE + 1):
        guess(api, "no")
    assert guess(api, "no").status_code == 429
    assert api.get("/contacts")["total"] == 0, "though it was never seen before"
    assert guess(api, api.new_token()).ok


def guess(api: Api, token: str) -> requests.Response:
    return requests.get(f"{api.url}/contacts", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)


def test_a_token_may_ask_so_often_in_a_minute_and_no_oftener(api: Api) -> None:
    api.app.state.authenticator = Authenticator(api.engine, requests_per_minute=5)
    answers = [api.call("GET", "/crm/config").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]
    api.sign_in(api.new_token())
    assert api.get("/crm/config"), "another token has its own"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost:1:1", "[::1", "@localhost"]
)
def test_a_name_that_somebody_else_points_here_is_refused(api: Api, host: str) -> None:
    assert api.refused("GET", "/contacts", headers={"Host": host}) == (421, "unknown_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1"])
def test_this_machines_names_are_known(api: Api, host: str) -> None:
    assert api.call("GET", "/contacts", headers={"Host": host}).ok


def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(api: Api) -> None:
    whole = api.call("POST", "/contacts", data=b"x" * (LARGEST_BODY + 1))
    assert error_of(whole) == (413, "body_too_large")

    def chunks() -> object:
        for _ in range(LARGEST_BODY // 1_000_000 + 1):
            yield b" " * 1_000_000

    assert api.refused("POST", "/contacts", data=chunks()) == (413, "body_too_large")
    assert api.refused("POST", "/contacts", headers={"Content-Length": "1e3"}, data=b"x")[0] in {400, 413, 422}


def test_answers_carry_the_headers_that_keep_browsers_careful(api: Api) -> None:
    for answer in (
        api.call("GET", "/contacts"),
        api.call("GET", "/nothing"),
        api.call("GET", "/contacts", headers={"Host": "x"}),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers


def test_no_page_of_another_origin_gets_in_unless_it_is_configured(api: Api, serve_api: Callable[..., Api]) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    for open_to, allowed in (
        (api, None),
        (serve_api(cors_origins="https://app.example.com"), "https://app.example.com"),
    ):
        for answer in (
            open_to.call("OPTIONS", "/contacts", headers=asked),
            open_to.call("GET", "/contacts", headers=asked),
        ):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        foreign = open_to.call("OPTIONS", "/contacts", headers={**asked, "Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in foreign.headers


def test_where_nothing_is_a_browser_gets_a_page_with_a_way_back_and_a_program_the_one_form(api: Api) -> None:
    api.sign_in(None)
    for path in (
        "/nothing",
        "/api/v3/nothing",
        "/static/nothing.css",
        "/nothing/",
        "/docs/nothing",
    ):
        program = api.session.get(api.root + path, timeout=PATIENCE)
        assert error_of(program) == (404, "not_found"), path
        assert "/docs shows what the API has" in program.json()["error"]["message"]
        browser = api.session.get(api.root + path, headers={"Accept": "text/html,*/*;q=0.8"}, timeout=PATIENCE)
        assert browser.status_code == 404
        assert "Nothing is here" in browser.text
        assert '<a class="button" href="/">To the overview</a>' in browser.text
        assert browser.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert browser.headers["X-Request-ID"]
    for method, path, allowed in (
        ("PUT", "/retry", "GET, POST"),
        ("DELETE", "/docs", "GET"),
        ("POST", "/docs/", "GET"),
    ):
        for accept in ("*/*", "text/html"):
            answer = api.session.request(method, api.root + path, headers={"Accept": accept}, timeout=PATIENCE)
            assert answer.status_code == 405, path
            assert answer.headers["Allow"] == allowed
            assert ("That did not work" in answer.text) == (accept == "text/html")
    assert api.session.get(f"{api.root}/docs/", timeout=PATIENCE).ok, "a slash at the end is none too many"


def test_what_is_refused_to_a_program_is_no_page_whatever_it_takes(api: Api) -> None:
    api.sign_in(None)
    answer = api.session.get(f"{api.url}/contacts", headers={"Accept": "text/html"}, timeout=PATIENCE)
    assert error_of(answer) == (401, "unauthorized")


def test_a_path_that_is_not_there_and_a_method_that_is_not_meant(api: Api) -> None:
    assert api.refused("GET", "/nothing") == (404, "not_found")
    assert api.refused("GET", "/contacts/1") == (404, "not_found")
    answer = api.call("PUT", "/contacts")
    assert error_of(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_the_log_tells_who_called_what_and_nothing_of_a_person(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("ada@example.com")

    caplog.set_level("INFO", "crm_pipelines.api")
    contact = api.post("/contacts", {"email": "ada@example.com"})
    api.post("/contacts/search", {"filter": {"text": "ada@example.com"}})
    api.refused("GET", "/contacts", params={"email": "ada@example.com"})
    monkeypatch.setattr("crm_pipelines.contacts.records.read", fail)
    assert api.refused("GET", f"/contacts/{contact['id']}") == (500, "internal_error")
    text = caplog.text
    assert "POST create_contact 201" in text
    assert "GET list_contacts 422" in text
    assert "RuntimeError at api/contacts.py:" in text
    assert "example.com" not in text
    assert str(api.token).split("_", 2)[2] not in text
