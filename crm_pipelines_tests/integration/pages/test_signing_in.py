"""Nobody gets in without a token, nobody is made to send a form unawares, and a token is in no URL."""

import requests
import sqlalchemy as sa

from crm_pipelines.access.tokens import revoke_token
from crm_pipelines.api.access import FAILURES_PER_MINUTE
from crm_pipelines.api.app import PREFIX, create_app
from crm_pipelines.api.pages.rendering import LARGEST_FORM
from crm_pipelines.api.pages.session import COOKIE
from crm_pipelines.database import connecting
from crm_pipelines.settings import STATUS_PAGE_NAME
from crm_pipelines_tests.fixtures.api import api_settings, serving
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.pages.conftest import Site, Visitor
from crm_pipelines_tests.patience import PATIENCE


def test_who_is_signed_out_is_led_in_and_on_to_where_they_wanted(site: Site) -> None:
    visitor = site.visitor()
    door = visitor.get("/contacts")
    assert door.url == f"{site.root}/sign-in?next=%2Fcontacts"
    assert 'name="next" value="/contacts"' in door.text
    inside = visitor.send("/sign-in", {"token": f" {site.token}\n", "next": "/contacts"})
    assert inside.url == f"{site.root}/contacts"
    assert all(site.token not in one.url for one in [*inside.history, inside])


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Site) -> None:
    answer = site.visitor().send("/sign-in", {"token": site.token}, follow=False)
    flags = answer.headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=lax"} <= set(flags)
    for protocol in ("https", "https, http", "HTTPS"):
        behind_tls = site.visitor().send(
            "/sign-in", {"token": site.token}, headers={"X-Forwarded-Proto": protocol}, follow=False
        )
        assert "Secure" in behind_tls.headers["set-cookie"], protocol


def test_a_wrong_token_opens_nothing(site: Site) -> None:
    visitor = site.visitor()
    for token in ("", "nonsense", "crmp_00000000_" + "a" * 43):
        assert visitor.sign_in(token).status_code == 401
        assert not visitor.session.cookies
        assert visitor.get("/").url.endswith("/sign-in")


def test_a_revoked_token_is_out_at_once(site: Site, operator: Visitor, engine: sa.Engine) -> None:
    revoke_token(engine, "operator")
    assert operator.get("/").url.endswith("/sign-in")


def test_the_cookie_is_no_token_and_opens_the_page_alone(site: Site, operator: Visitor, people: People) -> None:
    [value] = operator.session.cookies.values()
    assert site.token.split("_", 2)[2] not in value
    assert bearer(site, site.token).ok
    assert bearer(site, value).status_code == 401
    rows = people.all("SELECT *, encode(digest, 'escape') AS escaped FROM crm_sessions")
    assert rows
    assert value not in str(rows), "stored as a digest"


def test_a_token_in_the_cookie_opens_nothing(site: Site) -> None:
    visitor = site.visitor()
    for name in (COOKIE, "crm_pipelines_token"):
        visitor.session.cookies.set(name, site.token, domain="127.0.0.1", path="/")
    door = visitor.get("/")
    assert door.url.endswith("/sign-in")
    assert not visitor.session.cookies, "what a former version has put there is taken away"


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(site: Site, operator: Visitor) -> None:
    operator.get("/")
    thief = site.visitor()
    thief.session.cookies.update(operator.session.cookies)
    assert thief.get("/").url == f"{site.root}/"
    assert operator.send("/sign-out").url.endswith("/sign-in")
    assert not operator.session.cookies
    assert thief.get("/").url.endswith("/sign-in")


def test_signing_in_again_ends_the_session_before(site: Site, operator: Visitor) -> None:
    former = site.visitor()
    former.session.cookies.update(operator.session.cookies)
    operator.sign_in(site.reading_token)
    assert former.session.cookies != operator.session.cookies
    assert former.get("/").url.endswith("/sign-in")
    assert operator.get("/").url == f"{site.root}/"


def test_a_session_ends_after_some_hours_and_with_its_token(site: Site, people: People) -> None:
    hours = people.all("SELECT 1 FROM crm_sessions WHERE expires_at > now() + interval '13 hours'")
    assert hours == []
    for end in (
        "UPDATE crm_sessions SET expires_at = now()",
        "UPDATE crm_tokens SET expires_at = now() WHERE name = 'operator'",
        "UPDATE crm_tokens SET expires_at = NULL, revoked_at = now() WHERE name = 'operator'",
    ):
        visitor = site.visitor(site.token)
        assert visitor.get("/").url == f"{site.root}/"
        people.run(end)
        assert visitor.get("/").url.endswith("/sign-in"), end
        people.run("UPDATE crm_tokens SET expires_at = NULL")


def test_who_sends_a_form_after_the_session_has_ended_is_told_that_nothing_was_changed(
    operator: Visitor, people: People
) -> None:
    [contact] = people.add()
    operator.get(f"/contacts/{contact}/unselect?crm=brevo")
    people.run("DELETE FROM crm_sessions")
    told = operator.send(f"/contacts/{contact}/unselect", {"crm": "brevo", "offer": "Unselect"}).text
    assert "What you sent did not arrive, and nothing was changed" in told
    assert people.states() == {"queued": 1}
    assert operator.send("/sign-out").url.endswith("/sign-in"), "there is nothing to do again"


