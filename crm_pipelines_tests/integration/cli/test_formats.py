"""`check` finds the format of a custom field's values in the database, and its line makes them arrive."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import fields
from crm_pipelines.contacts.fields import TextInUse, texts_in_use
from crm_pipelines.crms.brevo.mapping import SHIPPED
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.cli.conftest import Run

_LINE = 'UMSATZ = { from = "custom_fields.Umsatz", type = "float", format = "1.234,56" }'


def test_check_suggests_the_format_that_the_values_prove_and_is_content_once_it_is_named(
    run: Run, people: People, brevo_sandbox: BrevoSandbox, tmp_path: Path
) -> None:
    account = {"BREVO_API_KEY": "xkeysib-test-0123456789abcdef", "BREVO_API_BASE_URL": brevo_sandbox.url}
    brevo_sandbox.create_attribute("normal", "UMSATZ", type="float")
    for number, revenue in enumerate(("13.528,18", "1.234", "2.500")):
        given = json.dumps({"Umsatz": revenue, "Ort": "Berlin 1"})
        people.add(email=f"user{number}@example.com", custom_fields=given)

    def told(**variables: str) -> list[str]:
        done = json.loads(run("check", "brevo", "--json", **account, **variables).stdout)
        return [one["detail"] for one in done["findings"] if one["subject"].startswith("Custom field ")]

    [detail] = told()
    assert detail == (
        f"2 of 3 values are left out; they look like 1.234,56. Put `{_LINE}` into a copy of the shipped mapping file, "
        "which BREVO_MAPPING_FILE names."
    )
    (tmp_path / "mapping.toml").write_text(f"{SHIPPED.read_text(encoding='utf-8')}\n{_LINE}\n", encoding="utf-8")
    assert told(BREVO_MAPPING_FILE=str(tmp_path / "mapping.toml")) == []


def test_texts_in_use_are_those_with_a_digit_of_the_contacts_that_changed_last(
    people: People, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = ({"Umsatz": "9"}, {"Umsatz": "1,5", "Ort": "Berlin"}, {"Umsatz": "1,5", "A": "1"}, {"Umsatz": 7})
    for number, values in enumerate(added):
        people.add(email=f"user{number}@example.com", custom_fields=json.dumps(values))
    assert texts_in_use(engine, ["Umsatz", "Ort"]) == {"Umsatz": [TextInUse("1,5", 2), TextInUse("9", 1)]}
    monkeypatch.setattr(fields, "CONTACTS_LOOKED_AT", 3)
    assert texts_in_use(engine, ["Umsatz", "Ort"]) == {"Umsatz": [TextInUse("1,5", 2)]}
