"""Destinations of any name: each has its place in every list, and it is told where nobody delivers to one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.contacts.story import story
from crm_pipelines.contacts.suppressions import crms_of, suppress, suppressions, unsuppress
from crm_pipelines.delivery.account.selectable import require_destination
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import is_registered, known_destinations, register, waiting_for_nobody
from crm_pipelines.errors import UsageError
from crm_pipelines.files import import_contacts
from crm_pipelines.settings import UnknownDestination, load_settings
from crm_pipelines.statistics.status import crm_statuses
from crm_pipelines_tests.fixtures.people import People

FOUR = ("brevo", "hubspot", "mautic", "n8n")
EU = "brevo_eu"
SELECT = "UPDATE contacts SET {crm}_sync_status = 'Selected', {crm}_processing_status = 'Queued'"


@pytest.fixture
def notices(engine: sa.Engine) -> Callable[[str], list[str]]:
    """Runs a statement and returns what the server says besides."""

    def run(statement: str) -> list[str]:
        said: list[str] = []
        with engine.begin() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            listen = lambda notice: said.append(notice.message_primary)  # noqa: E731
            driver.add_notice_handler(listen)
            connection.execute(sa.text(statement))
            driver.remove_notice_handler(listen)
        return said

    return run


def states_of(engine: sa.Engine, email: str) -> dict[str, str]:
    return {one.crm: one.sync_status for one in story(engine, email).crms}


def suppress_everywhere(engine: sa.Engine, email: str) -> None:
    with engine.begin() as connection:
        for crm in crms_of(connection, None):
            suppress(connection, crm, [frozenset({email})], reason="objected", by="test")


def test_a_further_account_gets_its_place_and_its_gate_with_the_first_that_has_it_set_up(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert known_destinations(connection) == FOUR
    assert not is_registered(engine, EU)
    for _ in range(2):
        register(engine, EU, "brevo")
    assert is_registered(engine, EU)
    with engine.connect() as connection:
        assert known_destinations(connection) == (*FOUR, EU)
    assert not GateKeeper(engine, EU).read().paused


def test_who_has_just_been_seen_is_not_written_again(people: People) -> None:
    row = "SELECT xmin::text AS version FROM crm_destinations WHERE name = 'brevo_eu'"
    register(people.engine, EU, "brevo")
    first = people.all(row)
    register(people.engine, EU, "brevo")
    assert people.all(row) == first
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '61 min'")
    register(people.engine, EU, "brevo")
    assert people.all(row) != first


@pytest.mark.parametrize("name", ["Brevo", "1st", "a b", "x" * 31, ""])
def test_a_name_that_no_variable_could_have_is_refused(people: People, name: str) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        register(people.engine, name, "brevo")


def test_a_contact_of_a_further_account_stands_in_every_list(engine: sa.Engine, people: People, tmp_path: Path) -> None:
    register(engine, EU, "brevo")
    file = tmp_path / "contacts.csv"
    file.write_text("email\nada@example.com\n", encoding="utf-8")
    assert import_contacts(engine, file, select=[EU.upper()]).selected == {EU: 1}
    assert states_of(engine, "ada@example.com") == {**dict.fromkeys(FOUR, "New"), EU: "Selected"}
    assert {one.crm: one.counts["Selected"] for one in crm_statuses(engine)} == {**dict.fromkeys(FOUR, 0), EU: 1}
    with engine.connect() as connection:
        [record] = records.page(connection, ContactFilter(status="Selected"), EU)
    assert [one.crm for one in record.crms] == [*FOUR, EU]
    people.run("SELECT crm_upsert_contact('grace@example.com', select_for => ARRAY['brevo_eu'])")
    assert states_of(engine, "grace@example.com")[EU] == "Selected"


def test_a_name_that_nobody_ever_had_is_refused_everywhere(engine: sa.Engine, people: People) -> None:
    people.add(1, select=False)
    with pytest.raises(UsageError, match=r"There is no CRM named 'breevo'; known are brevo, hubspot, mautic, n8n\."):
        select(engine, "breevo", Who(everyone=True))
    with pytest.raises(sa.exc.DataError, match="There is no CRM named breevo"):
        people.run("SELECT crm_select('breevo', array_agg(id)) FROM crm_contacts")
    assert people.all("SELECT 1 FROM crm_syncs") == []


@pytest.mark.parametrize("name", ["'brevo-eu'", "'Brevo'", "'b x'", "''", "NULL"])
def test_a_text_that_can_be_no_name_is_refused_as_such(people: People, name: str) -> None:
    people.add(1, select=False)
    with pytest.raises(sa.exc.DataError, match=f"There is no CRM named {name.strip(chr(39))}\\."):
        people.run(f"SELECT crm_select({name}, array_agg(id)) FROM crm_contacts")


def test_a_role_that_may_not_read_who_delivers_selects_for_a_further_account(engine: sa.Engine, people: People) -> None:
    register(engine, EU, "brevo")
    with engine.connect() as connection, connection.begin() as transaction:
        for statement in (
            "CREATE ROLE crm_former",
            "GRANT SELECT, INSERT, UPDATE ON contacts, crm_contacts, crm_syncs, crm_suppressions TO crm_former",
            "GRANT SELECT ON crm_digest_keys, crm_gates TO crm_former",
            "SET LOCAL ROLE crm_former",
        ):
            connection.execute(sa.text(statement))
        upsert = "SELECT selected FROM crm_upsert_contact('ada@example.com', select_for => ARRAY['brevo_eu'])"
        assert connection.scalar(sa.text(upsert)) == [EU]
        with pytest.raises(sa.exc.DataError, match="There is no CRM named breevo"):
            connection.execute(sa.text("SELECT crm_select('breevo', array_agg(id)) FROM crm_contacts"))
        transaction.rollback()


def test_why_promises_no_run_that_takes_a_claim_back_where_nobody_delivers(engine: sa.Engine, people: People) -> None:
    people.add(email="ada@example.com")
    people.run("UPDATE crm_syncs SET state = 'claimed', claimed_by = 'run', lease_until = now() - interval '1 day'")
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '2 days'")
    [told] = [one.next for one in story(engine, "ada@example.com").crms if one.crm == "brevo"]
    assert told.startswith("Waits: no crm-pipelines with brevo set up has run since ")


def test_nobody_is_sent_to_select_where_nobody_delivers(engine: sa.Engine, people: People) -> None:
    people.add(email="ada@example.com", select=False)
    register(engine, EU, "brevo")
    told = {one.crm: one.next for one in story(engine, "ada@example.com").crms}
    assert told[EU] == "Not selected. `crm-pipelines contacts select brevo_eu --email …` queues it."
    assert told["hubspot"] == (
        "Not selected, and no crm-pipelines with hubspot set up has ever run. See `crm-pipelines check hubspot`."
    )
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '2 days'")
    told = {one.crm: one.next for one in story(engine, "ada@example.com").crms}
    assert told[EU].startswith("Not selected, and no crm-pipelines with brevo_eu set up has run since ")


@pytest.mark.parametrize("name", ["", "br\udcebvo", "brevo\0", "a\nb", "b" * 31])
def test_what_can_be_no_name_is_refused_in_one_line_without_asking_the_database(engine: sa.Engine, name: str) -> None:
    with pytest.raises(UnknownDestination) as caught:
        require_destination(load_settings(), engine, name)
    assert str(caught.value).startswith(f"There is no destination named {name.casefold()!r}: there are brevo.")


def test_who_is_suppressed_everywhere_is_so_at_an_account_that_comes_later(engine: sa.Engine, people: People) -> None:
    people.add(email="ada@example.com", select=False)
    people.add(email="grace@example.com", select=False)
    suppress_everywhere(engine, "ada@example.com")
    suppress_everywhere(engine, "nobody@example.com")
    with engine.begin() as connection:
        suppress(connection, "brevo", [frozenset({"grace@example.com"})], reason=None, by="test")
    register(engine, EU, "brevo")
    with engine.connect() as connection:
        known = [(one.email, one.reason) for one in suppressions(connection, EU)]
    assert sorted(known, key=str) == [("ada@example.com", "objected"), (None, "objected")]
    assert select(engine, EU, Who(everyone=True)).suppressed == 1
    people.add(email="nobody@example.com", select=False)
    assert states_of(engine, "nobody@example.com")[EU] == "Skipped"
    assert states_of(engine, "grace@example.com")[EU] == "Selected"


def test_a_suppression_lifted_at_one_account_alone_stays_lifted(engine: sa.Engine, people: People) -> None:
    people.add(email="ada@example.com", select=False)
    register(engine, EU, "brevo")
    suppress_everywhere(engine, "ada@example.com")
    assert states_of(engine, "ada@example.com") == dict.fromkeys((*FOUR, EU), "Skipped")
    with engine.begin() as connection:
        unsuppress(connection, EU, frozenset({"ada@example.com"}), reason="asked for it", by="test")
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '2 days'")
    register(engine, EU, "brevo")
    assert states_of(engine, "ada@example.com") == {**dict.fromkeys(FOUR, "Skipped"), EU: "New"}


def test_another_account_forgets_nothing_of_a_further_one(engine: sa.Engine, people: People) -> None:
    register(engine, EU, "brevo")
    people.add(email="ada@example.com")
    select(engine, EU, Who(everyone=True))
    for crm in ("brevo", EU):
        GateKeeper(engine, crm).bind_account(f"{crm} before", "key")
    assert GateKeeper(engine, EU).bind_account("another", "key") == 1
    assert states_of(engine, "ada@example.com") == {**dict.fromkeys(FOUR, "New"), "brevo": "Selected", EU: "New"}


@pytest.mark.parametrize("crm", ["hubspot", "mautic"])
def test_selecting_in_sql_where_nobody_delivers_is_done_and_told_once_a_statement(
    people: People, notices: Callable[[str], list[str]], crm: str
) -> None:
    people.add(20, select=False)
    [said] = notices(SELECT.format(crm=crm))
    assert said.startswith(f"Nobody delivers to {crm}: ")
    assert len(people.all("SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'queued'", crm=crm)) == 20
    [said] = notices(f"SELECT crm_upsert_contact('new@example.com', select_for => ARRAY['{crm}'])")
    assert said.startswith(f"Nobody delivers to {crm}: ")


def test_two_statements_of_one_transaction_are_told_each(people: People, engine: sa.Engine) -> None:
    ids = people.add(2, select=False)
    said: list[str] = []
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.add_notice_handler(lambda notice: said.append(notice.message_primary))
        for one in ids:
            connection.execute(sa.text("SELECT crm_select('n8n', ARRAY[CAST(:id AS uuid)])"), {"id": one})
        connection.detach()
    assert len(said) == 2


def test_selecting_where_somebody_delivers_says_nothing_and_after_a_day_of_silence_since_when(
    people: People, notices: Callable[[str], list[str]]
) -> None:
    people.add(3, select=False)
    assert notices(SELECT.format(crm="brevo")) == []
    people.run("UPDATE crm_destinations SET seen_at = '2026-01-02 03:04Z'")
    assert notices("UPDATE contacts SET brevo_sync_status = 'New', brevo_processing_status = NULL") == []
    [said] = notices(SELECT.format(crm="brevo"))
    assert said == (
        "Nobody has delivered to brevo since 2026-01-02 03:04 UTC: "
        "what is selected for it waits until crm-pipelines runs again."
    )


def test_why_says_that_nobody_delivers_and_the_way_out(people: People, engine: sa.Engine) -> None:
    people.add(email="ada@example.com")
    people.run(SELECT.format(crm="hubspot"))
    told = {one.crm: one.next for one in story(engine, "ada@example.com").crms}
    assert "the next run takes it" in told["brevo"]
    assert told["mautic"].startswith("Not selected")
    assert told["hubspot"] == (
        "Waits: no crm-pipelines with hubspot set up has ever run. See `crm-pipelines check hubspot`: it says what to "
        "set, or `crm-pipelines contacts unselect hubspot --email …` takes it back."
    )
    people.run("UPDATE crm_destinations SET seen_at = '2026-01-02 03:04Z'")
    told = {one.crm: one.next for one in story(engine, "ada@example.com").crms}
    assert told["brevo"].startswith("Waits: no crm-pipelines with brevo set up has run since 2026-01-02 03:04:00 UTC.")


def test_contacts_that_wait_for_nobody_are_counted_by_destination(people: People, engine: sa.Engine) -> None:
    register(engine, EU, "brevo")
    people.add(3)
    people.run(SELECT.format(crm="hubspot"))
    select(engine, EU, Who(everyone=True))
    with engine.connect() as connection:
        assert waiting_for_nobody(connection, {"brevo"}) == {"hubspot": 3}
        assert waiting_for_nobody(connection, {"brevo", "hubspot"}) == {}
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '25 hours'")
    with engine.connect() as connection:
        assert waiting_for_nobody(connection, {"brevo"}) == {"hubspot": 3, EU: 3}


def test_a_claim_that_has_run_out_waits_for_nobody_too_and_one_that_is_worked_on_does_not(
    people: People, engine: sa.Engine
) -> None:
    people.add(2)
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '25 hours'")
    people.run("UPDATE crm_syncs SET state = 'claimed', claimed_by = 'run', lease_until = now() + interval '1 hour'")
    with engine.connect() as connection:
        assert waiting_for_nobody(connection, set()) == {}
    people.run("UPDATE crm_syncs SET lease_until = now() - interval '1 second'")
    with engine.connect() as connection:
        assert waiting_for_nobody(connection, set()) == {"brevo": 2}


def test_one_may_select_for_what_this_process_or_somebody_else_delivers_to(
    engine: sa.Engine, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    with pytest.raises(UnknownDestination, match="There is no destination named brevo_eu"):
        require_destination(settings, engine, EU)
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    with pytest.raises(UnknownDestination, match="BREVO_EU_API_KEY is not set"):
        require_destination(load_settings(), engine, EU)
    monkeypatch.setenv("BREVO_EU_API_KEY", "xkeysib-of-eu")
    assert require_destination(load_settings(), engine, "Brevo_EU") == EU
    assert require_destination(settings, engine, EU) == EU, "somebody else has it"
    people.run("UPDATE crm_destinations SET seen_at = now() - interval '25 hours'")
    with pytest.raises(UnknownDestination, match="There is no destination named brevo_eu"):
        require_destination(settings, engine, EU)


def test_a_refused_key_is_remembered_by_its_kind_until_the_gate_opens(engine: sa.Engine) -> None:
    gate = GateKeeper(engine, "brevo")
    gate.close("Denied.", "fingerprint", refused_kind="permission")
    assert gate.read().refused_kind == "permission"
    gate.open()
    assert gate.read().refused_kind is None


def test_who_is_suppressed_at_an_account_stays_so_under_another_name_of_it(people: People, engine: sa.Engine) -> None:
    for name, kind in ((EU, "brevo"), ("main", "brevo"), ("other", "brevo"), ("elsewhere", "another")):
        register(engine, name, kind)
    people.add(email="ada@example.com", select=False)
    GateKeeper(engine, EU).bind_account("org-1", "key")
    with engine.begin() as connection:
        suppress(
            connection, EU, [frozenset({"ada@example.com"}), frozenset({"eve@example.com"})], reason="x", by="test"
        )
    People(engine, "main").add(email="grace@example.com")
    for name in ("main", "elsewhere"):
        GateKeeper(engine, name).bind_account("org-1", "key")
    GateKeeper(engine, "other").bind_account("org-2", "key")
    people.add(email="eve@example.com", select=False)

    for email in ("ada@example.com", "eve@example.com"):
        found = states_of(engine, email)
        assert (found[EU], found["main"]) == ("Skipped", "Skipped")
        assert "Skipped" not in {found.get("other"), found.get("elsewhere")}
    assert states_of(engine, "grace@example.com")["main"] == "Selected"
