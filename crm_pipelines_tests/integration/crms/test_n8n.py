"""What is peculiar to n8n, against its sandbox; what every CRM promises is in `conformance`."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.n8n import N8n
from crm_pipelines.crms.n8n.mapping import load_mapping
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Sendable
from crm_pipelines.crms.schema import Finding
from crm_pipelines.sandbox.n8n.sandbox import TEST_PATH
from crm_pipelines_tests.fixtures.sandbox import N8nSandbox
from crm_pipelines_tests.one_contact import at_once, turn_for_all

SECRET = "the-secret-of-a-test"
Open = Callable[..., N8n]


@pytest.fixture
def client(n8n_sandbox: N8nSandbox) -> Iterator[Open]:
    opened: list[N8n] = []

    def open_client(**settings: Any) -> N8n:
        given = {"webhook_url": n8n_sandbox.url, "webhook_secret": SECRET, "mapping": load_mapping(None), **settings}
        opened.append(N8n(**given))
        return opened[-1]

    yield open_client
    for one in opened:
        one.close()


def contact(crm: N8n, **record: Any) -> Sendable:
    payload = crm.prepare({"id": UUID(int=1), "email": "ada@example.com", **record}, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    return Sendable(payload=payload, remote_key=None, remote_id=None)


def send(crm: N8n, **record: Any) -> Outcome:
    [outcome] = crm.deliver([contact(crm, **record)], turn=turn_for_all(at_once))
    assert outcome is not None
    return outcome


def unlike(found: list[Finding]) -> dict[str, str]:
    return {one.subject: one.detail for one in found if not one.ok}


@pytest.mark.parametrize(
    ("answer", "once"),
    [
        ({"action": "status", "status": 500, "body": {"message": "Error in workflow"}}, Result.UNKNOWN),
        ({"action": "html", "status": 504}, Result.UNKNOWN),
        ({"action": "empty"}, Result.UNKNOWN),
        ({"action": "status", "status": 503, "headers": {"retry-after": "37"}}, Result.RETRY),
        ({"action": "redirect"}, Result.RETRY),
        ({"action": "html", "status": 403}, Result.RETRY),
        ({"action": "status", "status": 408}, Result.RETRY),
        ({"action": "status", "status": 429}, Result.SNOOZED),
    ],
    ids=["workflow", "gateway", "nothing", "busy", "redirect", "firewall", "408", "429"],
)
def test_at_most_once_what_may_have_run_is_unknown_and_what_has_not_is_sent_again(
    client: Open, n8n_sandbox: N8nSandbox, answer: dict[str, Any], once: Result
) -> None:
    n8n_sandbox.fault(times=2, **answer)
    outcome = send(client(at_most_once=True))
    assert (outcome.result, outcome.kind == "unknown") == (once, once is Result.UNKNOWN)
    assert outcome.message
    assert send(client()).result is (Result.SNOOZED if once is Result.SNOOZED else Result.RETRY)


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/webhook/x", "http://crm.invalid/webhook/x"])
def test_at_most_once_what_found_no_server_was_not_sent(client: Open, place: str) -> None:
    assert send(client(at_most_once=True, webhook_url=place)).result is Result.RETRY


def test_of_an_unpublished_workflow_no_word_repeats_the_address(client: Open, n8n_sandbox: N8nSandbox) -> None:
    n8n_sandbox.configure(methods=[])
    crm = client(webhook_url=f"{n8n_sandbox.root}/webhook/a-path-of-mine")
    said = [send(crm), crm.probe(turn=at_once), *crm.check(turn=at_once)]
    n8n_sandbox.configure(methods=["GET"])
    said += [send(client()), *client().check(turn=at_once)]
    assert "a-path-of-mine" not in repr(said)
    assert n8n_sandbox.prefix.rpartition("/")[2] not in repr(said)


def test_no_refusal_repeats_the_address_its_parts_or_the_secret(client: Open, n8n_sandbox: N8nSandbox) -> None:
    url = f"{n8n_sandbox.url}?token=a-query-of-mine"
    path = n8n_sandbox.prefix.rpartition("/")[2]
    n8n_sandbox.configure(refused={"ada@example.com": f"{url}, POST {path}, token=a-query-of-mine, {SECRET}"})
    outcome = send(client(webhook_url=url))
    assert (outcome.kind, outcome.message) == ("refused", "***, POST ***, ***, ***")


def test_a_test_address_is_told_of_whether_somebody_listens_or_not(client: Open, n8n_sandbox: N8nSandbox) -> None:
    crm = client(webhook_url=f"{n8n_sandbox.root}{TEST_PATH}")
    assert unlike(crm.check(turn=at_once)).keys() == {"Address", "Webhook"}
    n8n_sandbox.configure(listening=True)
    problems = unlike(crm.check(turn=at_once))
    assert problems.keys() == {"Address"}
    assert "N8N_WEBHOOK_URL" in problems["Address"]
    assert send(crm).result is Result.SYNCED, "looking has not used the address up"


def test_plain_http_is_warned_of_beyond_this_machine(client: Open) -> None:
    found = client(webhook_url="http://n8n.invalid/webhook/x", longest_request=timedelta(seconds=5)).check(turn=at_once)
    assert unlike(found).keys() == {"Encryption", "Webhook"}
    assert [one.blocking for one in found] == [False, True]


def test_what_looks_runs_no_workflow(client: Open, n8n_sandbox: N8nSandbox) -> None:
    crm = client()
    crm.identify(turn=at_once)
    crm.probe(turn=at_once)
    crm.probe_settings(turn=at_once)
    crm.check(turn=at_once)
    assert {one["method"] for one in n8n_sandbox.requests()} == {"OPTIONS"}
    assert n8n_sandbox.executions() == []


def test_a_request_is_signed_so_that_the_workflow_can_verify_it(client: Open, n8n_sandbox: N8nSandbox) -> None:
    outcome = send(client(), name="Zoë 😀", custom_fields={"größe": "XL"})
    assert (outcome.result, outcome.remote_id) == (Result.SYNCED, "1")
    [row] = n8n_sandbox.contacts()
    assert (row["fields"]["name"], row["fields"]["größe"]) == ("Zoë 😀", "XL")
    [request] = n8n_sandbox.requests()
    assert request["user_agent"].startswith("crm-pipelines/")
