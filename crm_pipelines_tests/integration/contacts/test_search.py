"""A contact is found by any part of its texts, in any case, with and without accents, and without reading all."""

from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter, matching
from crm_pipelines.database.sql import load_statements
from crm_pipelines_tests.integration.contacts.states import add_contact

_INDEX = "crm_contacts_search_idx"


def found(engine: sa.Engine, text: str) -> list[str | None]:
    with engine.connect() as connection:
        return [one.email for one in records.page(connection, ContactFilter(text=text), "brevo")]


@pytest.mark.parametrize(
    ("stored", "sought"),
    [
        ({"name": "Erika Müller"}, ["Müller", "MÜLLER", "muller", "ülle", "ika mu", "Mu\N{COMBINING DIAERESIS}ller"]),
        ({"name": "Erika Mu\N{COMBINING DIAERESIS}ller"}, ["Müller", "muller"]),
        ({"name": "Anna Muller"}, ["Müller", "MÜLLER", "muller"]),
        ({"name": "José López"}, ["Lopez", "LÓPEZ", "jose lo"]),
        ({"last_name": "Strauß", "first_name": "Łukasz"}, ["strauss", "Lukasz", "łukasz strauß"]),
        ({"name": "Søren Ærø"}, ["soren", "aero"]),
        ({"name": "Мария Иванова"}, ["иванова", "ИВАН"]),
        ({"custom_fields": {"company": "Müller & Söhne"}}, ["muller & sohne", "Söhne"]),
        ({"custom_fields": {"nicknames": ["Bobby", 'The "Bob\\by"']}}, ["bobby", 'the "bob']),
        ({"name": "Γιώργος Σοφός"}, ["ΓΙΩΡΓΟΣ", "σοφοσ", "Σοφός"]),
        ({"name": "Li Wu"}, ["Li", "w", "WU", "Wu Li"]),
        ({"name": "Jean-Luc  Picard"}, ["jean luc", "Picard, Jean-Luc", "jean\tpicard", "P jean - &"]),
        ({"name": "Erika Müller", "custom_fields": {"company": "Kern GmbH"}}, ["kern müller", "Erika (Kern)"]),
        ({"name": "Ada"}, ["Ada <ada@example.com>", "ada@example.com;", "'ada@example.com', Ada"]),
        ({}, ["ada@example.com", " ADA@Example.com", "da@exam", "@example.com", "example"]),
    ],
)
def test_a_contact_is_found(engine: sa.Engine, stored: dict[str, Any], sought: list[str]) -> None:
    with engine.begin() as connection:
        add_contact(connection, **stored)
        add_contact(connection, "other@elsewhere.org", name="Ursula Kern")
    for text in sought:
        assert found(engine, text) == ["ada@example.com"], text


@pytest.mark.parametrize(
    "text", ["mule", "%", "_da", "müllerin", "erika kern-x", "a.*", "em", "company", "21", "nested", "x", '"']
)
def test_nobody_is_found_by_what_does_not_stand_there(engine: sa.Engine, text: str) -> None:
    fields = {"company": "Kern", "staff": 21, "deep": {"nested": "nested"}}
    with engine.begin() as connection:
        add_contact(connection, name="Erika Müller", custom_fields=fields)
    assert found(engine, text) == []


def test_a_long_text_is_taken_in_and_found_by_its_beginning(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        add_contact(connection, custom_fields={"notes": f"Beginning {'lorem ipsum ' * 20_000} end of it"})
    assert found(engine, "beginning") == ["ada@example.com"]
    assert found(engine, "end of it") == []


@pytest.mark.parametrize("text", ["müller", "ada@example.com", "mu"])
def test_the_index_finds_them(engine: sa.Engine, text: str) -> None:
    filter_ = ContactFilter(text=text)
    count = matching(load_statements("contacts/selection")["count_matching"], filter_)
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(
            connection.execute(
                sa.text(f"EXPLAIN {count.text}"), {**filter_.parameters(), "crm": "brevo", "most": None}
            ).scalars()
        )
    assert f"Bitmap Index Scan on {_INDEX}" in plan, plan
