"""Before the first delivery, and the first one by another mapping, nothing is sent until what is lacking is settled."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms.fingerprints import credentials_fingerprint
from crm_pipelines.delivery.account.completeness import accepts, ask_before_sending, go_on_if_complete
from crm_pipelines.delivery.account.opening import Account, open_account
from crm_pipelines.delivery.account.preflight import check_account, provision_account
from crm_pipelines.delivery.pace import pacing
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync import ops, taking
from crm_pipelines.orchestration.sync.schedules import reason_to_wait
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, RunningSandbox
from crm_pipelines_tests.integration.orchestration.standings import alert_on

KEY = "a-key-of-a-test-0123456789"
_SECRET = "a-client-secret-of-a-test"
MANY = 30


@dataclass(frozen=True)
class FirstDay:
    """A destination to which nothing was delivered so far; its account lacks what custom fields need."""

    crm: str
    title: str
    attribute: str  # of the custom field "Shoe size"
    sandbox: RunningSandbox
    people: People
    pipeline: Pipeline
    instance: dg.DagsterInstance

    @property
    def gate(self) -> GateKeeper:
        return GateKeeper(self.people.engine, self.crm)

    @property
    def reason(self) -> str | None:
        """Why it waits for the account's attributes; None if it does not."""
        gate = self.gate.read()
        return gate.pause_reason if gate.waits_for_attributes else None

    def tick(self) -> str | None:
        with Destination(self.crm).open() as account:
            return reason_to_wait(account, self.instance)

    def held(self) -> int:
        return len(self.sandbox.contacts())

    def provision(self, **more: Any) -> list[str]:
        with open_account(load_settings(), self.crm, self.people.engine) as account:
            return provision_account(account, dry_run=False, **more)

    def map_anew(self, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        """Another mapping file from now on."""
        file = folder / "mapping.toml"
        file.write_text(text, encoding="utf-8")
        monkeypatch.setenv(f"{self.crm.upper()}_MAPPING_FILE", str(file))


@pytest.fixture(params=["brevo", "hubspot", "mautic"])
def first(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    engine: sa.Engine,
    in_memory: dg.DagsterInstance,
) -> FirstDay:
    crm: str = request.param
    sandbox: RunningSandbox = request.getfixturevalue(f"{crm}_sandbox")
    title, attribute = {
        "brevo": ("Brevo", "SHOE_SIZE"),
        "hubspot": ("HubSpot", "shoe_size"),
        "mautic": ("Mautic", "shoe_size"),
    }[crm]
    secret = KEY
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo" if crm == "brevo" else f"brevo,{crm}")
    if crm == "mautic":
        secret = f"1_of_a_test {_SECRET}"
        monkeypatch.setenv("MAUTIC_BASE_URL", sandbox.url)
        monkeypatch.setenv("MAUTIC_CLIENT_ID", "1_of_a_test")
        monkeypatch.setenv("MAUTIC_CLIENT_SECRET", _SECRET)
    else:
        monkeypatch.setenv(f"{crm.upper()}_API_KEY", KEY)
        monkeypatch.setenv(f"{crm.upper()}_API_BASE_URL", sandbox.url)
    monkeypatch.setenv(f"{crm.upper()}_RATE_LIMIT_PER_SECOND", "500")
    monkeypatch.setattr(pacing, "_BLOCK_SECONDS", 0.05)
    gate = GateKeeper(engine, crm)
    gate.bind_account(SANDBOX, credentials_fingerprint(crm, secret, sandbox.url))
    people = People(engine, crm)
    people.run("UPDATE crm_gates SET accepted_account = NULL")
    return FirstDay(crm, title, attribute, sandbox, people, Pipeline(in_memory, crm), in_memory)


def add(day: FirstDay, number: int = 2, **columns: Any) -> None:
    custom = {"Shoe size": "9"}
    columns = {"name": None, "custom_fields": json.dumps(custom), **columns}
    day.people.add(number, **columns)


def writes(day: FirstDay) -> list[dict[str, Any]]:
    """Requests about contacts that are more than a look."""
    looks = {"GET", "HEAD"}
    paths = ("/attributes", "/properties", "/fields", "/oauth", "/token")
    return [
        one
        for one in day.sandbox.requests()
        if one["method"] not in looks and not any(part in one["path"] for part in paths)
    ]


def settled(day: FirstDay, number: int = 2) -> None:
    """Sending goes on, and everything arrives."""
    assert day.tick() is None
    assert day.gate.read().paused is False
    assert day.pipeline.run().counts == {"claimed": number, "synced": number}
    assert day.held() == number


def left_out(day: FirstDay) -> list[list[str]]:
    rows = day.people.all("SELECT DISTINCT left_out FROM crm_syncs WHERE crm = :crm", crm=day.crm)
    return [row["left_out"] for row in rows]


@pytest.mark.parametrize("config", [{}, {"limit": 1}, {"emails": ["one@example.com"]}])
def test_the_first_run_sends_nothing_and_tells_what_the_account_lacks(first: FirstDay, config: dict[str, Any]) -> None:
    add(first)
    add(first, 1, email="one@example.com")
    run = first.pipeline.run(**config)
    assert (run.success, run.counts) == (True, {})
    assert writes(first) == []
    assert first.people.states() == {"queued": 3}
    assert first.reason == f"{first.title} has no attribute for 1 field: {first.attribute} (Shoe size, 3 contacts)."
    assert (first.tick() or "").endswith(first.reason or "-")
    alert = alert_on(first.people.engine, first.crm)
    assert alert is not None
    assert (alert.key, alert.runbook) == (f"{first.crm}.gate.attributes", "the-crm-lacks-what-the-mapping-needs")


def test_provision_ends_the_wait_and_everything_arrives(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    assert first.provision() == [first.attribute]
    assert not first.gate.read().paused
    settled(first)
    assert left_out(first) == [[]]


def test_a_tick_goes_on_once_somebody_has_created_them_at_the_crm(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    looked = len(first.sandbox.requests())
    assert first.tick() is not None
    assert len(first.sandbox.requests()) - looked <= 1 + (first.crm == "mautic"), "one look, where a token may be due"
    create_by_hand(first)
    settled(first)
    assert left_out(first) == [[]]


def test_a_check_goes_on_once_somebody_has_created_them_at_the_crm(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    with open_account(load_settings(), first.crm, first.people.engine) as account:
        checked = check_account(account)
        assert not checked.reopened
        [told] = [one.detail for one in checked.findings if one.subject in {"Gate", "Sending"}]
        assert told.startswith(first.reason or "-"), "once, with what is lacking first"
        assert f"crm-pipelines gate open {first.crm}" in told
        create_by_hand(first)
        assert check_account(account).reopened
    assert not first.gate.read().paused
    settled(first)


def create_by_hand(day: FirstDay) -> None:
    if isinstance(day.sandbox, BrevoSandbox):
        day.sandbox.configure(attributes={day.attribute: "text"})
        return
    with open_account(load_settings(), day.crm, day.people.engine) as account:
        assert account.crm.schema is not None
        account.crm.schema.provision(dry_run=False, turn=lambda: None, custom_fields={"Shoe size": "9"}, blank=BLANK)


BLANK = frozenset(
    ("domain_id", "page_id", "source_job_id", "context", "source_url", "email_type", "has_gmail", "signup_date")
)


def test_sent_without_them_on_a_users_word_and_not_asked_twice(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    assert first.gate.open_by_hand().pause_reason == first_reason(first)
    settled(first)
    assert left_out(first) == [[first.attribute]]
    add(first)
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}


def first_reason(day: FirstDay) -> str:
    return f"{day.title} has no attribute for 1 field: {day.attribute} (Shoe size, 2 contacts)."


def test_a_field_that_turns_up_later_stops_nothing(first: FirstDay) -> None:
    add(first, custom_fields="{}")
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}
    add(first)
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert sorted(left_out(first)) == [[], [first.attribute]]


def test_after_a_change_of_the_mapping_it_is_asked_again(
    first: FirstDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(first)
    first.pipeline.run()
    first.gate.open_by_hand()
    first.pipeline.run()
    name = "SHOES" if first.crm == "brevo" else "shoes"
    first.map_anew(
        tmp_path, monkeypatch, f'[attributes]\n{name} = {{ from = "custom_fields.Shoe size", type = "float" }}\n'
    )
    add(first)
    sent = len(writes(first))
    assert first.pipeline.run().counts == {}
    assert len(writes(first)) == sent
    assert first.reason == f"{first.title} has no attribute for 1 field: {name} (Shoe size, 4 contacts)."
    first.gate.open_by_hand()
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}
    monkeypatch.delenv(f"{first.crm.upper()}_MAPPING_FILE")
    add(first)
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}, "that mapping was settled before"


def test_an_installation_in_use_goes_on_after_the_upgrade_and_notes_its_mapping(
    first: FirstDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.people.run("UPDATE crm_gates SET accepted_account = account")  # as the migration does where it has delivered
    add(first)
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert len(first.gate.read().accepted_mappings) == 1
    name = "SHOES" if first.crm == "brevo" else "shoes"
    first.map_anew(
        tmp_path, monkeypatch, f'[attributes]\n{name} = {{ from = "custom_fields.Shoe size", type = "float" }}\n'
    )
    add(first)
    assert first.pipeline.run().counts == {}
    assert first.reason is not None


def test_an_attribute_that_takes_none_of_the_values_is_told_as_well(
    first: FirstDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = first.attribute
    line = '[attributes]\n{} = {{ from = "custom_fields.Shoe size", type = "{}" }}\n'
    first.map_anew(tmp_path, monkeypatch, line.format(name, "float"))
    first.provision(everything=True)
    first.map_anew(tmp_path, monkeypatch, line.format(name, "text"))
    first.people.add(2, name=None, custom_fields='{"Shoe size": "nine"}')
    assert first.pipeline.run().counts == {}
    assert first.reason == f"{first.title} takes none of the values of 1 field: {name} (Shoe size, 2 contacts)."
    # So many that one of them is surely among the contacts that are looked at, at most sixteen, chosen by their ids.
    first.people.add(40, name=None, custom_fields='{"Shoe size": "9"}')
    assert first.tick() is None, "it takes some of them: the others are warnings"


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_two_runs_that_look_at_once_both_wait(first: FirstDay) -> None:
    def look(_: int) -> bool:
        with Destination(first.crm).open() as account:
            learner = account.learner()
            assert learner is not None
            learner.learn()
            ask_before_sending(account)
            return accepts(account)

    add(first, MANY)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(look, range(2))) == [False, False]
    assert first.reason is not None
    assert first.pipeline.run().counts == {}
    assert writes(first) == []


def test_a_run_that_was_told_nothing_of_the_account_settles_nothing(first: FirstDay) -> None:
    """As when the gate was closed by another one before it could ask."""
    add(first)
    with Destination(first.crm).open() as account:
        ask_before_sending(account)
        assert not accepts(account)
    assert not first.gate.read().paused


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_what_was_taken_by_the_former_mapping_is_not_sent_by_another(
    first: FirstDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(first, custom_fields="{}")
    claim = taking.claim

    def claim_by_another(*given: Any, **more: Any) -> Any:
        claims = claim(*given, **more)
        first.people.run("UPDATE crm_gates SET accepted_mappings = '{another}'")
        return claims

    monkeypatch.setattr(ops, "claim", claim_by_another)
    run = first.pipeline.run()
    assert (run.success, run.counts) == (True, {"claimed": 2, "released": 2})
    assert writes(first) == []
    monkeypatch.setattr(ops, "claim", claim)
    assert first.pipeline.run().counts == {"claimed": 2, "synced": 2}


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_a_key_of_another_account_does_not_wait_for_the_former_ones_attributes(
    first: FirstDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(first)
    first.pipeline.run()
    name = "MAUTIC_CLIENT_SECRET" if first.crm == "mautic" else f"{first.crm.upper()}_API_KEY"
    monkeypatch.setenv(name, "another-key-of-a-test-0123456789")
    assert first.tick() is None, "a run finds out whose it is"
    assert first.reason is None
    assert first.pipeline.run().counts == {}
    assert first.reason is not None, "the same account"


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_a_dry_run_says_that_a_run_would_wait_and_settles_nothing(
    first: FirstDay, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    add(first)
    run = first.pipeline.run(dry_run=True)
    assert run.success
    assert f"A run would send nothing, and wait for you. {first_reason(first)}" in capfd.readouterr().err + caplog.text
    assert first.reason is None
    assert first.gate.read().accepted_account is None


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_a_wait_by_hand_stays_and_is_followed_by_the_question(first: FirstDay) -> None:
    add(first)
    first.gate.close_by_hand("Until the file is checked.")
    first.pipeline.run()
    assert first.reason is None
    first.gate.open_by_hand()
    first.pipeline.run()
    assert first.reason is not None
    first.gate.close_by_hand("Until the file is checked.")
    first.provision()
    first.gate.accept("mapping-1")  # by a run that has looked just before
    assert first.gate.read().pause_kind == "manual", "attributes end no wait but their own"


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_without_an_answer_to_the_look_nothing_is_settled(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    first.sandbox.fault("status", status=500)
    assert first.tick() is not None
    first.sandbox.clear_faults()
    assert first.reason is not None


@pytest.mark.parametrize("first", ["hubspot"], indirect=True)
def test_another_destination_goes_on(
    first: FirstDay, monkeypatch: pytest.MonkeyPatch, brevo_sandbox: BrevoSandbox, in_memory: dg.DagsterInstance
) -> None:
    add(first)
    first.pipeline.run()
    monkeypatch.setenv("BREVO_API_KEY", KEY)
    monkeypatch.setenv("BREVO_API_BASE_URL", brevo_sandbox.url)
    brevo_sandbox.configure(attributes={"SHOE_SIZE": "text"})
    first.people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")
    assert Pipeline(in_memory, "brevo").run().counts == {"claimed": 2, "synced": 2}
    assert first.reason is not None


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_no_bulk_import_begins(first: FirstDay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    add(first, MANY)
    assert first.pipeline.run().counts == {}
    assert writes(first) == []
    first.gate.open_by_hand()
    assert first.pipeline.run().counts == {"claimed": MANY, "synced": MANY}
    assert len(first.sandbox.requests(path="/contacts/import$")) == 1


def test_what_nobody_has_a_value_for_is_not_asked_for_and_created_only_with_all(first: FirstDay) -> None:
    add(first)
    with open_account(load_settings(), first.crm, first.people.engine) as account:
        found = check_account(account).findings
    [lacking] = [one for one in found if "no contact has a value" in one.detail]
    assert lacking.ok
    assert "provision" in lacking.detail
    missing = [one.subject for one in found if "does not exist" in one.detail]
    assert [one.split()[-1] for one in missing] == [first.attribute]
    assert first.provision() == [first.attribute]
    assert sorted(first.provision(everything=True)) == sorted(lacking.subject.split(", "))


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_nobody_is_taken_before_the_look(first: FirstDay, monkeypatch: pytest.MonkeyPatch) -> None:
    def becomes_due(context: Any, account: Any, *given: Any, **more: Any) -> Any:
        add(first)  # after the run has looked whether anything is due
        return claim(context, account, *given, **more)

    with Destination(first.crm).open() as account:
        learner = account.learner()
        assert learner is not None
        learner.learn()  # what the account has is known, not yet that it is enough
    claim = taking.claim
    monkeypatch.setattr(ops, "claim", becomes_due)
    assert first.pipeline.run().counts == {}
    assert writes(first) == []
    assert first.people.states() == {"queued": 2}


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_a_run_that_has_looked_does_not_stop_what_a_user_has_just_let_go(first: FirstDay) -> None:
    add(first)
    first.pipeline.run()
    asked = first.gate.open_by_hand()
    first.gate.wait_for_attributes(asked.pause_reason or "", asked.refused_fingerprint or "")
    assert first.reason is None


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_the_latest_eight_mappings_are_remembered(first: FirstDay) -> None:
    for number in range(20):
        first.gate.accept(f"mapping-{number}")
        gate = first.gate.read()
        assert gate.accepts(f"mapping-{number}")
        assert gate.accepts(f"mapping-{max(0, number - 6)}")
        assert len(gate.accepted_mappings) <= 8
    assert not first.gate.read().accepts("mapping-0")
    first.people.run("UPDATE crm_gates SET account = 'another'")
    first.gate.accept("mapping-0")
    assert list(first.gate.read().accepted_mappings) == ["mapping-0"]


@pytest.fixture
def taken_back(first: FirstDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FirstDay:
    """A settled mapping was changed, sending waits for what the new one needs, and the change was taken back."""
    add(first)
    first.pipeline.run()
    first.gate.open_by_hand()
    first.pipeline.run()
    name = "SHOES" if first.crm == "brevo" else "shoes"
    first.map_anew(
        tmp_path, monkeypatch, f'[attributes]\n{name} = {{ from = "custom_fields.Shoe size", type = "float" }}\n'
    )
    add(first)
    first.pipeline.run()
    assert first.reason is not None
    monkeypatch.delenv(f"{first.crm.upper()}_MAPPING_FILE")
    return first


def test_a_mapping_that_was_taken_back_is_waited_for_by_nobody(taken_back: FirstDay) -> None:
    assert taken_back.tick() is not None, "another machine may still have the other one"
    taken_back.people.run("UPDATE crm_gates SET found_lacking_at = found_lacking_at - interval '1 hour'")
    assert taken_back.tick() is None
    assert taken_back.pipeline.run().counts == {"claimed": 2, "synced": 2}


def test_machines_with_two_mappings_do_not_open_and_close_in_turns(
    taken_back: FirstDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = taken_back.gate.read().changed_at
    for _ in range(3):
        taken_back.people.run("UPDATE crm_gates SET found_lacking_at = found_lacking_at - interval '1 hour'")
        with monkeypatch.context() as other:
            other.setenv(f"{taken_back.crm.upper()}_MAPPING_FILE", str(tmp_path / "mapping.toml"))
            assert taken_back.tick() is not None
        assert taken_back.tick() is not None
    assert taken_back.gate.read().changed_at == since, "one alert"


@pytest.mark.parametrize("way", [check_account, lambda account: provision_account(account, dry_run=False)])
def test_who_checks_or_provisions_goes_on_at_once_by_a_settled_mapping(
    taken_back: FirstDay, way: Callable[[Account], object]
) -> None:
    with open_account(load_settings(), taken_back.crm, taken_back.people.engine) as account:
        way(account)
    assert taken_back.reason is None


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_a_check_with_a_key_that_nobody_knows_leaves_the_wait(first: FirstDay, monkeypatch: pytest.MonkeyPatch) -> None:
    add(first)
    first.pipeline.run()
    monkeypatch.setenv("BREVO_API_KEY", "another-key-of-a-test-0123456789")
    with open_account(load_settings(), first.crm, first.people.engine) as account:
        assert not check_account(account).reopened
    assert first.reason is not None


@pytest.mark.parametrize("first", ["brevo"], indirect=True)
def test_what_one_account_has_settles_nothing_for_another(first: FirstDay) -> None:
    def look() -> None:
        create_by_hand(first)
        first.people.run("UPDATE crm_gates SET account = 'another', account_fingerprints = '{x}'")

    add(first)
    first.pipeline.run()
    with open_account(load_settings(), first.crm, first.people.engine) as account:
        go_on_if_complete(account, turn=look)
    gate = first.gate.read()
    assert (gate.accepted_account, gate.waits_for_attributes) == (None, True)
