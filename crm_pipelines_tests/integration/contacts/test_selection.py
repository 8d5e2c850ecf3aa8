"""A user's decisions about contacts: each means the same for one contact and for many."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.selection import (
    Retried,
    Selected,
    Unselected,
    Who,
    decide_matching,
    ids_by_email,
    retry,
    select,
    unselect,
)
from crm_pipelines.errors import UsageError
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put


@pytest.fixture
def contacts(engine: sa.Engine) -> dict[str, UUID]:
    """One contact in each state, and one never selected, by the address `<state>@example.com`."""
    with engine.begin() as connection:
        ids = {state: add_contact(connection, f"{state}@example.com") for state in (*STATES, "new")}
        for state in STATES:
            later: dict[str, Any] = {"run_at": sa.text("now() + interval '1 hour'")} if state == "waiting" else {}
            put(connection, ids[state], state, **later)
    return ids


def states(engine: sa.Engine) -> dict[UUID, str]:
    with engine.connect() as connection:
        return dict(connection.execute(sa.text("SELECT contact_id, state FROM crm_syncs")).all())


def test_selecting_everyone_says_what_became_of_each(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert select(engine, "brevo", Who(everyone=True)) == Selected(
        selected=6, already_queued=2, claimed=1, suppressed=1
    )
    after = states(engine)
    assert after.pop(contacts["suppressed"]) == "skipped"
    assert after.pop(contacts["claimed"]) == "claimed"
    assert set(after.values()) == {"queued"}


def test_contacts_are_chosen_by_id_and_by_address_whatever_the_case(
    engine: sa.Engine, contacts: dict[str, UUID]
) -> None:
    stranger = uuid4()
    outcome = select(
        engine, "brevo", Who(ids=(contacts["synced"], stranger), emails=(" NEW@example.com", "nobody@example.com"))
    )
    assert outcome == Selected(
        selected=2, already_queued=0, claimed=0, suppressed=0, not_found=(str(stranger), "nobody@example.com")
    )


def test_contacts_are_chosen_by_their_status(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert select(engine, "brevo", Who(status="new")).selected == 2
    assert select(engine, "brevo", Who(status="Error")).selected == 2


def test_unselecting_takes_everyone_back(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert unselect(engine, "brevo", Who(everyone=True)) == Unselected(unselected=7, unchanged=2, suppressed=1)
    after = states(engine)
    assert after.pop(contacts["suppressed"]) == "skipped"
    assert set(after.values()) == {"unselected"}


def test_only_naming_the_person_lifts_a_suppression(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert unselect(engine, "brevo", Who(status="Skipped")) == Unselected(unselected=1, unchanged=0, suppressed=1)
    assert states(engine)[contacts["suppressed"]] == "skipped"
    named = Who(emails=("Suppressed@example.com",))
    assert unselect(engine, "brevo", named) == Unselected(unselected=1, unchanged=0)
    assert states(engine)[contacts["suppressed"]] == "unselected"
    assert select(engine, "brevo", named).selected == 1


def test_retry_requeues_the_failed_and_hastens_the_waiting(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    everyone = Who(everyone=True)
    foreseen = retry(engine, "brevo", everyone, dry_run=True)
    assert foreseen == Retried(requeued=2, hastened=1, other=7, dry_run=True)
    assert states(engine)[contacts["failed"]] == "failed"
    assert retry(engine, "brevo", everyone) == Retried(requeued=2, hastened=1, other=7, dry_run=False)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT contact_id, attempts FROM crm_syncs WHERE state = 'queued' AND run_at <= now()")
        )
        attempts: dict[UUID, int] = dict(rows.all())
    assert attempts == {
        contacts["queued"]: 0,
        contacts["failed"]: 0,
        contacts["rejected"]: 0,
        contacts["waiting"]: 2,
    }


def test_retry_of_all_hastens_who_was_selected_while_it_was_sent_and_then_put_off(
    engine: sa.Engine, contacts: dict[str, UUID]
) -> None:
    with engine.begin() as connection:
        clear = "UPDATE crm_syncs SET last_error_kind = NULL, last_error = NULL WHERE contact_id = :id"
        connection.execute(sa.text(clear), {"id": contacts["waiting"]})
    assert retry(engine, "brevo", Who(everyone=True)).hastened == 1


def test_retry_of_a_kind_leaves_the_others(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert retry(engine, "brevo", Who(everyone=True), kind="rejected").requeued == 1
    assert states(engine)[contacts["failed"]] == "failed"


def test_retry_of_an_unknown_kind_names_the_kinds_there_are(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    with pytest.raises(UsageError, match=r"of kind 'outrage' at brevo\. The kinds at present: outage, rejected"):
        retry(engine, "brevo", Who(everyone=True), kind="outrage")


def test_a_suppressed_contact_is_never_retried(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    outcome = retry(engine, "brevo", Who(emails=("suppressed@example.com", "nobody@example.com")))
    assert outcome == Retried(requeued=0, hastened=0, other=1, dry_run=False, not_found=("nobody@example.com",))
    assert states(engine)[contacts["suppressed"]] == "skipped"


def test_addresses_become_ids(engine: sa.Engine, contacts: dict[str, UUID]) -> None:
    assert ids_by_email(engine, ["Failed@Example.com", "nobody@example.com"]) == [contacts["failed"]]


def test_choosing_nobody_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="Say which contacts"):
        Who()


@pytest.mark.parametrize(("crm", "status", "known"), [("brewo", "New", "hubspot"), ("brevo", "Neww", "Processing")])
def test_an_unknown_name_lists_the_known_ones(engine: sa.Engine, crm: str, status: str, known: str) -> None:
    with pytest.raises(UsageError, match=f"known are .*{known}"):
        select(engine, crm, Who(status=status))


def test_a_decision_about_thousands_takes_as_few_statements_as_one_about_few(engine: sa.Engine) -> None:
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cu, text, _p, _cx, many: statements.append(text))
    counts = []
    everyone = Who(everyone=True)
    for there, added in ((0, 1), (1, 2000)):
        with engine.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO crm_contacts (email) SELECT 'u' || i FROM generate_series(:there + 1, :last) i"),
                {"there": there, "last": there + added},
            )
        statements.clear()
        assert select(engine, "brevo", everyone).selected == there + added
        assert unselect(engine, "brevo", everyone).unselected == there + added
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.fixture
def unknown(engine: sa.Engine) -> UUID:
    """One that may have arrived where nothing must be sent twice."""
    with engine.begin() as connection:
        contact = add_contact(connection, "unknown@example.com")
        put(connection, contact, "failed", attempts=0, last_error_kind="unknown")
    return contact


def test_who_may_have_arrived_is_retried_by_name_or_by_kind_and_not_with_all(
    engine: sa.Engine, contacts: dict[str, UUID], unknown: UUID
) -> None:
    everyone = Who(everyone=True)
    for dry_run in (True, False):
        done = retry(engine, "brevo", everyone, dry_run=dry_run)
        assert done == Retried(requeued=2, hastened=1, other=8, dry_run=dry_run, unknown=1)
    assert retry(engine, "brevo", everyone, dry_run=True).unknown == 1
    assert states(engine)[unknown] == "failed"
    assert retry(engine, "brevo", everyone, kind="unknown", dry_run=True).requeued == 1
    assert retry(engine, "brevo", Who(ids=(unknown,)), dry_run=True).requeued == 1
    assert retry(engine, "brevo", Who(emails=("unknown@example.com",))).requeued == 1
    assert states(engine)[unknown] == "queued"


def test_who_may_have_arrived_is_selected_by_name_and_not_among_many(engine: sa.Engine, unknown: UUID) -> None:
    for many in (Who(everyone=True), Who(status="Error")):
        assert select(engine, "brevo", many) == Selected(
            selected=0, already_queued=0, claimed=0, suppressed=0, unknown=1
        )
    with engine.begin() as connection:
        done = decide_matching(connection, "brevo", ContactFilter(status="Error"), "select", most=1)
    assert done.counts["unknown"] == 1
    assert states(engine)[unknown] == "failed"
    assert select(engine, "brevo", Who(ids=(unknown,))).selected == 1


def test_who_may_have_arrived_is_left_at_that_by_unselecting(engine: sa.Engine, unknown: UUID) -> None:
    assert unselect(engine, "brevo", Who(emails=("unknown@example.com",))).unselected == 1
    assert states(engine)[unknown] == "unselected"
