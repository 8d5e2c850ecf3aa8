"""Two destinations of one kind: each has an account of its own, and is told of its own variables."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.crms.bulk import ImportTarget
from crm_pipelines.crms.payloads import Payload
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.delivery import why
from crm_pipelines.delivery.account.opening import Account, open_account
from crm_pipelines.delivery.account.preflight import check_account, plan_account, provision_account
from crm_pipelines.destinations.gates import AccountTaken, GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.errors import SettingsError
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.watching.findings import look
from crm_pipelines.settings import BrevoSettings, load_settings
from crm_pipelines_tests.fixtures.accounts import OTHER, OURS
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import at_once, deliver, look_up
from crm_pipelines_tests.patience import PATIENCE, wait_until

EU_KEY = "xkeysib-eu"


@pytest.fixture(autouse=True)
def two(ours: BrevoSandbox, other: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """`brevo` and `brevo_eu`, each with an account of its own."""
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_EU_API_KEY", EU_KEY)
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", other.url)


def admit(name: str) -> str:
    """As at the begin of a run; returns the account."""
    with Destination(name).open() as account:
        account.admit_run(move=True)
        return account.gate.read().account or ""


def account_said(name: str) -> str:
    """What `check` says of the account, if it is a problem."""
    with Destination(name).open() as account:
        return next((one.detail for one in check_account(account).problems if one.subject == "Account"), "")


@pytest.fixture(params=["the same key", "another key of the account"])
def to_ours(request: pytest.FixtureRequest, ours: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on `brevo_eu` opens the account of `brevo`."""

    def turn() -> None:
        monkeypatch.setenv("BREVO_EU_API_KEY", API_KEY if request.param == "the same key" else EU_KEY)
        monkeypatch.setenv("BREVO_EU_API_BASE_URL", ours.url)

    return turn


def test_two_destinations_never_deliver_to_one_account(to_ours: Callable[[], None], ours: BrevoSandbox) -> None:
    to_ours()
    assert admit("brevo") == OURS
    for _ in range(2):
        with pytest.raises(AccountTaken, match=f"The destination brevo delivers to the account {OURS} already"):
            admit("brevo_eu")
    with Destination("brevo_eu").open() as account:
        assert account.gate.read().account is None
    assert admit("brevo") == OURS, "the first one goes on"


def test_of_two_that_come_to_one_account_at_the_same_time_one_is_first(engine: sa.Engine) -> None:
    """The second waits for the first, and then knows of it."""
    register(engine, "brevo_eu", "brevo")
    first = GateKeeper(engine, "brevo", others=["brevo_eu"])
    second = GateKeeper(engine, "brevo_eu", others=["brevo"])
    with ThreadPoolExecutor(2) as pool:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT FROM crm_gates WHERE crm = 'brevo' FOR UPDATE"))
            early = pool.submit(first.bind_account, OURS, "key")
            wait_until(lambda: _waiting(engine) == 1, "the first waits for its gate")
            late = pool.submit(second.bind_account, OURS, "another key")
            wait_until(lambda: _waiting(engine) == 2, "the second waits for the first")
        assert early.result(PATIENCE) == 0
        with pytest.raises(AccountTaken):
            late.result(PATIENCE)
    assert (first.read().account, second.read().account) == (OURS, None)


def test_while_one_forgets_its_former_account_the_other_goes_on(engine: sa.Engine) -> None:
    """That takes a while with many contacts, and as long as somebody's transaction holds one of them."""
    register(engine, "brevo_eu", "brevo")
    going_on = GateKeeper(engine, "brevo", others=["brevo_eu"])
    moving = GateKeeper(engine, "brevo_eu", others=["brevo"])
    moving.bind_account(OTHER, "key")
    going_on.bind_account(OURS, "key")
    People(engine, "brevo_eu").add()
    with ThreadPoolExecutor(2) as pool:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT FROM crm_syncs WHERE crm = 'brevo_eu' FOR UPDATE"))
            moved = pool.submit(moving.bind_account, "a third account", "another key")
            wait_until(lambda: _waiting(engine) == 1, "the move waits for the contact")
            assert going_on.of(OURS).reserve(1, 10) is not None
            assert going_on.bind_account(OURS, "key") == 0
        assert moved.result(PATIENCE) == 1


