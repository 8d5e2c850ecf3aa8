"""What is told over HTTP about how deliveries fare."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._daemon.types import DaemonHeartbeat

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.api import Api, error_of
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put
from crm_pipelines_tests.patience import PATIENCE

KEY = "xkeysib-secret-of-a-test"


@pytest.fixture
def contacts(api: Api) -> dict[str, UUID]:
    """One contact in each state, by the address `<state>@example.com`."""
    with api.engine.begin() as connection:
        ids = {state: add_contact(connection, f"{state}@example.com") for state in STATES}
        for state in STATES:
            put(connection, ids[state], state)
    return ids


def test_the_summary_counts_every_contact_at_every_crm(api: Api, contacts: dict[str, UUID]) -> None:
    told = {one["crm"]: one for one in api.get("/crm/status/summary")["crms"]}
    assert told["brevo"]["counts"] == {
        "New": 1,
        "Selected": 1,
        "Queued": 1,
        "Processing": 1,
        "Complete": 1,
        "Error": 2,
        "Skipped": 2,
    }
    assert told["hubspot"]["counts"]["New"] == len(contacts)
    assert [one["crm"] for one in api.get("/crm/status/summary", crm="brevo")["crms"]] == ["brevo"]


def test_failed_contacts_are_listed_page_by_page_with_their_reason(api: Api, contacts: dict[str, UUID]) -> None:
    with api.engine.begin() as connection:
        put(connection, contacts["rejected"], "rejected", crm="hubspot")
    first = api.get("/crm/status/failed", limit=2)
    second = api.get("/crm/status/failed", limit=2, cursor=first["next_cursor"])
    assert (first["total"], second["total"], second["next_cursor"]) == (3, 3, None)
    found = {(one["contact_id"], one["crm"]): one["error"] for one in first["items"] + second["items"]}
    assert found == {
        (str(contacts["failed"]), "brevo"): "HTTP 503",
        (str(contacts["rejected"]), "brevo"): "Invalid phone",
        (str(contacts["rejected"]), "hubspot"): "Invalid phone",
    }
    assert api.get("/crm/status/failed", crm="brevo", kind="outage")["total"] == 1


def test_errors_are_grouped_by_kind_and_words_and_name_nobody(api: Api) -> None:
    with api.engine.begin() as connection:
        for number in range(3):
            contact = add_contact(connection, f"{number}@example.com")
            put(connection, contact, "rejected", last_error=f"{number}@example.com is invalid")
        put(connection, add_contact(connection, "q@example.com"), "waiting")
    first = api.get("/crm/status/errors", limit=1)
    [cause] = first["items"]
    assert (cause["crm"], cause["kind"], cause["text"], cause["contacts"]) == ("brevo", "rejected", "… is invalid", 3)
    second = api.get("/crm/status/errors", limit=1, cursor=first["next_cursor"])
    assert [(one["status"], one["text"]) for one in second["items"]] == [("Queued", "HTTP 503")]
    assert (first["total"], second["total"], second["next_cursor"]) == (2, 2, None)


def test_the_story_of_one_contact_is_told_by_its_id(api: Api, contacts: dict[str, UUID]) -> None:
    told = api.get(f"/contacts/{contacts['waiting']}/sync-status")
    assert told["email"] == "waiting@example.com"
    assert [one["crm"] for one in told["crms"]] == ["brevo", "hubspot", "mautic", "n8n"]
    assert told["crms"][0]["next"]
    assert told["crms"][0]["answer"].startswith("Waiting for Brevo since ")
    assert told["previews"][0]["verdict"] == "send"


def test_the_configuration_tells_what_is_set_up_and_no_secret(
    serve_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_API_KEY", KEY)
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "25")
    monkeypatch.setenv("BREVO_SYNC_PROMPT_SECONDS", "10")
    told = serve_api().get("/crm/config")
    brevo = told["crms"][0]
    assert (brevo["crm"], brevo["configured"], brevo["interval_minutes"], brevo["batch_size"]) == ("brevo", True, 5, 25)
    assert brevo["prompt_seconds"] == 10
    assert not any(one["configured"] for one in told["crms"][1:])
    assert KEY not in json.dumps(told)


def test_health_is_200_when_all_goes_on_and_503_with_the_reason_when_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.instance_for_test() as instance:

        @contextmanager
        def opened() -> Iterator[dg.DagsterInstance]:
            yield instance

        api.app.state.open_instance = opened
        for daemon in instance.get_required_daemon_types():
            # From the future: it does not grow old while this runs.
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() + 3600, daemon, "id", []))
        monkeypatch.setattr(
            "crm_pipelines.orchestration.watching.health._schedule_detail", lambda *_: (True, "It ticks.")
        )
        [brevo] = api.get("/crm/health")["crms"]
        assert brevo["healthy"] is True
        assert {"database", "deliveries to brevo", "runs of brevo_sync", "daemon SCHEDULER"} <= {
            check["subject"] for check in brevo["checks"]
        }
        GateKeeper(api.engine, "brevo").close("Key not found", "fingerprint")
        answer = api.call("GET", "/crm/health")
        assert (answer.status_code, answer.json()["healthy"]) == (503, False)
        [failed] = [check for check in answer.json()["crms"][0]["checks"] if not check["ok"]]
        assert (failed["subject"], failed["condition"], failed["colour"]) == ("deliveries to brevo", "refused", "bad")


def test_health_is_503_when_dagsters_records_cannot_be_read(api: Api) -> None:
    def fail() -> None:
        raise ConnectionError("postgresql://user:password@host")

    api.app.state.open_instance = fail
    answer = api.call("GET", "/crm/health")
    assert answer.status_code == 503
    assert "password" not in answer.text
    assert {check["subject"]: check["ok"] for check in answer.json()["crms"][0]["checks"]} == {
        "database": True,
        "dagster": False,
    }


def test_metrics_tell_of_queues_and_requests_and_of_nobody(api: Api, contacts: dict[str, UUID]) -> None:
    api.post("/contacts/crm/select", {"contact_ids": [str(contacts["synced"])], "crms": ["brevo"]})
    for url in (f"{api.url}/metrics", f"{api.root}/metrics"):
        answer = api.session.get(url, timeout=PATIENCE)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert 'crm_contacts{crm="brevo",status="Error"} 2.0' in answer.text
        assert 'crm_gate_open{crm="brevo"} 1.0' in answer.text
        assert 'condition="not_set_up"' not in answer.text, "nobody is woken for a CRM that nobody uses"
        assert 'method="POST",operation="select_contacts",status="200"' in answer.text
        assert "example.com" not in answer.text


def test_without_its_database_it_says_so_in_the_one_form_and_is_well_again_afterwards(
    serve_api: Callable[..., Api], engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    api = serve_api()
    name = engine.url.database
    admin = sa.create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    assert api.get("/contacts")["total"] == 0
    with admin.connect() as connection:
        connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
        for path in ("/contacts", "/crm/health", "/metrics"):
            answer = api.call("GET", path)
            assert error_of(answer) == (503, "database_unavailable")
            assert answer.headers["Retry-After"] == "5"
        assert api.refused("POST", "/contacts", json={"email": "ada@example.com"}) == (503, "database_unavailable")
        assert f"/{name} takes no connections (ALLOW_CONNECTIONS is off)" in caplog.text
        connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    admin.dispose()
    assert api.post("/contacts", {"email": "ada@example.com"})
