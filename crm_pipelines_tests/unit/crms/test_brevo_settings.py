import re
from collections.abc import Callable

import pytest

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.identity import identity_of
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.registry import client_of
from crm_pipelines.errors import SettingsError
from crm_pipelines.sandbox.brevo.config import SandboxConfig
from crm_pipelines.settings import NotConfigured, load_settings

Build = Callable[..., Brevo]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Brevo from environment variables."""

    def build(key: str = "xkeysib-1", **variables: str) -> Brevo:
        # An empty variable is an unset one, also for what a .env file says.
        defaults = {"BREVO_API_BASE_URL": "", "BREVO_MAPPING_FILE": "", "BREVO_LIST_ID": "", "CRM_PHONE_REGION": ""}
        for name, value in {**defaults, **variables, "BREVO_API_KEY": key}.items():
            monkeypatch.setenv(name, value)
        crm = client_of(load_settings(), "brevo")
        assert isinstance(crm, Brevo)
        return crm

    return build


def test_brevo_is_a_crm(build: Build) -> None:
    crm: Crm = build()
    assert crm.name == "brevo"
    assert crm.mapping_version == load_mapping(None).version


@pytest.mark.parametrize(
    ("told", "account"),
    [
        ({"organization_id": "5f8a1bc2de3f4a5b6c7d8e9f", "email": "owner@example.com"}, "5f8a1bc2de3f4a5b6c7d8e9f"),
        ({"organization_id": 4711}, "4711"),
        ({"organization_id": "", "email": "owner@example.com"}, "owner-"),
        ({"organization_id": True, "email": " OWNER@example.com"}, "owner-"),
        ({"organization_id": "a name\nof two lines", "email": "owner@example.com"}, "owner-"),
        ({"email": 7}, None),
        ({}, None),
    ],
)
def test_the_account_is_what_brevo_calls_it_else_a_digest_of_its_owner(
    told: dict[str, object], account: str | None
) -> None:
    found = identity_of(told)
    if account is None:
        assert found is None
    elif account == "owner-":
        assert found == identity_of({"email": "owner@example.com"})
        assert found is not None
        assert re.fullmatch("owner-[0-9a-f]{24}", found.account)
    else:
        assert found is not None
        assert (found.account, found.sandbox) == (account, False)


def test_the_stand_in_says_that_it_is_one() -> None:
    found = identity_of({"organization_id": SandboxConfig().organization})
    assert found is not None
    assert found.sandbox


def test_the_fingerprint_changes_with_key_and_address_and_does_not_show_them(build: Build) -> None:
    assert build().credentials_fingerprint != build(BREVO_API_BASE_URL="https://other/v3").credentials_fingerprint
    one, two = build("xkeysib-1").credentials_fingerprint, build("xkeysib-2").credentials_fingerprint
    assert one != two
    assert one == build("xkeysib-1").credentials_fingerprint
    assert len(one) == 16
    assert "xkeysib" not in one


def test_without_a_key_there_is_no_client(build: Build) -> None:
    with pytest.raises(NotConfigured, match="BREVO_API_KEY is not set"):
        build("")


@pytest.mark.parametrize("key", ["xkeysib-1\nX-Other: 1", "xkeysib-…", "xkeysib-\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted(build: Build, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(key)
    assert "BREVO_API_KEY" in str(caught.value)
    assert "xkeysib" not in str(caught.value)


def test_an_unknown_phone_region_is_refused(build: Build) -> None:
    with pytest.raises(SettingsError, match="CRM_PHONE_REGION"):
        build(CRM_PHONE_REGION="XX")
