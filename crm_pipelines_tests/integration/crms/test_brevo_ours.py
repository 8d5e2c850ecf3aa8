"""An entry at Brevo is our contact's by our mark or by an address that we know of it, never by a number alone."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.addresses import known_addresses
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.brevo.ours import is_ours
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import NOTHING_REMEMBERED, Held
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.crms.test_brevo import KEY, Sender, at_once
from crm_pipelines_tests.one_contact import look_up

OURS, ANOTHER_OF_OURS = str(UUID(int=1)), str(UUID(int=2))
KNOWN = frozenset({"ada@example.com", "old@example.com"})


@pytest.fixture
def sender(brevo_sandbox: BrevoSandbox) -> Iterator[Sender]:
    """Our contact, delivered under old@example.com as number 1."""
    brevo = Brevo(api_key=KEY, base_url=brevo_sandbox.url, mapping=load_mapping(None))
    sender = Sender(brevo)
    sender.remote_key, sender.remote_id = "old@example.com", "1"
    yield sender
    brevo.close()


def look(sender: Sender) -> Held | None:
    outcome, held = look_up(
        sender.brevo, sender.payload(), remote_key=sender.remote_key, remote_id=sender.remote_id, turn=at_once
    )
    assert outcome.result is Result.SYNCED
    return held


@pytest.mark.parametrize("mark", [{}, {"ext_id": "shop-42"}, {"ext_id": ANOTHER_OF_OURS}])
@pytest.mark.parametrize("blocked", [False, True])
def test_a_stranger_with_the_number_that_we_know_is_neither_renamed_nor_shown_nor_in_the_way(
    sender: Sender, brevo_sandbox: BrevoSandbox, mark: dict[str, str], blocked: bool
) -> None:
    [number] = brevo_sandbox.seed({"email": "stranger@example.com", "emailBlacklisted": blocked, **mark})
    assert number == 1
    before = brevo_sandbox.contacts()
    assert look(sender) is None
    outcome = sender.deliver()
    assert (outcome.result, outcome.http_status, outcome.remote_id) == (Result.SYNCED, 201, "2")
    assert brevo_sandbox.contacts()[:1] == before


def test_a_number_with_an_address_that_we_know_is_ours(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "old@example.com", "ext_id": "shop-42"})
    held = look(sender)
    assert held is not None
    assert held.key == "old@example.com"
    assert sender.deliver().remote_id == "1"
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["ada@example.com"]


def test_what_bears_the_mark_of_another_contact_of_ours_is_not_shown_as_this_one(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "old@example.com", "ext_id": ANOTHER_OF_OURS})
    assert look(sender) is None


def test_an_address_in_another_spelling_is_known(sender: Sender) -> None:
    known = known_addresses(sender.payload(), "Ada@MÜLLER.example", NOTHING_REMEMBERED)
    entry = {"id": 1, "email": "ada@müller.example", "attributes": {}}
    assert is_ours(
        entry, found_by="contact_id", external_id=OURS, number="1", known=known, remembered=NOTHING_REMEMBERED
    )


@pytest.mark.parametrize(
    ("found_by", "entry", "ours"),
    [
        ("contact_id", {"email": "x@example.com"}, False),
        ("contact_id", {"email": None}, False),
        ("contact_id", {}, False),
        ("contact_id", {"email": "x@example.com", "attributes": {"EXT_ID": OURS.upper()}}, True),
        ("contact_id", {"email": "OLD@example.com"}, True),
        ("contact_id", {"email": "old@example.com", "id": 2}, False),
        ("email_id", {"email": "old@example.com", "id": 2}, True),
        ("email_id", {"email": "x@example.com", "id": 2}, False),
        ("email_id", {"email": "old@example.com", "attributes": {"EXT_ID": ANOTHER_OF_OURS}}, False),
        ("ext_id", {"email": "x@example.com", "attributes": {"EXT_ID": OURS}}, True),
        ("ext_id", {"email": "x@example.com", "id": 2, "attributes": {"EXT_ID": OURS}}, False),
        ("ext_id", {"email": "old@example.com", "id": 2, "attributes": {"EXT_ID": OURS}}, True),
        ("ext_id", {"email": "old@example.com", "attributes": {"EXT_ID": "shop-42"}}, False),
    ],
)
def test_what_makes_an_entry_ours(found_by: str, entry: dict[str, Any], ours: bool) -> None:
    given = {"id": 1, **entry}
    assert (
        is_ours(given, found_by=found_by, external_id=OURS, number="1", known=KNOWN, remembered=NOTHING_REMEMBERED)
        is ours
    )