def test_sessions_that_are_over_leave_no_rows_behind(site: Site, people: People) -> None:
    site.visitor(site.token)
    people.run("UPDATE crm_sessions SET expires_at = now()")
    site.visitor(site.token)
    assert len(people.all("SELECT 1 FROM crm_sessions")) == 1


def test_behind_tls_the_cookie_is_bound_to_the_host_and_no_other_is_taken(site: Site, operator: Visitor) -> None:
    behind_tls = {"X-Forwarded-Proto": "https"}
    answer = site.visitor().send("/sign-in", {"token": site.token}, headers=behind_tls, follow=False)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert {"Path=/", "Secure"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    planted = operator.session.get(f"{site.root}/", headers=behind_tls, timeout=PATIENCE)
    assert planted.url.endswith("/sign-in"), "one without the prefix may come from another host of the domain"


def test_the_door_names_the_pages_own_address_only_to_who_came_by_one_that_other_programs_share(site: Site) -> None:
    port = site.root.rpartition(":")[2]
    own = f'href="http://{STATUS_PAGE_NAME}:{port}"'

    def door(**headers: str) -> str:
        return site.visitor().session.get(f"{site.root}/sign-in", headers=headers, timeout=PATIENCE).text

    assert own in door()
    assert own in door(Host=f"LOCALHOST:{port}")
    assert STATUS_PAGE_NAME not in door(Host=f"{STATUS_PAGE_NAME}:{port}")
    assert STATUS_PAGE_NAME not in door(**{"X-Forwarded-Proto": "https"}), "a proxy elsewhere"


def test_failures_from_its_address_do_not_keep_anybody_from_signing_in(site: Site, operator: Visitor) -> None:
    for _ in range(FAILURES_PER_MINUTE + 1):
        assert site.visitor().sign_in("nonsense").status_code == 401
    assert "Too many wrong tokens" in site.visitor().sign_in("nonsense").text
    assert operator.get("/").url == f"{site.root}/"
    assert site.visitor().sign_in(site.reading_token).url == f"{site.root}/"


def bearer(site: Site, token: str) -> requests.Response:
    return requests.get(f"{site.root}{PREFIX}/contacts", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)


def test_a_form_of_another_site_changes_nothing(operator: Visitor, people: People) -> None:
    [contact] = people.add(select=False)
    operator.get("/")
    forged: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"form_key": ""}, {}),
        ({"form_key": "0" * 64}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ]
    for form, headers in forged:
        answer = operator.send(f"/contacts/{contact}/select", {"crm": "brevo", "offer": "Select", **form}, headers)
        assert answer.status_code == 403, (form, headers)
    assert people.states() == {}


def test_another_site_cannot_sign_somebody_in(site: Site) -> None:
    visitor = site.visitor()
    for origin in ("https://evil.example", "null", "http://[", site.root + ".evil.example", "http://127.0.0.1:1"):
        assert visitor.send("/sign-in", {"token": site.token}, {"Origin": origin}).status_code == 403, origin
        assert not visitor.session.cookies


def test_a_token_that_was_revoked_does_not_keep_its_browser_from_signing_in_again(
    site: Site, operator: Visitor, engine: sa.Engine
) -> None:
    revoke_token(engine, "operator")
    for _ in range(FAILURES_PER_MINUTE):
        assert operator.get("/").url.endswith("/sign-in")
    assert operator.sign_in(site.reading_token).url == f"{site.root}/"


def test_a_stranger_cannot_send_a_form_larger_than_any_there_is(site: Site) -> None:
    for path in ("/sign-in", "/contacts", "/contacts.csv", "/retry"):
        answer = site.visitor().send(path, {"token": "x" * (LARGEST_FORM + 1)})
        assert answer.status_code == 413, path
        assert "larger than 200,000 bytes" in answer.text


def test_signing_in_leads_to_no_other_site(site: Site) -> None:
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "evil.example"):
        answer = site.visitor().send("/sign-in", {"token": site.token, "next": elsewhere}, follow=False)
        assert answer.headers["location"] == "/", elsewhere


def test_who_may_read_only_sees_no_button_and_changes_nothing(site: Site, people: People) -> None:
    [contact] = people.add()
    reader = site.visitor(site.reading_token)
    assert f"/contacts/{contact}/unselect" not in reader.get(f"/contacts/{contact}").text
    assert reader.send(f"/contacts/{contact}/unselect", {"crm": "brevo", "offer": "Unselect"}).status_code == 403
    assert people.states() == {"queued": 1}


def test_a_database_that_is_gone_is_a_page_that_says_so() -> None:
    gone = connecting.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with serving(create_app(gone, api_settings())) as root:
        answer = Visitor(root).send("/sign-in", {"token": "crmp_00000000_" + "a" * 43})
    assert answer.status_code == 503
    assert "does not answer at the moment" in answer.text
    gone.dispose()
