from collections.abc import Callable

import pytest

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import load_settings

Build = Callable[..., Brevo]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Brevo from environment variables."""

    def build(key: str = "xkeysib-1", **variables: str) -> Brevo:
        # An empty variable is an unset one, also for what a .env file says.
        defaults = {"BREVO_API_BASE_URL": "", "BREVO_MAPPING_FILE": "", "BREVO_LIST_ID": "", "CRM_PHONE_REGION": ""}
        for name, value in {**defaults, **variables, "BREVO_API_KEY": key}.items():
            monkeypatch.setenv(name, value)
        return Brevo.from_settings(load_settings())

    return build


def test_brevo_is_a_crm(build: Build) -> None:
    crm: Crm = build()
    assert crm.name == "brevo"
    assert crm.mapping_version == load_mapping(None).version


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://api.brevo.com/v3", "api.brevo.com"),
        ("http://127.0.0.1:8025/v3", "sandbox"),
        ("http://localhost:8025/v3", "sandbox"),
        ("http://[::1]:8025/v3", "sandbox"),
    ],
)
def test_the_account_is_the_host_or_the_sandbox(build: Build, url: str, account: str) -> None:
    assert build(BREVO_API_BASE_URL=url).account == account


def test_the_fingerprint_changes_with_the_key_and_does_not_show_it(build: Build) -> None:
    one, two = build("xkeysib-1").credentials_fingerprint, build("xkeysib-2").credentials_fingerprint
    assert one != two
    assert one == build("xkeysib-1").credentials_fingerprint
    assert len(one) == 16
    assert "xkeysib" not in one


def test_without_a_key_there_is_no_client(build: Build) -> None:
    with pytest.raises(SettingsError, match="BREVO_API_KEY is not set"):
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
