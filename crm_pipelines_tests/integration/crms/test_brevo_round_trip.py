"""Whatever stands in a contact, Brevo then holds what we believe that it holds, by look-up and by an import's proof."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.bulk import ImportTarget
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Held, Payload
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import deliver, look_up

MAPPING = """
custom_fields = "all"
[attributes]
FIRSTNAME = { from = "first_name", type = "text" }
LASTNAME = { from = "last_name", type = "text" }
SMS = { from = "phone_number", type = "phone" }
HAS_GMAIL = { from = "has_gmail", type = "boolean" }
SINCE = { from = "custom_fields.since", type = "date" }
SCORE = { from = "custom_fields.score", type = "float" }
TAGS = { from = "custom_fields.tags", type = "multiple-choice", options = ["a", "b b", "Ω"] }
"""

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
records = st.fixed_dictionaries(
    {
        "name": st.none() | st.text(),
        "phone_number": st.sampled_from([None, "+1 202 555 0143", "0049 151 12345678", "no"]) | st.text(),
        "has_gmail": st.none() | st.booleans(),
        "custom_fields": st.fixed_dictionaries(
            {
                "since": scalars | st.dates().map(str) | st.datetimes().map(str),
                "score": scalars | st.floats().map(str),
                "tags": scalars | st.lists(st.sampled_from(["a", "b b", "Ω", "c"]) | scalars, max_size=4),
                "Größe (cm)": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
                "note": st.none() | st.text(),
                "vip": st.none() | st.booleans(),
            }
        ),
    }
)


@pytest.fixture
def brevo(brevo_sandbox: BrevoSandbox, tmp_path: Path) -> Iterator[Brevo]:
    file = tmp_path / "mapping.toml"
    file.write_text(MAPPING, encoding="utf-8")
    client = Brevo(api_key="xkeysib-test", base_url=brevo_sandbox.url, mapping=load_mapping(file))
    yield client
    client.close()


def at_once() -> None:
    """No waiting for one's turn."""


def held_by(brevo: Brevo, payload: Payload) -> Held:
    outcome, held = look_up(brevo, payload, remote_key=None, remote_id=None, turn=at_once)
    assert outcome.result is Result.SYNCED
    assert held is not None
    return held


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=records, after=records)
@example(before={"custom_fields": {"score": 10**400, "since": 10**400}}, after={"custom_fields": {"score": 2**60}})
def test_what_is_read_back_is_what_was_sent_and_what_is_gone_is_cleared(
    brevo: Brevo, brevo_sandbox: BrevoSandbox, before: dict[str, Any], after: dict[str, Any]
) -> None:
    brevo_sandbox.reset()
    fields = {"Größe (cm)": 1, "note": "", "vip": True}
    brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=fields)
    opened, target = brevo.imports.open(turn=at_once)
    assert opened.result is Result.SYNCED
    assert isinstance(target, ImportTarget)
    brevo.know(brevo.schema.attributes(turn=at_once)[1])
    sent: frozenset[str] = frozenset()
    for record in (before, after, after):
        contact = {"id": UUID(int=1), "email": "ada@example.com", **record}
        payload = brevo.prepare(contact, sent_attributes=sent)
        assert isinstance(payload, Payload)
        outcome = deliver(brevo, payload, remote_key=None, remote_id=None, turn=at_once)
        assert outcome.result is Result.SYNCED, outcome.message
        assert outcome.warnings == ()
        sent = outcome.sent_attributes
        held = held_by(brevo, payload)
        assert [one for one in brevo.reading.compare(payload, held) if one.same is False] == []
        row = brevo.imports.row(payload, target)
        if payload.clear:
            assert row is None
        else:
            assert row is not None
            assert set(row.names) == payload.attributes.keys()
            assert brevo.imports.proof(held, row.names) == row.proof
