"""Destinations of any name, and who delivers to them."""

import sqlalchemy as sa

from crm_pipelines.contacts.destinations import is_registered, known_destinations, register
from crm_pipelines.contacts.gates import GateKeeper


def test_a_further_account_gets_its_place_and_its_gate_with_the_first_that_has_it_set_up(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert known_destinations(connection) == ("brevo", "hubspot", "mautic", "n8n")
    assert not is_registered(engine, "brevo_eu")
    for _ in range(2):
        register(engine, "brevo_eu", "brevo")
    assert is_registered(engine, "brevo_eu")
    with engine.connect() as connection:
        assert known_destinations(connection) == ("brevo", "hubspot", "mautic", "n8n", "brevo_eu")
    assert not GateKeeper(engine, "brevo_eu").read().paused
