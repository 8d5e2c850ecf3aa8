"""Deliveries to the sandbox over HTTP: what Brevo then holds, and what the outcome says of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.brevo.upsert import MOST_REQUESTS
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Remembered
from crm_pipelines.crms.schema import ProvisionError
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import deliver
from crm_pipelines_tests.patience import LONGEST_TEST

KEY = "xkeysib-test"
MAPPED = ["DOMAIN_ID", "EMAIL_TYPE", "HAS_GMAIL", "PAGE_ID", "SOURCE_URL"]
PHONE, PHONE_STORED, OTHER_PHONE = "+1 202 555 0143", "12025550143", "+1 202 555 0144"


def at_once() -> None:
    """No waiting for one's turn."""


class Sender:
    """One contact and what is remembered of it between deliveries, as the tables would."""

    def __init__(self, brevo: Brevo, **record: Any) -> None:
        self.brevo = brevo
        self.record: dict[str, Any] = {"id": UUID(int=1), "email": "ada@example.com", "custom_fields": {}, **record}
        self.sent: frozenset[str] = frozenset()
        self.remote_key: str | None = None
        self.remote_id: str | None = None
        self.remembered = Remembered()
        self.waited = 0

    def payload(self) -> Payload:
        payload = self.brevo.prepare(self.record, sent_attributes=self.sent)
        assert isinstance(payload, Payload)
        return payload

    def deliver(self, **changes: Any) -> Outcome:
        self.record |= changes
        outcome = deliver(
            self.brevo,
            self.payload(),
            remote_key=self.remote_key,
            remote_id=self.remote_id,
            turn=self.wait,
            remembered=self.remembered,
        )
        if outcome.result is Result.SYNCED:
            self.sent, self.remote_key = outcome.sent_attributes, outcome.remote_key
            self.remembered = Remembered(lists=outcome.lists, remote_mark=outcome.remote_mark)
            self.remote_id = outcome.remote_id or self.remote_id
        return outcome

    def wait(self) -> None:
        self.waited += 1


@pytest.fixture
def connect(brevo_sandbox: BrevoSandbox) -> Iterator[Callable[..., Brevo]]:
    clients: list[Brevo] = []

    def connect(**options: Any) -> Brevo:
        defaults = {"api_key": KEY, "base_url": brevo_sandbox.url, "mapping": load_mapping(None)}
        clients.append(Brevo(**{**defaults, **options}))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def brevo(connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox) -> Brevo:
    """With the attributes of the mapping, and three custom ones."""
    texts = dict.fromkeys(MAPPED, "text")
    more = {"HAS_GMAIL": "boolean", "SCORE": "float", "VIP": "boolean", "NOTE": "text"}
    brevo_sandbox.configure(attributes={**texts, **more})
    return connect()


@pytest.fixture
def sender(brevo: Brevo) -> Sender:
    return Sender(brevo)


def asked(sandbox: BrevoSandbox) -> list[str]:
    """What each request asked for: method, path, and by what a contact was named."""
    return [
        " ".join([one["method"], one["path"].removeprefix("/v3"), one["query"].removeprefix("identifierType=")]).strip()
        for one in sandbox.requests()
    ]


def bodies(sandbox: BrevoSandbox) -> str:
    return "".join(request["body"] for request in sandbox.requests())


def test_a_contact_is_created_and_then_updated(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    created = sender.deliver(name="Ada King Lovelace", phone_number=PHONE)
    held = brevo_sandbox.contact("ada@example.com")
    assert held is not None
    assert (created.result, created.http_status, created.remote_id) == (Result.SYNCED, 201, str(held["id"]))
    assert created.remote_key == "ada@example.com"
    assert created.sent_attributes == {"FIRSTNAME", "LASTNAME", "SMS"}
    assert created.request_id
    assert held["attributes"] == {
        "FIRSTNAME": "Ada",
        "LASTNAME": "King Lovelace",
        "SMS": PHONE_STORED,
        "EXT_ID": str(UUID(int=1)),
    }
    updated = sender.deliver(name="Ada Byron")
    assert (updated.result, updated.http_status, updated.remote_id) == (Result.SYNCED, 204, None)
    assert [contact["attributes"]["LASTNAME"] for contact in brevo_sandbox.contacts()] == ["Byron"]
    assert (created.requests, updated.requests, sender.waited) == (1, 1, 2)


def test_a_list_that_the_account_lacks_is_about_the_settings(connect: Callable[..., Brevo]) -> None:
    outcome = Sender(connect(list_id=99)).deliver()
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "settings")


