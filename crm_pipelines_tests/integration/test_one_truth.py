"""Whoever looks, wherever, gets the same answer to how deliveries stand: each condition, on a real database."""

import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from crm_pipelines.cli import cli
from crm_pipelines.destinations.gates import GateKeeper, Tally
from crm_pipelines.orchestration.assets import queue_materialization
from crm_pipelines.orchestration.checks import standing_evaluations
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.standing import look_at
from crm_pipelines.orchestration.watching.findings import look
from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.pages.conftest import Visitor

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Told:
    """What one of those who look is told."""

    condition: str | None
    colour: str | None
    sentence: str
    action: str | None


class Everywhere:
    """All places that show how deliveries to Brevo stand, on one database."""

    def __init__(self, api: Api, instance: dg.DagsterInstance) -> None:
        @contextmanager
        def opened() -> Iterator[dg.DagsterInstance]:
            yield instance

        api.app.state.open_instance = opened
        self._api = api
        self._visitor = Visitor(api.root)
        assert self._visitor.sign_in(api.new_token()).ok
        self._places: dict[str, Callable[[], Told]] = {
            "overview": self._overview,
            "status --json": lambda: _told(_command("status", "brevo", "--json")["standing"]),
            "gate --json": lambda: _told(_of_brevo(_command("gate", "--json"))["standing"]),
            "API": lambda: _told(_of_brevo(api.get("/crm/status/summary")["crms"])["standing"]),
            "health": self._health,
        }

    def of_people(self) -> dict[str, Told]:
        """By place: those that look from outside of Dagster."""
        return {name: look_there() for name, look_there in self._places.items()}

    def of_dagster(self) -> tuple[dict[str, Told], bool, list[tuple[str, str, str]]]:
        """By place; whether the check is green; keys, headlines and actions of the alerts."""
        with Destination("brevo").open() as account:
            seen = look_at(account)
            findings = look(account, now=datetime.now(UTC)).findings
        [check] = [one for one in standing_evaluations(seen) if one.check_name == "gate_is_open"]
        assert check.description == check.metadata["sentence"].value
        asset = queue_materialization(seen)
        assert asset.description == asset.metadata["sentence"].value
        told = {"check": _of_dagster(check.metadata), "asset": _of_dagster(asset.metadata)}
        return told, check.passed, [(one.key, one.headline, one.action) for one in findings]

    def metrics(self) -> list[tuple[str, str]]:
        """Condition and colour of Brevo."""
        text = self._api.call("GET", "/metrics").text
        return re.findall(r'^crm_standing\{colour="(\w+)",condition="(\w+)",crm="brevo"\} 1.0$', text, re.MULTILINE)

    def _overview(self) -> Told:
        text = self._visitor.get("/").text
        section = text[text.index('aria-labelledby="brevo"') :]
        found = re.search(
            r'<span class="badge (\w+)">.*?<p class="(?:note \w+)?" data-condition="(\w+)">'
            r"<span>(.*?)</span>(?:<br>What to do: <span>(.*?)</span>)?</p>",
            section,
            re.DOTALL,
        )
        assert found is not None
        colour, condition, sentence, action = found.groups()
        return Told(condition, colour, _plain(sentence), _plain(action) if action else None)

    def _health(self) -> Told:
        answer = self._api.call("GET", "/crm/health").json()
        checks = _of_brevo(answer["crms"])["checks"]
        [check] = [one for one in checks if one["subject"] == "deliveries to brevo"]
        assert check["ok"] is (check["colour"] in {"good", "busy"})
        return Told(check["condition"], check["colour"], check["detail"], check["action"])


def _of_brevo(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in documents if one["crm"] == "brevo")


def _told(standing: dict[str, Any]) -> Told:
    return Told(**standing)


def _of_dagster(metadata: Any) -> Told:
    values = {name: one.value for name, one in metadata.items()}
    return Told(values["condition"], values["colour"], values["sentence"], values.get("what_to_do"))


def _plain(text: str) -> str:
    return html.unescape(re.sub("</?code>", "`", text))


def _command(*arguments: str) -> Any:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


@pytest.fixture
def everywhere(brevo_environment: object, serve_api: Callable[..., Api], instance: dg.DagsterInstance) -> Everywhere:
    return Everywhere(serve_api(), instance)


def fine(_: People, __: GateKeeper) -> None:
    pass


def working(people: People, _: GateKeeper) -> None:
    people.add(2)


def one_is_due(people: People, _: GateKeeper) -> None:
    people.add(1)


def behind(people: People, _: GateKeeper) -> None:
    people.add(2)
    people.run("UPDATE crm_syncs SET run_at = now() - interval '3 hours 20 minutes'")
    people.run("UPDATE crm_gates SET counting_since = now() - interval '1 day'")


def rate_limited(people: People, gate: GateKeeper) -> None:
    people.add(2)
    gate.pause("rate_limit", "429", timedelta(minutes=5))