def _waiting(engine: sa.Engine) -> int:
    """How many connections wait for a lock."""
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(connection.execute(sa.text(query)).scalar_one())


def test_nor_is_anything_created_or_looked_up_there_before_the_first_run_of_the_second(
    to_ours: Callable[[], None], ours: BrevoSandbox, engine: sa.Engine
) -> None:
    admit("brevo")
    to_ours()
    ours.delete_attribute("DOMAIN_ID")
    with Destination("brevo_eu").open() as account:
        People(engine, "brevo_eu").add(email="ada@example.com")
        ways: list[Callable[[Account], Any]] = [
            plan_account,
            partial(provision_account, dry_run=False),
            Account.admitted,
        ]
        for way in ways:
            with pytest.raises(AccountTaken):
                way(account)
        live = why.look(account, story(engine, "ada@example.com").id)
    assert live
    assert "The destination brevo delivers to the account" in live.says
    assert not ours.requests(method="POST")


def test_nor_does_one_that_had_an_account_of_its_own_and_nothing_of_that_one_is_forgotten(
    to_ours: Callable[[], None], people: People
) -> None:
    assert (admit("brevo"), admit("brevo_eu")) == (OURS, OTHER)
    eu = People(people.engine, "brevo_eu")
    eu.add()
    eu.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE crm = 'brevo_eu'")
    to_ours()
    with pytest.raises(AccountTaken):
        admit("brevo_eu")
    with Destination("brevo_eu").open() as account, pytest.raises(AccountTaken):
        account.admitted()
    assert eu.states() == {"synced": 1}


def test_check_names_the_destination_that_has_the_account(to_ours: Callable[[], None]) -> None:
    admit("brevo")
    assert account_said("brevo_eu") == ""
    to_ours()
    said = account_said("brevo_eu")
    assert said.startswith(f"The destination brevo delivers to the account {OURS} already")
    assert "CRM_DESTINATIONS" in said
    assert account_said("brevo") == ""


def test_at_the_sandbox_two_destinations_may_be_tried_out(ours: BrevoSandbox, other: BrevoSandbox) -> None:
    for sandbox in (ours, other):
        sandbox.configure(organization="crm-pipelines-sandbox")
    assert (admit("brevo"), admit("brevo_eu")) == ("sandbox", "sandbox")


class _AnotherKind(BrevoSettings):
    kind = "hubspot"


def test_accounts_of_two_kinds_may_have_one_name(engine: sa.Engine) -> None:
    GateKeeper(engine, "hubspot").bind_account(OURS, "key of the other kind")
    settings = load_settings()
    destinations = {**settings.destinations, "hubspot": _AnotherKind.of("hubspot")}
    with open_account(replace(settings, destinations=destinations), "brevo", engine) as account:
        account.admit_run(move=True)
        assert account.gate.read().account == OURS


REFUSED = {"code": "unauthorized", "message": "Key not found"}
OF_THE_FIRST = re.compile(r"\bBREVO_(?!EU_)|provision brevo\b")


def all_said(name: str) -> list[str]:
    """What each kind of request to this destination says of its outcome."""
    contact = {"id": UUID(int=1), "email": "ada@example.com", "name": "Ada", "custom_fields": {}}
    with Destination(name).open() as account:
        crm, schema, imports = account.crm, account.crm.schema, account.crm.imports
        assert schema is not None
        assert imports is not None
        payload = crm.prepare(contact, sent_attributes=frozenset())
        assert isinstance(payload, Payload)
        target = ImportTarget(list_id="2", moment=datetime.now(UTC))
        outcomes = [
            deliver(crm, payload),
            look_up(crm, payload)[0],
            schema.attributes(turn=at_once)[0],
            crm.identify(turn=at_once)[0],
            crm.probe(turn=at_once),
            crm.probe_settings(turn=at_once),
            imports.open(turn=at_once)[0],
            imports.submit([b"{}"], target, turn=at_once)[0],
            imports.look(turn=at_once)[0],
            imports.read(None, offset=0, size=1, turn=at_once)[0],
        ]
        return [*(one.message or "" for one in outcomes), crm.check(turn=at_once)[0].detail]


