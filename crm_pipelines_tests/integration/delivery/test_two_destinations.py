"""Two destinations of one kind: each has an account of its own, and is told of its own variables."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.gates import AccountTaken, GateKeeper
from crm_pipelines.delivery.preflight import check_account
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines_tests.fixtures.accounts import OTHER, OURS
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

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
        account.registrar().admit(move=True)
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
        with pytest.raises(AccountTaken, match=f"The account {OURS} is that of the destination brevo already"):
            admit("brevo_eu")
    with Destination("brevo_eu").open() as account:
        assert account.gate.read().account is None
    assert admit("brevo") == OURS, "the first one goes on"


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
    assert said.startswith(f"The account {OURS} is that of the destination brevo already")
    assert "CRM_DESTINATIONS" in said
    assert account_said("brevo") == ""


def test_at_the_sandbox_two_destinations_may_be_tried_out(ours: BrevoSandbox, other: BrevoSandbox) -> None:
    for sandbox in (ours, other):
        sandbox.configure(organization="crm-pipelines-sandbox")
    assert (admit("brevo"), admit("brevo_eu")) == ("sandbox", "sandbox")


def test_accounts_of_two_kinds_may_have_one_name(engine: sa.Engine) -> None:
    GateKeeper(engine, "hubspot").bind_account(OURS, "key of HubSpot")
    assert admit("brevo") == OURS
