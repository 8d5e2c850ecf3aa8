"""Where `make up` puts a sandbox in the place of an account."""

import pytest

from crm_pipelines.local.environment import may_be_sandbox
from crm_pipelines.settings import load_settings

NAMED = "brevo,brevo_eu:brevo,hubspot"


@pytest.mark.parametrize(
    ("keys", "sandboxes"),
    [
        ([], ["brevo", "hubspot"]),
        (["BREVO_API_KEY"], []),
        (["HUBSPOT_API_KEY"], ["brevo"]),
        (["BREVO_EU_API_KEY"], ["brevo"]),
    ],
)
def test_beside_a_real_account_no_sandbox_stands_in_for_one_whose_key_may_have_been_forgotten(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], sandboxes: list[str]
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", NAMED)
    for key in ("BREVO_API_KEY", "BREVO_EU_API_KEY", "HUBSPOT_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    for key in keys:
        monkeypatch.setenv(key, "a-key")
    settings = load_settings()
    without = [one for one in settings.destinations.values() if one.missing is not None]
    assert [one.name for one in without if may_be_sandbox(one, settings)] == sandboxes