def test_whatever_is_asked_a_refused_key_is_told_by_the_variable_of_its_destination(other: BrevoSandbox) -> None:
    other.fault("status", status=401, body=REFUSED)
    said = all_said("brevo_eu")
    assert [one for one in said if "Set BREVO_EU_API_KEY to a valid key." not in one] == []


def test_whatever_is_asked_a_wrong_address_is_told_by_the_variable_of_its_destination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", "http://127.0.0.1:9/v3")
    said = all_said("brevo_eu")
    assert [one for one in said if "Check BREVO_EU_API_BASE_URL" not in one] == []


def test_gate_alert_check_and_why_name_the_variable_of_the_destination(
    other: BrevoSandbox, people: People, engine: sa.Engine
) -> None:
    assert (admit("brevo"), admit("brevo_eu")) == (OURS, OTHER)
    People(engine, "brevo_eu").add(email="ada@example.com")
    other.fault("status", status=401, body=REFUSED)
    with Destination("brevo_eu").open() as account:
        learner = account.learner()
        assert learner is not None
        assert learner.learn().problem == "Key not found. Set BREVO_EU_API_KEY to a valid key."
        gate = account.gate.read()
        told = look(account, now=people.now())
        checked = check_account(account)
        live = why.look(account, story(engine, "ada@example.com").id)
    assert live
    [alert] = [one for one in told.findings if one.key.startswith("brevo_eu.gate")]
    said = [
        gate.pause_reason or "",
        str(alert.reasons()[0]),
        *(one.detail for one in checked.problems),
        live.says,
    ]
    assert [one for one in said if "BREVO_EU_API_KEY" not in one or OF_THE_FIRST.search(one)] == []
    with Destination("brevo").open() as account:
        assert not account.gate.read().paused


def test_check_names_the_variables_and_the_command_of_the_destination(
    other: BrevoSandbox, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_EU_LIST_ID", "99")
    people.add(select=False, custom_fields='{"Shoe size": "9"}')
    other.seed({"email": "shop@example.com", "ext_id": "shop-1"})
    with Destination("brevo_eu").open() as account:
        said = {one.subject: one.detail for one in check_account(account).findings}
    assert "Set BREVO_EU_LIST_ID to a list of this account." in said["List 99"]
    assert "BREVO_EU_EXT_ID=keep" in said["EXT_ID"]
    assert "crm-pipelines provision brevo_eu." in said["Attribute SHOE_SIZE"]
    assert [one for one in said.values() if OF_THE_FIRST.search(one)] == []


def test_what_is_left_out_names_the_command_of_the_destination(engine: sa.Engine) -> None:
    contact = {"id": UUID(int=1), "email": "ada@example.com", "custom_fields": {"Shoe size": 9, "Tags": ["new"]}}
    tags = {"name": "TAGS", "category": "normal", "type": "multiple-choice", "options": ["old"]}
    with open_account(load_settings(), "brevo_eu", engine) as account:
        account.crm.know([tags])
        payload = account.crm.prepare(contact, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    assert len(payload.warnings) == 2
    assert [one for one in payload.warnings if not one.endswith("crm-pipelines provision brevo_eu")] == []


def test_a_mapping_file_with_a_mistake_hinders_its_destination_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "eu.toml"
    file.write_text("[attributes\n")
    monkeypatch.setenv("BREVO_EU_MAPPING_FILE", str(file))
    with pytest.raises(SettingsError, match=r"eu\.toml \(BREVO_EU_MAPPING_FILE\) cannot be used: it is not TOML"):
        admit("brevo_eu")
    with pytest.raises(SettingsError, match="BREVO_EU_MAPPING_FILE"):
        mapper_of(load_settings(), "brevo_eu")
    assert mapper_of(load_settings(), "brevo").name == "brevo"
    assert admit("brevo") == OURS