def allowance(people: People, gate: GateKeeper) -> None:
    people.add(2)
    gate.pause("rate_limit", "429", 9 * HOUR)


def outage(people: People, gate: GateKeeper) -> None:
    people.add(2)
    tally = Tally(successes=0, failures=10, trailing_failures=10, rejects=0, last_failure="HTTP status 503")
    assert gate.judge(tally) == "outage"


def outage_between_two_pauses(people: People, gate: GateKeeper) -> None:
    outage(people, gate)
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    assert not gate.read().paused


def rejects(people: People, gate: GateKeeper) -> None:
    people.add(2)
    gate.pause("rejects", "30 of the last 50 contacts were rejected", timedelta(minutes=15))


def rejects_after_the_pause(people: People, gate: GateKeeper) -> None:
    rejects(people, gate)
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")


def refused(kind: str | None) -> Callable[[People, GateKeeper], None]:
    def close(people: People, gate: GateKeeper) -> None:
        people.add(2)
        # For so long that they would be told of as well, if a stop were not enough.
        people.run("UPDATE crm_syncs SET run_at = now() - interval '3 hours'")
        people.run("UPDATE crm_gates SET counting_since = now() - interval '1 day'")
        gate.close("In Brevo's words.", "fingerprint", refused_kind=kind)

    return close


def one_tries_the_key(people: People, gate: GateKeeper) -> None:
    refused("credentials")(people, gate)
    gate.try_out()


def setting(_: People, gate: GateKeeper) -> None:
    gate.close("List ID does not exist.", "fingerprint", "settings")


def by_hand(people: People, gate: GateKeeper) -> None:
    people.add(1)
    gate.close_by_hand("Until the import is checked.")


def restored(_: People, gate: GateKeeper) -> None:
    gate.restored()


@pytest.mark.parametrize(
    ("happen", "condition", "colour", "alert"),
    [
        (fine, "fine", "good", None),
        (working, "working", "busy", None),
        (one_is_due, "working", "busy", None),
        (behind, "behind", "warn", "brevo.oldest_due"),
        (rate_limited, "held_back", "busy", None),
        (allowance, "held_back", "warn", "brevo.gate.allowance"),
        (outage, "testing", "bad", "brevo.gate.outage"),
        (outage_between_two_pauses, "testing", "bad", "brevo.gate.outage"),
        (rejects, "rejecting", "bad", "brevo.gate.rejects"),
        (rejects_after_the_pause, "rejecting", "bad", "brevo.gate.rejects"),
        *(
            (refused(kind), "refused", "bad", "brevo.gate.credentials")
            for kind in ("credentials", "ip_not_authorised", "credits", "permission", "account", None)
        ),
        (one_tries_the_key, "refused", "bad", "brevo.gate.credentials"),
        (setting, "refused", "bad", "brevo.gate.settings"),
        (by_hand, "waiting_for_you", "bad", "brevo.gate.manual"),
        (restored, "waiting_for_you", "bad", "brevo.gate.restored"),
    ],
)
def test_all_who_show_how_deliveries_stand_say_the_same(
    happen: Callable[[People, GateKeeper], None],
    condition: str,
    colour: str,
    alert: str | None,
    people: People,
    everywhere: Everywhere,
) -> None:
    happen(people, GateKeeper(people.engine, "brevo"))
    told = everywhere.of_people()
    of_dagster, passes, alerts = everywhere.of_dagster()
    told |= of_dagster
    assert {(one.condition, one.colour) for one in told.values()} == {(condition, colour)}, told
    assert len({one.sentence for one in told.values()}) == 1, told
    assert len({one.action for one in told.values()}) == 1, told
    one = told["API"]
    assert everywhere.metrics() == [(colour, condition)]
    assert passes is (colour != "bad"), "the check is red exactly when the colour is"
    assert alerts == ([(alert, one.sentence, one.action)] if alert else []), "one cause, one alert, the same words"


def test_without_a_key_all_say_that_it_is_not_set_up(
    people: People,
    brevo_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    serve_api: Callable[..., Api],
    instance: dg.DagsterInstance,
) -> None:
    people.run("DELETE FROM crm_destinations")
    monkeypatch.delenv("BREVO_API_KEY")
    told = Everywhere(serve_api(), instance).of_people()
    assert {(one.condition, one.colour) for one in told.values()} == {("not_set_up", "bad")}, told
    assert {one.action for one in told.values()} == {
        "BREVO_API_KEY is not set: set it in the environment or in the file .env."
    }


def test_a_sandbox_of_make_up_is_set_up_for_a_command_in_another_terminal(
    people: People, everywhere: Everywhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BREVO_API_KEY")
    assert _command("status", "brevo", "--json")["standing"]["condition"] == "fine"
    people.run("UPDATE crm_gates SET account = 'Ada GmbH' WHERE crm = 'brevo'")
    assert _command("status", "brevo", "--json")["standing"]["condition"] == "not_set_up", "its key is taken out"
