"""Over HTTP a request is about the destination that it names, and nothing is queued where nobody delivers."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.api.access import LOOKS_PER_MINUTE
from crm_pipelines.destinations.registered import register
from crm_pipelines.orchestration.watching.health import HealthCheck
from crm_pipelines_tests.fixtures.api import Api, error_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.contacts.states import add_contact, put

SELECT = "/contacts/crm/select"
FILTERED = "/contacts/crm/select/filtered"
TRIGGER = "/contacts/crm/sync/trigger"
EU_KEY = "xkeysib-of-the-second-account"


@pytest.fixture
def api(api_of_two: Api) -> Api:
    return api_of_two


@pytest.fixture
def eu_sandbox(
    _second_server: str, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BrevoSandbox]:
    """The account of `brevo_eu`; `brevo` has the other one."""
    sandbox = BrevoSandbox(_second_server)
    sandbox.reset()
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_EU_API_KEY", EU_KEY)
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", sandbox.url)
    yield sandbox
    sandbox.close()


def standing(api: Api, contact: UUID) -> dict[str, str]:
    return {one["crm"]: one["sync_status"] for one in api.get(f"/contacts/{contact}")["crms"]}


def in_state(api: Api, state: str, crm: str) -> UUID:
    """A contact in this state at `crm`, written by SQL as a former version could."""
    with api.engine.begin() as connection:
        contact = add_contact(connection, f"{state}.{crm}@example.com")
        put(connection, contact, state, crm=crm)
    return contact


def test_what_is_decided_for_one_destination_changes_nothing_at_another_of_its_kind(api: Api) -> None:
    with api.engine.begin() as connection:
        contact = add_contact(connection)
    for action, status in (("select", "Selected"), ("unselect", "New"), ("select", "Selected")):
        told = api.post(SELECT, {"contact_ids": [str(contact)], "crms": ["BREVO_EU"], "action": action})
        assert [one["crm"] for one in told["crms"]] == ["brevo_eu"]
        assert (standing(api, contact)["brevo_eu"], standing(api, contact)["brevo"]) == (status, "New")
    api.post(FILTERED, {"filter": {"status": "New"}, "crms": ["brevo"]})
    assert standing(api, contact)["brevo"] == "Selected"
    api.people.run("UPDATE crm_syncs SET state = 'failed', attempts = 4, last_error_kind = 'outage'")
    assert api.post("/contacts/crm/retry", {"crm": "brevo_eu", "all": True})["requeued"] == 1
    assert (standing(api, contact)["brevo_eu"], standing(api, contact)["brevo"]) == ("Selected", "Error")
    assert api.post(f"/contacts/{contact}/suppress", {"crm": "brevo_eu"})["crms"] == ["brevo_eu"]
    assert (standing(api, contact)["brevo_eu"], standing(api, contact)["brevo"]) == ("Skipped", "Error")


def test_a_contact_goes_first_at_the_destination_that_is_named(api: Api) -> None:
    launched: list[tuple[object, ...]] = []

    class Launcher:
        def launch(self, *arguments: object) -> object:
            launched.append(arguments)
            return type("Run", (), {"run_id": "run-1", "url": "http://dagster/runs/run-1", "waiting": False})

    api.app.state.launcher = Launcher()
    contact = in_state(api, "failed", "brevo")
    assert api.post(TRIGGER, {"contact_id": str(contact), "crm": "brevo_eu"})["crm"] == "brevo_eu"
    assert launched == [("brevo_eu",)]
    assert (standing(api, contact)["brevo_eu"], standing(api, contact)["brevo"]) == ("Selected", "Error")


def test_figures_and_failures_are_told_per_destination(api: Api) -> None:
    failed = {crm: str(in_state(api, "failed", crm)) for crm in ("brevo", "brevo_eu")}
    in_state(api, "rejected", "brevo_eu")
    told = {one["crm"]: one["counts"]["Error"] for one in api.get("/crm/status/summary")["crms"]}
    assert told == {"brevo": 1, "brevo_eu": 2, "hubspot": 0, "mautic": 0, "n8n": 0}
    [alone] = api.get("/crm/status/failed", crm="brevo")["items"]
    assert (alone["crm"], alone["contact_id"]) == ("brevo", failed["brevo"])
    assert api.get("/crm/status/errors", crm="brevo_eu")["total"] == 2
    assert api.get("/crm/status/errors")["total"] == 3
    assert api.get("/contacts", crm="brevo_eu", status="Error")["total"] == 2
    assert api.post("/contacts/search", {"crm": "brevo_eu", "filter": {"status": "New"}})["total"] == 1
    answer = api.call("GET", "/metrics")
    assert 'crm_contacts{crm="brevo_eu",status="Error"} 2.0' in answer.text


def test_the_first_destination_is_meant_where_none_is_named(
    serve_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo_eu:brevo,brevo")
    api = serve_api()
    in_state(api, "failed", "brevo_eu")
    assert api.get("/contacts", status="Error")["total"] == 1
    assert api.post("/contacts/search", {"filter": {"status": "New"}})["total"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SELECT, {"crms": ["brevo", "mautic"], "contact_ids": []}),
        (FILTERED, {"crms": ["brevo", "mautic"], "everyone": True}),
        (FILTERED, {"crms": ["mautic"], "everyone": True, "dry_run": True}),
        (TRIGGER, {"crm": "mautic"}),
    ],
)
def test_nothing_at_all_is_queued_when_one_of_the_destinations_is_not_set_up(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    with api.engine.begin() as connection:
        contact = str(add_contact(connection))
    who = {"contact_ids": [contact]} if "contact_ids" in body else {"contact_id": contact} if path == TRIGGER else {}
    answer = api.call("POST", path, json={**body, **who})
    assert error_of(answer) == (409, "crm_not_configured")
    assert (
        "Mautic is no destination here: CRM_DESTINATIONS names brevo, brevo_eu only."
        in answer.json()["error"]["message"]
    )
    assert api.people.all("SELECT * FROM crm_syncs") == []
    assert api.writes() == []


def test_the_refusal_names_the_variable_to_set(serve_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo_eu:brevo")
    api = serve_api()
    api.people.run("DELETE FROM crm_destinations WHERE name = 'brevo'")  # nobody else delivers there
    answer = api.call("POST", FILTERED, json={"crms": ["brevo"], "everyone": True})
    assert error_of(answer) == (409, "crm_not_configured")
    assert answer.json()["error"]["message"] == ("Brevo is no destination here: CRM_DESTINATIONS names brevo_eu only.")


def test_what_somebody_with_other_settings_delivers_to_may_be_selected_for(serve_api: Callable[..., Api]) -> None:
    api = serve_api()
    register(api.engine, "brevo_eu", "brevo")
    with api.engine.begin() as connection:
        contact = add_contact(connection)
    assert api.post(SELECT, {"contact_ids": [str(contact)], "crms": ["brevo_eu"]})["crms"][0]["selected"] == 1
    assert standing(api, contact)["brevo_eu"] == "Selected"


def test_who_waits_for_a_destination_that_is_not_set_up_any_more_can_be_taken_back(api: Api) -> None:
    waiting, failed, other = (in_state(api, state, "hubspot") for state in ("queued", "failed", "synced"))
    assert api.get("/contacts", crm="hubspot", status="Selected")["total"] == 1
    assert api.post("/contacts/crm/retry", {"crm": "hubspot", "all": True})["requeued"] == 1
    told = api.post(SELECT, {"contact_ids": [str(waiting)], "crms": ["hubspot"], "action": "unselect"})
    assert told["crms"][0]["unselected"] == 1
    everyone = {"everyone": True, "crms": ["hubspot"], "action": "unselect"}
    assert api.post(FILTERED, {**everyone, "dry_run": True})["contacts"] == 3
    assert api.post(FILTERED, everyone)["crms"][0]["unselected"] == 2
    assert api.post(f"/contacts/{other}/suppress", {"crm": "hubspot"})["crms"] == ["hubspot"]
    assert api.post(f"/contacts/{other}/unsuppress", {"crm": "hubspot", "reason": "asked"})["crms"] == ["hubspot"]
    assert {standing(api, one)["hubspot"] for one in (waiting, failed, other)} == {"New"}


@pytest.mark.parametrize(
    ("method", "path", "arguments"),
    [
        ("POST", FILTERED, {"json": {"crms": ["brevo_us"], "everyone": True}}),
        ("POST", FILTERED, {"json": {"crms": ["brevo_us"], "everyone": True, "action": "unselect"}}),
        ("POST", "/contacts/crm/retry", {"json": {"crm": "brevo_us", "all": True}}),
        ("GET", "/contacts", {"params": {"crm": "brevo_us"}}),
        ("POST", "/contacts/search", {"json": {"crm": "brevo_us"}}),
        ("GET", "/crm/status/summary", {"params": {"crm": "brevo_us"}}),
        ("GET", "/crm/status/failed", {"params": {"crm": "brevo_us"}}),
        ("GET", "/crm/status/errors", {"params": {"crm": "brevo_us"}}),
    ],
)
def test_a_name_that_nobody_knows_is_a_mistake(api: Api, method: str, path: str, arguments: dict[str, Any]) -> None:
    answer = api.call(method, path, **arguments)
    assert error_of(answer) == (422, "validation_failed")
    [problem] = answer.json()["error"]["details"]
    assert problem["problem"].startswith("There is no destination named brevo_us: there are brevo, brevo_eu.")


def test_nobody_is_suppressed_at_a_destination_that_nobody_knows(api: Api) -> None:
    contact = in_state(api, "synced", "brevo")
    for path, body in (("suppress", {}), ("unsuppress", {"reason": "asked"})):
        answer = api.refused("POST", f"/contacts/{contact}/{path}", json={"crm": "brevo_us", **body})
        assert answer == (422, "validation_failed")


def test_the_configuration_is_that_of_each_destination(
    serve_api: Callable[..., Api], eu_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_EU_SYNC_SCHEDULER_BATCH_SIZE", "25")
    monkeypatch.delenv("BREVO_API_KEY")
    told = serve_api().get("/crm/config")
    by_name = {one["crm"]: (one["configured"], one["batch_size"]) for one in told["crms"]}
    assert by_name == {
        "brevo": (False, 10),
        "brevo_eu": (True, 25),
        "hubspot": (False, None),
        "mautic": (False, None),
        "n8n": (False, None),
    }
    assert EU_KEY not in json.dumps(told)


def test_health_is_told_of_every_destination_that_is_set_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def nothing_wrong(*given: object) -> list[HealthCheck]:
        asked.append(given[-1])
        return []

    api.app.state.open_instance = nullcontext
    monkeypatch.setattr("crm_pipelines.api.status.health", nothing_wrong)
    assert [one["crm"] for one in api.get("/crm/health")["crms"]] == ["brevo", "brevo_eu"]
    assert asked == ["brevo", "brevo_eu"]


def test_what_is_sent_to_each_destination_goes_by_its_own_mapping(
    serve_api: Callable[..., Api], eu_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mapping = tmp_path / "eu.toml"
    mapping.write_text('[attributes]\nSECOND_NAME = { from = "last_name", type = "text" }\n', encoding="utf-8")
    monkeypatch.setenv("BREVO_EU_MAPPING_FILE", str(mapping))
    api = serve_api()
    contact = api.post("/contacts", {"email": "ada@example.com", "name": "Ada Lovelace"})["id"]
    previews = {one["crm"]: one for one in api.get(f"/contacts/{contact}/sync-status")["previews"]}
    sent = {crm: {line["attribute"] for line in one["lines"] if line["attribute"]} for crm, one in previews.items()}
    assert list(sent) == ["brevo", "brevo_eu"]
    assert "SECOND_NAME" in sent["brevo_eu"]
    assert "SECOND_NAME" not in sent["brevo"]
    assert "LASTNAME" in sent["brevo"]


def test_each_account_is_asked_for_its_own_and_only_where_the_contact_belongs(
    serve_api: Callable[..., Api], eu_sandbox: BrevoSandbox, brevo_environment: BrevoSandbox
) -> None:
    api = serve_api()
    contact = in_state(api, "queued", "brevo_eu")
    eu_sandbox.seed({"email": "queued.brevo_eu@example.com"})
    [held] = api.get(f"/contacts/{contact}/sync-status", live="true")["live"]
    assert (held["crm"], held["found"]) == ("brevo_eu", True)
    assert brevo_environment.requests() == []
    api.post(SELECT, {"contact_ids": [str(contact)], "crms": ["brevo"]})
    held_by = {one["crm"]: one["found"] for one in api.get(f"/contacts/{contact}/sync-status", live="true")["live"]}
    assert held_by == {"brevo": False, "brevo_eu": True}


def test_a_destination_that_cannot_be_asked_is_told_as_that_and_hinders_no_other(
    serve_api: Callable[..., Api], eu_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BREVO_API_KEY")
    api = serve_api()
    contact = in_state(api, "queued", "brevo")
    api.post(SELECT, {"contact_ids": [str(contact)], "crms": ["brevo_eu"]})
    told = {one["crm"]: one for one in api.get(f"/contacts/{contact}/sync-status", live="true")["live"]}
    assert told["brevo"]["found"] is None
    assert told["brevo"]["says"].startswith("Not asked: BREVO_API_KEY is not set")
    assert told["brevo_eu"]["found"] is False


def test_looks_at_one_account_leave_those_at_another_alone(
    serve_api: Callable[..., Api], eu_sandbox: BrevoSandbox
) -> None:
    api = serve_api()
    paths = {crm: f"/contacts/{in_state(api, 'queued', crm)}/sync-status" for crm in ("brevo", "brevo_eu")}
    for _ in range(LOOKS_PER_MINUTE):
        api.app.state.authenticator.allow_look("brevo")
    assert api.refused("GET", paths["brevo"], params={"live": "true"}) == (429, "too_many_requests")
    assert len(api.get(paths["brevo_eu"], live="true")["live"]) == 1