def test_a_change_of_address_names_the_contact_by_ids_and_puts_no_address_into_a_url(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    number = sender.deliver().remote_id
    sender.remote_id = None
    sender.deliver(email="new@example.com")
    assert asked(brevo_sandbox) == [
        "POST /contacts",
        f"GET /contacts/{UUID(int=1)} ext_id",
        f"PUT /contacts/{number} contact_id",
    ]


def test_a_contact_that_others_delivered_is_found_by_brevos_number(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    [number] = brevo_sandbox.seed({"email": "old@example.com"})
    sender.remote_key, sender.remote_id = "old@example.com", str(number)
    outcome = sender.deliver()
    assert (outcome.result, outcome.requests, outcome.remote_id) == (Result.SYNCED, 3, str(number))
    [held] = brevo_sandbox.contacts()
    assert (held["email"], held["attributes"]["EXT_ID"]) == ("ada@example.com", str(UUID(int=1)))
    assert "@" not in "".join(asked(brevo_sandbox))


def test_without_any_id_that_brevo_knows_the_old_address_is_asked_for_once(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    old = "a+b/c?d#e%41@example.com"
    [number] = brevo_sandbox.seed({"email": old})
    sender.remote_key, sender.remote_id = old, "999"
    outcome = sender.deliver()
    assert (outcome.result, outcome.remote_id) == (Result.SYNCED, str(number))
    assert asked(brevo_sandbox) == [
        f"GET /contacts/{UUID(int=1)} ext_id",
        "GET /contacts/999 contact_id",
        f"GET /contacts/{old} email_id",
        f"PUT /contacts/{number} contact_id",
    ]


def test_a_remote_id_that_is_no_number_is_not_asked_for(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "old@example.com"})
    sender.remote_key, sender.remote_id = "old@example.com", "old@example.com"
    assert sender.deliver().result is Result.SYNCED
    assert not [request for request in asked(brevo_sandbox) if request.endswith("contact_id") and "@" in request]


def test_an_entry_that_passed_on_to_another_contact_of_ours_is_not_renamed(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    [number] = brevo_sandbox.seed({"email": "old@example.com", "ext_id": str(UUID(int=2))})
    sender.remote_key, sender.remote_id = "old@example.com", str(number)
    assert sender.deliver().result is Result.SYNCED
    held = {contact["email"]: contact["attributes"]["EXT_ID"] for contact in brevo_sandbox.contacts()}
    assert held == {"old@example.com": str(UUID(int=2)), "ada@example.com": str(UUID(int=1))}


def test_an_entry_that_passed_on_to_another_contact_keeps_its_unsubscription_from_both(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "old@example.com", "ext_id": str(UUID(int=2)), "emailBlacklisted": True})
    sender.remote_key = "old@example.com"
    assert sender.deliver().kind == "consent"
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["old@example.com"]


def test_the_mark_of_another_system_does_not_hinder_a_change_of_address(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "old@example.com", "ext_id": "shop-42"})
    sender.remote_key = "old@example.com"
    assert sender.deliver().result is Result.SYNCED
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["ada@example.com"]


def test_our_mark_on_an_entry_of_which_nothing_else_is_known_is_refused(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    [known, _] = brevo_sandbox.seed(
        {"email": "old@example.com"}, {"email": "stranger@example.com", "ext_id": str(UUID(int=1))}
    )
    sender.remote_key, sender.remote_id = "old@example.com", str(known)
    outcome = sender.deliver()
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "duplicate_external_id")
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["old@example.com", "stranger@example.com"]


def test_a_contact_made_anew_at_brevo_is_known_by_our_mark_and_its_address(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    [number] = brevo_sandbox.seed({"email": "old@example.com", "ext_id": str(UUID(int=1))})
    sender.remote_key, sender.remote_id = "old@example.com", "999"
    outcome = sender.deliver()
    assert (outcome.result, outcome.requests, outcome.remote_id) == (Result.SYNCED, 2, str(number))


@pytest.mark.parametrize(("mark", "remote_id", "times"), [({}, "5", 2), ({"EXT_ID": "shop-42"}, None, 1)])
def test_an_answer_about_another_contact_than_asked_for_changes_nothing(
    sender: Sender, brevo_sandbox: BrevoSandbox, mark: dict[str, str], remote_id: str | None, times: int
) -> None:
    stranger = {"id": 7, "email": "stranger@example.com", "emailBlacklisted": False, "attributes": mark}
    brevo_sandbox.fault("status", method="GET", status=200, body=stranger, times=times)
    sender.remote_key, sender.remote_id = "old@example.com", remote_id
    assert sender.deliver().http_status == 201
    assert brevo_sandbox.requests(method="PUT") == []


def test_a_change_of_address_that_brevo_made_although_its_answer_was_lost_does_not_ask_for_consent_again(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    sender.deliver()
    brevo_sandbox.fault("reset_after", method="PUT", times=1)
    assert sender.deliver(email="new@example.com").result is Result.RETRY
    brevo_sandbox.seed({"email": "new@example.com", "emailBlacklisted": True})
    assert sender.deliver(name="Ada").result is Result.SYNCED
    [held] = brevo_sandbox.contacts()
    assert (held["email"], held["attributes"]["FIRSTNAME"], held["emailBlacklisted"]) == (
        "new@example.com",
        "Ada",
        True,
    )
    assert "EMAIL" not in brevo_sandbox.requests(method="PUT")[-1]["body"]


def test_an_answer_that_echoes_key_address_and_phone_is_redacted(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    echo = {"code": KEY, "message": f"No {KEY} ada@example.com +12025550143 old@example.com"}
    gone = {"code": "document_not_found", "message": "Contact does not exist"}
    brevo_sandbox.fault("status", method="GET", status=404, body=gone)
    brevo_sandbox.fault("status", method="POST", status=422, body=echo)
    sender.remote_key = "old@example.com"
    outcome = sender.deliver(phone_number=PHONE)
    assert (outcome.result, outcome.code, outcome.message) == (Result.REJECTED, "***", "No *** *** *** ***")


def test_a_remote_key_in_another_spelling_is_no_change_of_address(sender: Sender) -> None:
    sender.deliver()
    sender.remote_key = " ADA@Example.com"
    assert sender.deliver().requests == 1


def test_a_contact_that_is_gone_under_its_old_address_is_created(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    sender.remote_key = "old@example.com"
    outcome = sender.deliver()
    assert (outcome.result, outcome.http_status, outcome.requests) == (Result.SYNCED, 201, 3)
    sender.remote_key = "no address at all"
    assert sender.deliver().result is Result.SYNCED
    assert len(brevo_sandbox.contacts()) == 1


def test_a_contact_deleted_between_look_up_and_update_is_created(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "old@example.com"})
    sender.remote_key = "old@example.com"
    gone = {"code": "document_not_found", "message": "Contact does not exist"}
    brevo_sandbox.fault("status", method="PUT", status=404, body=gone, times=1)
    outcome = sender.deliver()
    assert (outcome.result, outcome.http_status, outcome.requests) == (Result.SYNCED, 201, 4)


def test_nobody_who_unsubscribed_is_subscribed_by_a_change_of_address(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    sender.deliver(name="Ada")
    brevo_sandbox.seed({"email": "ada@example.com", "emailBlacklisted": True})
    before = brevo_sandbox.contacts()
    outcome = sender.deliver(email="new@example.com", name="Eve")
    assert (outcome.result, outcome.kind, outcome.remote_key) == (Result.REJECTED, "consent", None)
    assert "unsubscribed" in (outcome.message or "")
    assert brevo_sandbox.contacts() == before
    assert sender.deliver(email="ada@example.com").result is Result.SYNCED
    assert brevo_sandbox.contacts()[0]["emailBlacklisted"] is True
    assert "lacklisted" not in "".join(request["body"] for request in brevo_sandbox.requests(method="PUT|POST"))


@pytest.mark.parametrize("named", ["ext_id", "contact_id", "email_id"])
def test_nobody_who_unsubscribed_is_subscribed_whatever_the_contact_is_found_by(
    sender: Sender, brevo_sandbox: BrevoSandbox, named: str
) -> None:
    mark = {"ext_id": str(UUID(int=1))} if named == "ext_id" else {}
    [number] = brevo_sandbox.seed({"email": "old@example.com", "emailBlacklisted": True, **mark})
    sender.remote_key, sender.remote_id = "old@example.com", None if named == "email_id" else str(number)
    before = brevo_sandbox.contacts()
    assert sender.deliver().kind == "consent"
    assert asked(brevo_sandbox)[-1].endswith(named)
    assert brevo_sandbox.contacts() == before


@pytest.mark.parametrize("body", [{"id": 1}, {"id": 1, "emailBlacklisted": None}, {"emailBlacklisted": False}, {}])
def test_without_an_answer_on_consent_nothing_is_changed(
    sender: Sender, brevo_sandbox: BrevoSandbox, body: dict[str, Any]
) -> None:
    sender.deliver()
    brevo_sandbox.fault("status", method="GET", status=200, body=body, times=1)
    outcome = sender.deliver(email="new@example.com")
    assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")
    assert brevo_sandbox.contact("new@example.com") is None


def test_an_address_of_another_contact_is_refused_in_brevos_words(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    sender.deliver()
    brevo_sandbox.seed({"email": "bob@example.com"})
    outcome = sender.deliver(email="bob@example.com")
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "duplicate_address")
    assert "already associated with another Contact" in (outcome.message or "")
    assert "Merge or delete" in (outcome.message or "")
    assert "@" not in (outcome.message or "")


def test_a_phone_of_another_contact_is_left_out_and_the_rest_sent(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "bob@example.com", "attributes": {"SMS": PHONE}})
    outcome = sender.deliver(name="Ada", phone_number=PHONE)
    assert (outcome.result, outcome.requests, sender.waited) == (Result.SYNCED, 2, 2)
    assert outcome.sent_attributes == {"FIRSTNAME"}
    [warning] = outcome.warnings
    assert warning.startswith("SMS left out")
    assert PHONE_STORED not in warning
    held = brevo_sandbox.contact("ada@example.com")
    assert held is not None
    assert "SMS" not in held["attributes"]


def test_a_phone_that_brevo_has_of_us_is_cleared_when_the_new_one_is_taken(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    sender.deliver(phone_number=PHONE)
    brevo_sandbox.seed({"email": "bob@example.com", "attributes": {"SMS": OTHER_PHONE}})
    outcome = sender.deliver(phone_number=OTHER_PHONE)
    assert (outcome.result, outcome.sent_attributes) == (Result.SYNCED, frozenset())
    held = brevo_sandbox.contact("ada@example.com")
    assert held is not None
    assert "SMS" not in held["attributes"]


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_phone_that_brevo_calls_invalid_is_left_out(
    sender: Sender, brevo_sandbox: BrevoSandbox, refusals: int
) -> None:
    sender.deliver(phone_number=PHONE)
    invalid = {"code": "invalid_parameter", "message": "Invalid phone number"}
    brevo_sandbox.fault("status", method="PUT", status=400, body=invalid, times=refusals)
    outcome = sender.deliver(phone_number=OTHER_PHONE)
    look = 1 if refusals == 1 else 0  # whether it was cleared
    assert (outcome.result, outcome.requests, len(outcome.warnings)) == (Result.SYNCED, 1 + refusals + look, refusals)
    # Brevo did not even take the clearing: it still has our old number, and it is to be cleared the next time.
    assert outcome.sent_attributes == ({"SMS"} if refusals == 2 else frozenset())


def test_our_contact_under_an_address_we_do_not_know_is_moved(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    [number] = brevo_sandbox.seed({"email": "changed.at.brevo@example.com", "ext_id": str(UUID(int=1))})
    outcome = sender.deliver(name="Ada")
    assert (outcome.result, outcome.requests, outcome.remote_id) == (Result.SYNCED, 3, str(number))
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["ada@example.com"]


def test_our_contact_under_an_unknown_address_keeps_its_unsubscription(
    sender: Sender, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": "x@example.com", "ext_id": str(UUID(int=1)), "emailBlacklisted": True})
    outcome = sender.deliver()
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "consent")
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["x@example.com"]


def test_address_phone_and_ext_id_in_conflict_end_in_an_answer(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed(
        {"email": "ours@example.com", "ext_id": str(UUID(int=1))},
        {"email": "bob@example.com", "attributes": {"SMS": PHONE}},
        {"email": "old@example.com"},
    )
    sender.remote_key = "old@example.com"
    outcome = sender.deliver(phone_number=PHONE)
    assert outcome.result is Result.SYNCED
    assert {contact["email"] for contact in brevo_sandbox.contacts()} == {
        "ada@example.com",
        "bob@example.com",
        "old@example.com",
    }


def test_contradicting_answers_come_to_an_end(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": "ours@example.com", "ext_id": str(UUID(int=1))})
    taken = {"message": "No", "metadata": {"duplicate_identifiers": ["EXT_ID"]}}
    gone = {"code": "document_not_found", "message": "Contact does not exist"}
    brevo_sandbox.fault("status", method="POST", status=400, body=taken)
    brevo_sandbox.fault("status", method="PUT", status=404, body=gone)
    outcome = sender.deliver()
    assert outcome.result is Result.REJECTED
    assert outcome.requests <= MOST_REQUESTS + 1


REFUSALS = {"ip": "ip_not_authorised", "credits": "credits", "permission": "permission", "validation": "account"}


@pytest.mark.parametrize(("refusal", "kind"), REFUSALS.items())
def test_a_refused_account_is_refused_at_delivery_and_probe(
    sender: Sender, brevo_sandbox: BrevoSandbox, refusal: str, kind: str
) -> None:
    brevo_sandbox.configure(refusal=refusal)
    for outcome in (sender.deliver(), sender.brevo.probe(turn=sender.wait)):
        assert (outcome.result, outcome.kind) == (Result.REFUSED, kind)
    brevo_sandbox.configure(refusal=None, revoked_keys=[KEY])
    assert sender.deliver().kind == "credentials"
    brevo_sandbox.configure(revoked_keys=[])
    assert sender.brevo.probe(turn=sender.wait).result is Result.SYNCED
    assert sender.waited == 4


def test_a_429_is_snoozed_for_as_long_as_brevo_says(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(contacts_per_hour=1)
    assert sender.deliver().rate.remaining == 0
    outcome = sender.deliver()
    assert (outcome.result, outcome.kind, outcome.rate.limit) == (Result.SNOOZED, "rate_limit", 1)
    assert outcome.retry_after is not None
    assert timedelta(hours=1) - timedelta(seconds=LONGEST_TEST) < outcome.retry_after <= timedelta(hours=1)


def test_one_client_serves_many_threads_over_few_connections(brevo: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    def deliver(number: int) -> Outcome:
        return Sender(brevo, id=UUID(int=number), email=f"p{number}@example.com", name=f"N{number}").deliver()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(deliver, range(200)))
    assert all(outcome.result is Result.SYNCED for outcome in outcomes)
    held = {contact["email"]: contact["attributes"]["FIRSTNAME"] for contact in brevo_sandbox.contacts()}
    assert held == {f"p{number}@example.com": f"N{number}" for number in range(200)}
    assert len({request["client_port"] for request in brevo_sandbox.requests()}) <= 8


def test_no_key_and_no_blocklist_flag_is_in_a_body(sender: Sender, brevo_sandbox: BrevoSandbox) -> None:
    sender.deliver(name="Ada", phone_number=PHONE)
    sender.deliver(email="new@example.com")
    assert KEY not in bodies(brevo_sandbox)
    assert "Blacklisted" not in bodies(brevo_sandbox)


def test_the_preflight_names_every_missing_attribute_and_the_near_match(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(language="fr", attributes={"DOMAINID": "text", "HAS_GMAIL": "text", "SCORE": "text"})
    findings = {f.subject: f for f in connect(list_id=99).check(turn=at_once, custom_fields={"score": 1, "other": "x"})}
    assert findings["API key"].ok
    assert not findings["List 99"].ok
    assert "Is it PRENOM?" in findings["Attribute FIRSTNAME"].detail
    assert "Is it DOMAINID?" in findings["Attribute DOMAIN_ID"].detail
    assert "Is it" not in findings["Attribute PAGE_ID"].detail, "a mapping may not name EXT_ID"
    assert "is of type text, not boolean" in findings["Attribute HAS_GMAIL"].detail
    assert not findings["Attribute HAS_GMAIL"].blocking, "yes and no become texts"
    assert findings["Attribute SMS"].ok
    assert findings["Attribute SCORE"].ok, "a number is taken as a text"
    assert (findings["Attribute OTHER"].ok, findings["Attribute OTHER"].blocking) == (False, False)


def test_an_account_that_does_not_list_its_phone_attributes_has_them(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.fault("status", path="/attributes$", status=200, body={"attributes": []})
    assert "SMS" not in connect().schema.provision(dry_run=True, turn=at_once)
    assert "Attribute SMS" not in {finding.subject for finding in connect().check(turn=at_once)}


def test_a_computed_attribute_is_no_target(connect: Callable[..., Brevo]) -> None:
    [finding] = [
        f for f in connect().check(turn=at_once, custom_fields={"blacklist": "x"}) if f.subject == "Attribute BLACKLIST"
    ]
    assert "global" in finding.detail
    assert not finding.ok


def test_provision_creates_what_is_missing_once_and_then_the_preflight_passes(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox
) -> None:
    brevo = connect(list_id=2)
    custom = {"score": 1.5, "vip": False, "note": "x"}
    wanted = sorted([*MAPPED, "NOTE", "SCORE", "VIP"])
    assert brevo.schema.provision(dry_run=True, turn=at_once, custom_fields=custom) == wanted
    assert brevo_sandbox.requests(method="POST") == []
    assert brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=custom) == wanted
    assert brevo.schema.provision(dry_run=False, turn=at_once, custom_fields=custom) == []
    types = {attribute["name"]: attribute["type"] for attribute in brevo_sandbox.state()["attributes"]}
    assert (types["HAS_GMAIL"], types["SCORE"], types["VIP"], types["NOTE"]) == ("boolean", "float", "boolean", "text")
    assert all(finding.ok for finding in brevo.check(turn=at_once, custom_fields=custom))


def test_preflight_and_provision_wait_for_their_turn_before_each_request(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox
) -> None:
    seen: list[int] = []
    brevo = connect(list_id=2)

    def turn() -> None:
        seen.append(len(brevo_sandbox.requests()))

    brevo.schema.provision(dry_run=False, turn=turn)
    brevo.check(turn=turn)
    assert len(brevo_sandbox.requests()) == len(MAPPED) + 5
    assert seen == list(range(len(MAPPED) + 5))


def test_an_attribute_that_somebody_else_creates_meanwhile_is_no_error(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox
) -> None:
    twice = {"code": "invalid_parameter", "message": "Attribute name must be unique"}
    brevo_sandbox.fault("status", method="POST", status=400, body=twice, times=1)
    assert connect().schema.provision(dry_run=False, turn=at_once) == MAPPED[1:]


def test_provision_says_why_it_could_not(connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(revoked_keys=[KEY])
    with pytest.raises(ProvisionError, match="Key not found"):
        connect().schema.provision(dry_run=False, turn=at_once)
    brevo_sandbox.configure(revoked_keys=[])
    brevo_sandbox.fault("status", method="POST", status=400, body={"message": "Too many attributes"})
    with pytest.raises(ProvisionError, match="attribute DOMAIN_ID"):
        connect().schema.provision(dry_run=False, turn=at_once)


@pytest.mark.parametrize(("refusal", "said"), [("ip", "authorised_ips"), ("credits", "credits")])
def test_the_preflight_of_a_refused_key_is_one_finding_with_what_to_do(
    connect: Callable[..., Brevo], brevo_sandbox: BrevoSandbox, refusal: str, said: str
) -> None:
    brevo_sandbox.configure(refusal=refusal)
    [finding] = connect().check(turn=at_once)
    assert (finding.ok, finding.blocking, finding.subject) == (False, True, "API key")
    assert said in finding.detail


def test_the_preflight_without_a_server_is_one_finding(connect: Callable[..., Brevo]) -> None:
    [finding] = connect(base_url="http://127.0.0.1:1/v3").check(turn=at_once)
    assert not finding.ok
    assert "BREVO_API_BASE_URL" in finding.detail
