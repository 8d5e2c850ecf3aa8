"""A filter finds those of its status and no others, and a few that failed are found without reading all."""

import sqlalchemy as sa

from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter, matching
from crm_pipelines.contacts.selection import count_matching
from crm_pipelines.database.sql import load_statements
from crm_pipelines.database.view import SYNC_STATUSES
from crm_pipelines_tests.integration.contacts.states import STATES, STATUS_PAIRS, add_contact, put


def test_each_status_finds_its_contacts_and_no_others(engine: sa.Engine) -> None:
    expected: dict[str, set[str]] = {status: set() for status in SYNC_STATUSES}
    pairs = {**STATUS_PAIRS, "rejected": ("Error", "Error")}
    with engine.begin() as connection:
        for state in (None, *STATES):
            email = f"{state}@example.com"
            put(connection, add_contact(connection, email), state)
            expected[pairs[state][0]].add(email)
        for status, emails in expected.items():
            filter_ = ContactFilter(status=status.lower())
            assert {one.email for one in records.page(connection, filter_, "brevo")} == emails, status
            assert count_matching(connection, "brevo", filter_).contacts == len(emails), status


def test_those_that_failed_are_found_by_their_index(engine: sa.Engine) -> None:
    filter_ = ContactFilter(status="Error")
    given = {**filter_.parameters(), "crm": "brevo", "most": None}
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        count = matching(load_statements("contacts/selection")["count_matching"], filter_)
        plan = "\n".join(connection.execute(sa.text(f"EXPLAIN {count.text}"), given).scalars())
    assert "crm_syncs_given_up_idx" in plan, plan
