"""The same value arrives singly and in bulk, whatever it is and whatever the type of the attribute."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.bulk import ImportTarget
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import deliver
from crm_pipelines_tests.patience import wait_until

KINDS = {"CITY": "text", "SCORE": "float", "VIP": "boolean", "BIRTHDAY": "date"}
LABELS = [{"value": 1, "label": "Mr"}, {"value": 2, "label": "Mrs"}, {"value": 3, "label": "1"}]
CHOICES = ["Red", "Blue", "Bread, white"]
WRITTEN = [
    *("42", "13.528,18", "1.234", "yes", "nein", "05.04.1984", "5 avril 1984", "04/05/1984", "Mrs", "1", "2", "mr"),
    *("Red;Blue", "red, bread, white", "0", "x", "15 %", "1984-04-05", "30777", '["Red"]'),
]
values = (
    st.sampled_from(WRITTEN)
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(-1e9, 1e9)
    | st.text(max_size=20)
    | st.lists(st.sampled_from(["Red", "Blue", "x", 1]), max_size=3)
)


def at_once() -> None:
    """No waiting for one's turn."""


@pytest.fixture
def brevo(brevo_sandbox: BrevoSandbox) -> Iterator[Brevo]:
    brevo_sandbox.configure(attributes=KINDS, drop_words=True, import_seconds=0)
    brevo_sandbox.create_attribute("category", "GENDER", enumeration=LABELS)
    brevo_sandbox.create_attribute("normal", "COLORS", type="multiple-choice", multiCategoryOptions=CHOICES)
    client = Brevo(api_key="xkeysib-test", base_url=brevo_sandbox.url, mapping=load_mapping(None))
    client.know(client.schema.attributes(turn=at_once)[1])
    yield client
    client.close()


def prepared(brevo: Brevo, address: str, number: int, custom: dict[str, Any]) -> Payload:
    record = {"id": UUID(int=number), "email": address, "name": "Ada", "custom_fields": custom}
    payload = brevo.prepare(record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    return payload


def held(sandbox: BrevoSandbox, address: str) -> dict[str, Any]:
    found = sandbox.contact(address)
    assert found is not None
    return {name: value for name, value in found["attributes"].items() if name != "EXT_ID"}


def imports_ended(sandbox: BrevoSandbox) -> bool:
    return all(one["status"] == "completed" for one in sandbox.state()["processes"])


# The sandbox keeps what the examples before have sent: each has contacts of its own.
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from([*KINDS, "GENDER", "COLORS"]), values, max_size=6), min_size=1, max_size=8)
)
def test_what_arrives_singly_arrives_in_bulk(
    brevo: Brevo, brevo_sandbox: BrevoSandbox, contacts: list[dict[str, Any]]
) -> None:
    rows: list[bytes] = []
    target = ImportTarget(list_id="2", moment=datetime.now(UTC), own=False)
    start = len(brevo_sandbox.state()["contacts"])
    for number, custom in enumerate(contacts, start=start):
        single = prepared(brevo, f"single{number}@example.com", 2 * number + 1, custom)
        bulk = prepared(brevo, f"bulk{number}@example.com", 2 * number + 2, custom)
        assert (bulk.attributes, bulk.warnings, bulk.left_out) == (single.attributes, single.warnings, single.left_out)
        delivered = deliver(brevo, single, remote_key=None, remote_id=None, turn=at_once)
        assert (delivered.result, delivered.warnings) == (Result.SYNCED, ())
        row = brevo.imports.row(bulk, target)
        assert row is not None
        assert json.loads(row.content)["attributes"] == {**bulk.attributes, "EXT_ID": bulk.external_id}
        rows.append(row.content)
    assert brevo.imports.submit(rows, target, turn=at_once)[0].result is Result.SYNCED
    wait_until(lambda: imports_ended(brevo_sandbox), "the import ends")
    for number, custom in enumerate(contacts, start=start):
        singly = held(brevo_sandbox, f"single{number}@example.com")
        assert singly == held(brevo_sandbox, f"bulk{number}@example.com")
        assert singly == prepared(brevo, "a@example.com", 1, custom).attributes
