"""What is peculiar to Mautic, against its sandbox; what every CRM promises is in `conformance`."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import requests

from crm_pipelines.crms.mautic import Mautic, tokens
from crm_pipelines.crms.mautic.mapping import load_mapping
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Remembered, Sendable
from crm_pipelines.crms.schema import Finding, InUse, ProvisionError
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.one_contact import at_once, turn_for_all
from crm_pipelines_tests.patience import PATIENCE

SECRET = "a-client-secret-of-a-test"
CUSTOM = 'custom_fields = "all"\n[attributes]\nfirstname = { from = "first_name", type = "text" }\n'
FIELDS = {"score": 1, "vip": True, "note": "x", "colors": ["red"]}
Open = Callable[..., Mautic]


@pytest.fixture
def client(mautic_sandbox: MauticSandbox, tmp_path: Path) -> Iterator[Open]:
    opened: list[Mautic] = []

    def open_client(mapping: str = CUSTOM, *, known: bool = True, **settings: Any) -> Mautic:
        file = tmp_path / "mapping.toml"
        file.write_text(mapping, encoding="utf-8")
        given = {"client_id": "1_test", "client_secret": SECRET, "base_url": mautic_sandbox.url, **settings}
        crm = Mautic(mapping=load_mapping(file), **given)
        opened.append(crm)
        if known:
            crm.schema.provision(dry_run=False, turn=at_once, custom_fields=FIELDS, values_in_use=in_use)
            crm.know(crm.schema.attributes(turn=at_once)[1])
        return crm

    yield open_client
    for one in opened:
        one.close()


def in_use(fields: Sequence[str]) -> dict[str, InUse]:
    return {name: InUse(values=('["red"]', '["blue"]')) for name in fields if name == "colors"}


def contact(crm: Mautic, number: int, *, custom: dict[str, Any] | None = None, **known: Any) -> Sendable:
    record = {
        "id": UUID(int=number),
        "email": known.pop("email", f"p{number}@example.com"),
        "first_name": known.pop("first_name", f"N{number}"),
        "custom_fields": custom or {},
    }
    payload = crm.prepare(record, sent_attributes=known.pop("sent", frozenset()))
    assert isinstance(payload, Payload)
    return Sendable(payload=payload, **{"remote_key": None, "remote_id": None, **known})


def send(crm: Mautic, *contacts: Sendable) -> list[Outcome]:
    outcomes = crm.deliver(contacts, turn=turn_for_all(at_once))
    return [one for one in outcomes if one is not None]


def delivered(crm: Mautic, number: int, outcome: Outcome, **changes: Any) -> Sendable:
    """The same contact, as it is remembered after that outcome."""
    known = {"remote_key": outcome.remote_key, "remote_id": outcome.remote_id, "sent": outcome.sent_attributes}
    return contact(crm, number, remembered=Remembered(lists=outcome.lists), **{**known, **changes})


def send_with_fault_in_the_third(
    crm: Mautic, one: Sendable, sandbox: MauticSandbox, **fault: Any
) -> list[Outcome | None]:
    """After a look and an edit comes what blanks."""
    turns: list[int] = []

    def at_once_with_fault() -> None:
        turns.append(1)
        if len(turns) == 3:
            sandbox.fault(times=1, **fault)

    return crm.deliver([one], turn=turn_for_all(at_once_with_fault))


def results(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.result.value if outcome.kind is None else outcome.kind for outcome in outcomes]


def unlike(findings: Sequence[Finding]) -> str:
    return " ".join(f"{one.subject}: {one.detail}" for one in findings if not one.ok)


def by_somebody_a_token(sandbox: MauticSandbox) -> str:
    form = {"grant_type": "client_credentials", "client_id": "2_somebody", "client_secret": "of-somebody"}
    return str(requests.post(f"{sandbox.url}/oauth/v2/token", data=form, timeout=PATIENCE).json()["access_token"])


def by_somebody(sandbox: MauticSandbox, method: str, path: str, body: Any = None) -> Any:
    headers = {"authorization": f"Bearer {by_somebody_a_token(sandbox)}"}
    answer = requests.request(method, f"{sandbox.url}/api{path}", json=body, headers=headers, timeout=PATIENCE)
    assert answer.ok, answer.text
    return answer.json()


def segment(sandbox: MauticSandbox, **more: Any) -> int:
    return int(by_somebody(sandbox, "POST", "/segments/new", {"name": "Readers", **more})["list"]["id"])


def held(sandbox: MauticSandbox, number: int = 1) -> dict[str, Any]:
    found = sandbox.contact(f"p{number}@example.com")
    assert found is not None
    return found


# --- the token ---


def test_one_token_serves_all_threads(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(known=False)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: send(crm, contact(crm, number)), range(1, 17)))
    assert {one.result for outcomes in done for one in outcomes} == {Result.SYNCED}
    assert mautic_sandbox.tokens() == 1


def test_a_token_that_ends_is_renewed_before_it_is_refused(
    client: Open, mautic_sandbox: MauticSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = client(known=False)
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(tokens, "time", clock)
    for now, bought in ((1000.0, 1), (4500.0, 1), (4550.0, 2), (4551.0, 2)):
        clock.monotonic = lambda now=now: now
        assert results(send(crm, contact(crm, int(now)))) == ["synced"]
        assert mautic_sandbox.tokens() == bought
    assert {one["status"] for one in mautic_sandbox.requests(path="/api/")} == {201}


@pytest.mark.parametrize("lifetime", [0, -1, "3600", None, True, 10**400, {}])
def test_a_token_is_used_whatever_its_answer_says_of_its_time(
    client: Open, mautic_sandbox: MauticSandbox, lifetime: Any
) -> None:
    crm = client(known=False)
    given = by_somebody_a_token(mautic_sandbox)
    body = {"access_token": given, "expires_in": lifetime, "token_type": "bearer"}
    mautic_sandbox.fault("status", path="/oauth/", status=200, body=body)
    assert results(send(crm, contact(crm, 1))) == ["synced"]


def test_a_token_that_was_revoked_is_renewed_once_and_nobody_notices(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    mautic_sandbox.revoke_tokens()
    before = mautic_sandbox.tokens()
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.requests) == (Result.SYNCED, 3)
    assert mautic_sandbox.tokens() == before + 1


def test_a_token_that_is_refused_again_closes_the_gate_with_a_sentence(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    body = {"errors": [{"code": 401, "message": "The access token provided is invalid.", "type": "invalid_grant"}]}
    mautic_sandbox.fault("status", path="/api/", status=401, body=body, times=None)
    before = len(mautic_sandbox.requests())
    turns: list[None] = []

    def turn() -> None:
        turns.append(None)
        assert len(turns) <= 3, "refused, another token, refused: and no more"

    [outcome] = crm.deliver([contact(crm, 1)], turn=turn_for_all(turn))
    assert outcome is not None
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "credentials")
    assert "MAUTIC_CLIENT_SECRET" in (outcome.message or "")
    assert len(mautic_sandbox.requests()) == before + 3


def test_a_wrong_secret_closes_the_gate_with_a_sentence_that_does_not_repeat_it(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(keys=["another"])
    crm = client(known=False)
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "credentials")
    assert "Set MAUTIC_CLIENT_ID and MAUTIC_CLIENT_SECRET" in (outcome.message or "")
    assert SECRET not in repr(outcome)
    assert len(mautic_sandbox.requests()) == 1


def test_no_refusal_repeats_the_secret_the_token_or_the_person(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(known=False)
    send(crm, contact(crm, 1))
    private = [SECRET, crm._api._bearer.token, "p2@example.com", "Zebedee"]
    body = {"errors": [{"code": 400, "message": " ".join(private), "type": private[1]}]}
    mautic_sandbox.fault("status", path="/contacts", status=400, body=body, times=1)
    [outcome] = send(crm, contact(crm, 2, first_name="Zebedee"))
    assert (outcome.result, "***" in (outcome.message or "")) == (Result.REJECTED, True)
    assert [one for one in private if one in f"{outcome.message} {outcome.code}"] == []


def test_no_refusal_of_one_contact_in_a_batch_repeats_the_secret_or_the_person(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(refused={"p2@example.com": f"{SECRET} is no key of Zebedee, p2@example.com"})
    crm = client(known=False)
    first, second = send(crm, contact(crm, 1), contact(crm, 2, first_name="Zebedee"))
    assert first.result is Result.SYNCED
    assert (second.result, (second.message or "")[:25]) == (Result.REJECTED, "*** is no key of ***, ***")


@pytest.mark.parametrize("token", ["", " ", "a\r\nX-More: b", "ключ", 5, None])
def test_a_token_that_can_be_none_is_an_outage(client: Open, mautic_sandbox: MauticSandbox, token: Any) -> None:
    mautic_sandbox.fault("status", path="/oauth/", status=200, body={"access_token": token, "expires_in": 3600})
    crm = client(known=False)
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")
    assert {one["path"] for one in mautic_sandbox.requests()} == {"/oauth/v2/token"}


def test_no_refusal_of_a_token_repeats_the_secret(client: Open, mautic_sandbox: MauticSandbox) -> None:
    body = {"errors": [{"code": 400, "message": f"not {SECRET}", "type": SECRET}]}
    mautic_sandbox.fault("status", path="/oauth/", status=400, body=body, times=1)
    crm = client(known=False)
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.kind, "***" in (outcome.message or "")) == ("credentials", True)
    assert SECRET not in f"{outcome.message} {outcome.code}"


def test_the_request_for_a_token_waits_for_its_turn_too(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(known=False)
    turns: list[int] = []
    crm.deliver([contact(crm, 1)], turn=turn_for_all(lambda: turns.append(len(mautic_sandbox.requests()))))
    assert turns == [0, 1]


# --- the traps ---


@pytest.mark.parametrize("value", [0, 0.5, -0.25])
def test_a_number_that_mautic_drops_blanks_the_one_before_is_told_and_changes_nothing_else(
    client: Open, mautic_sandbox: MauticSandbox, value: float
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"score": 7, "note": "ours"}))
    mautic_sandbox.seed(
        {"email": "p1@example.com", "city": "Paris", "last_active": "2026-01-02 03:04:00", "points": 12}
    )
    before = held(mautic_sandbox)
    [outcome] = send(crm, delivered(crm, 1, first, custom={"score": value, "note": "ours"}))
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"score"}))
    assert "score was left out: Mautic does not take this value and has it blank" in outcome.warnings[0]
    assert held(mautic_sandbox) == {name: held for name, held in before.items() if name != "score"}
    writes = len(mautic_sandbox.requests(path="/batch/"))
    [again] = send(crm, delivered(crm, 1, outcome, custom={"score": value, "note": "newer"}))
    assert again.left_out == {"score"}
    assert len(mautic_sandbox.requests(path="/batch/")) == writes + 1, "nothing is there to be blanked"
    [more] = send(crm, delivered(crm, 1, again, custom={"score": 8, "note": "newer"}))
    assert (more.left_out, held(mautic_sandbox)["score"]) == (frozenset(), 8)


def test_nobody_is_written_with_put_which_would_undo_what_others_change_in_that_moment(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"score": 7}))

    def others_win_points(contacts: Sequence[Sendable]) -> Sequence[Sendable]:
        [held_there] = mautic_sandbox.contacts()
        points = held_there["fields"]["all"]["points"] or 0
        mautic_sandbox.seed({"email": "p1@example.com", "points": points + 1})
        turns.append(points + 1)
        return contacts

    turns: list[int] = []
    crm.deliver([delivered(crm, 1, first, custom={"score": 0})], turn=others_win_points)
    assert held(mautic_sandbox)["points"] == turns[-1] == len(turns)
    assert mautic_sandbox.requests(method="PUT") == []


def test_a_value_that_cannot_be_blanked_is_told_as_one_that_mautic_keeps(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"score": 7}))
    refused = {"contacts": [], "statusCodes": [400], "errors": [{"code": 400, "message": "score: required"}]}
    ada = delivered(crm, 1, first, custom={"score": 0})
    [outcome] = send_with_fault_in_the_third(crm, ada, mautic_sandbox, action="status", status=200, body=refused)
    assert outcome is not None
    assert (outcome.result, outcome.left_out) == (Result.SYNCED, frozenset({"score"}))
    assert "keeps what it had" in outcome.warnings[0]
    assert held(mautic_sandbox)["score"] == 7


def test_an_answer_that_is_lost_while_a_value_is_blanked_is_tried_again(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"score": 7}))
    ada = delivered(crm, 1, first, custom={"score": 0})
    [outcome] = send_with_fault_in_the_third(crm, ada, mautic_sandbox, action="reset_before")
    assert outcome is not None
    assert (outcome.result, held(mautic_sandbox)["score"]) == (Result.RETRY, 7)
    assert results(send(crm, ada)) == ["synced"]
    assert "score" not in held(mautic_sandbox)


def test_the_first_day_of_1970_blanks_another_day_and_one_before_it_arrives(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    by_somebody(mautic_sandbox, "POST", "/fields/contact/new", {"label": "Born", "alias": "born", "type": "date"})
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"born": "1969-12-31"}))
    assert (held(mautic_sandbox)["born"], first.left_out) == ("1969-12-31", frozenset())
    [outcome] = send(crm, delivered(crm, 1, first, custom={"born": "1970-01-01"}))
    assert "born" not in held(mautic_sandbox)
    assert outcome.left_out == {"born"}


def test_the_text_0_blanks_another_one(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"note": "seven"}))
    [outcome] = send(crm, delivered(crm, 1, first, custom={"note": "0"}))
    assert "note" not in held(mautic_sandbox)
    assert outcome.left_out == {"note"}


def test_false_arrives_without_a_second_write(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"vip": True}))
    send(crm, delivered(crm, 1, first, custom={"vip": False}))
    assert held(mautic_sandbox)["vip"] == 0
    assert mautic_sandbox.requests(method="PUT") == []


@pytest.mark.parametrize("checks_unique", [True, False])
def test_an_address_that_another_contact_has_merges_nobody(
    client: Open, mautic_sandbox: MauticSandbox, checks_unique: bool
) -> None:
    mautic_sandbox.configure(checks_unique=checks_unique)
    crm = client()
    [ada, grace] = send(crm, contact(crm, 1), contact(crm, 2))
    mautic_sandbox.seed({"email": "bob@example.com", "firstname": "Bob"})
    before = mautic_sandbox.contacts()
    outcomes = send(crm, delivered(crm, 1, ada, email="bob@example.com", first_name="Eve"), delivered(crm, 2, grace))
    assert results(outcomes) == ["duplicate_address", "synced"]
    assert "Merge or delete one" in (outcomes[0].message or "")
    assert "bob" not in (outcomes[0].message or "")
    assert mautic_sandbox.state()["merged"] == {}
    assert [one["fields"]["all"]["firstname"] for one in mautic_sandbox.contacts()] == ["N1", "N2", "Bob"]
    assert [one["id"] for one in before] == [one["id"] for one in mautic_sandbox.contacts()]


def test_a_contact_that_has_a_namesake_in_address_is_not_merged_with_it(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(checks_unique=False)
    crm = client()
    [first] = send(crm, contact(crm, 1))
    mautic_sandbox.seed({"email": "p1@example.com", "firstname": "Namesake", "new": True})
    [outcome] = send(crm, delivered(crm, 1, first, first_name="Ada", custom={"score": 0}))
    assert outcome.left_out == {"score"}
    assert mautic_sandbox.state()["merged"] == {}
    assert [one["fields"]["all"]["firstname"] for one in mautic_sandbox.contacts()] == ["Ada", "Namesake"]


def test_an_address_of_which_it_is_not_known_whether_it_is_taken_is_not_changed(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(checks_unique=False)
    crm = client()
    [first] = send(crm, contact(crm, 1))
    mautic_sandbox.seed({"email": "bob@example.com", "firstname": "Bob"})
    turns: list[None] = []

    def turn() -> None:
        turns.append(None)
        if len(turns) == 2:  # after the look by id
            mautic_sandbox.fault("status", method="GET", status=503, times=1)

    [outcome] = crm.deliver([delivered(crm, 1, first, email="bob@example.com")], turn=turn_for_all(turn))
    assert outcome is not None
    assert outcome.result is Result.RETRY
    assert mautic_sandbox.requests(method="PATCH") == []
    assert mautic_sandbox.state()["merged"] == {}


def test_two_contacts_here_that_are_one_at_mautic_are_told_and_the_first_is_not_overwritten(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [one] = send(crm, contact(crm, 1))
    outcomes = send(crm, delivered(crm, 1, one, first_name="Ada"), delivered(crm, 2, one, first_name="Eve"))
    assert results(outcomes) == ["synced", "merged"]
    assert "Mautic has merged the two" in (outcomes[1].message or "")
    assert [row["fields"]["all"]["firstname"] for row in mautic_sandbox.contacts()] == ["Ada"]


def test_an_address_that_mautic_would_spell_otherwise_reaches_nobody_else(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    mautic_sandbox.seed({"email": "mller@example.com", "firstname": "Somebody"})
    outcomes = send(crm, contact(crm, 1, email="müller@example.com"), contact(crm, 2))
    assert results(outcomes) == ["invalid_address", "synced"]
    assert [one["fields"]["all"]["firstname"] for one in mautic_sandbox.contacts()] == ["Somebody", "N2"]


def test_a_contact_that_somebody_gave_another_address_is_told_and_left_alone(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1))
    by_somebody(mautic_sandbox, "PATCH", f"/contacts/{first.remote_id}/edit", {"email": "elsewhere@example.com"})
    outcomes = send(crm, delivered(crm, 1, first, first_name="Ada"))
    assert results(outcomes) == ["other_address"]
    assert [one["fields"]["all"]["firstname"] for one in mautic_sandbox.contacts()] == ["N1"]


def test_a_value_that_mautic_refuses_is_left_out_and_the_rest_arrives(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    outcomes = send(crm, contact(crm, 1, custom={"country": "DE", "note": "x"}), contact(crm, 2))
    assert results(outcomes) == ["synced", "synced"]
    assert outcomes[0].left_out == {"country"}
    assert "country was left out" in outcomes[0].warnings[0]
    assert held(mautic_sandbox) == {**held(mautic_sandbox), "firstname": "N1", "note": "x"}
    assert "country" not in held(mautic_sandbox)


def test_a_text_is_cut_to_what_mautic_takes_and_the_contact_says_so(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    one = contact(crm, 1, custom={"note": "x" * 500})
    assert "191" in one.payload.warnings[0]
    assert results(send(crm, one)) == ["synced"]
    assert held(mautic_sandbox)["note"] == "x" * 191


def test_what_is_blank_is_cleared_and_what_others_filled_stays(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"note": "x", "score": 3, "vip": True, "colors": ["red"]}))
    mautic_sandbox.seed({"email": "p1@example.com", "city": "Paris"})
    [outcome] = send(crm, delivered(crm, 1, first))
    kept = {name: value for name, value in held(mautic_sandbox).items() if value}
    assert kept == {"id": int(first.remote_id or 0), "firstname": "N1", "email": "p1@example.com", "city": "Paris"}
    assert outcome.sent_attributes == {"firstname"}


def test_who_has_unsubscribed_is_updated_and_stays_so_also_with_a_zero(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    [first] = send(crm, contact(crm, 1, custom={"score": 3}))
    mautic_sandbox.opt_out("p1@example.com")
    ada = delivered(crm, 1, first, custom={"score": 0}, email="new@example.com")
    assert results(send(crm, ada)) == ["synced"]
    assert mautic_sandbox.opted_out("new@example.com")
    [(_, found)] = crm.reading.look_up([ada], turn=at_once)
    assert found is not None
    told = crm.reading.compare(ada.payload, found)
    assert [one.attribute for one in told if one.theirs is True and one.same is None] == ["do not contact"]
    assert not [one for one in mautic_sandbox.requests() if "doNotContact" in str(one["body"])]


def test_a_batch_that_dies_in_the_middle_is_sent_again_and_each_is_there_once(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client()
    mautic_sandbox.configure(dies_after_rows=2)
    contacts = [contact(crm, number) for number in (1, 2, 3, 4)]
    assert {one.result for one in send(crm, *contacts)} == {Result.RETRY}
    assert len(mautic_sandbox.contacts()) == 2
    assert results(send(crm, *contacts)) == ["synced"] * 4
    assert len(mautic_sandbox.contacts()) == 4


def test_a_limit_below_ours_is_about_the_setting(client: Open, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.configure(batch_limit=2)
    crm = client()
    outcomes = send(crm, *(contact(crm, number) for number in (1, 2, 3)))
    assert {(one.result, one.kind) for one in outcomes} == {(Result.REFUSED, "settings")}
    assert "MAUTIC_CONTACTS_PER_REQUEST" in (outcomes[0].message or "")


def test_a_rate_limit_is_waited_for_until_its_hour_ends(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    mautic_sandbox.configure(per_hour=1)
    [first] = send(crm, contact(crm, 1))
    assert (first.rate.limit, first.rate.remaining) == (1, 0)
    [outcome] = send(crm, contact(crm, 2))
    assert (outcome.result, outcome.kind) == (Result.SNOOZED, "rate_limit")
    assert outcome.retry_after is not None
    assert timedelta(minutes=30) < outcome.retry_after <= timedelta(hours=1)


# --- segment, fields, check ---


def test_nobody_is_put_on_the_segment_twice(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(segment_id=segment(mautic_sandbox))
    [first] = send(crm, contact(crm, 1))
    number = first.remote_id
    by_somebody(mautic_sandbox, "POST", f"/segments/1/contact/{number}/remove")
    send(crm, delivered(crm, 1, first, first_name="Ada"))
    assert mautic_sandbox.state()["segments"][0]["contacts"] == []


def test_whom_mautic_does_not_put_on_the_segment_is_tried_again(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(segment_id=segment(mautic_sandbox))
    body = {"success": 1, "details": {"1": {"success": True}, "2": {"success": False}}}
    mautic_sandbox.fault("status", path="/contacts/add", status=200, body=body, times=1)
    outcomes = send(crm, contact(crm, 1), contact(crm, 2))
    assert [one.result for one in outcomes] == [Result.SYNCED, Result.RETRY]
    assert "put on the list" in (outcomes[1].message or "")


def test_a_segment_that_is_not_there_is_about_the_setting(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(segment_id=77)
    [outcome] = send(crm, contact(crm, 1))
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "settings")
    assert "MAUTIC_SEGMENT_ID" in (outcome.message or "")
    assert "MAUTIC_SEGMENT_ID" in unlike(crm.check(turn=at_once))


def test_the_check_finds_a_field_that_mautic_would_ignore_without_a_word(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    crm = client(CUSTOM + 'lstname = { from = "last_name", type = "text" }\n', known=False)
    found = unlike(crm.check(turn=at_once))
    assert "Field lstname: does not exist" in found
    assert "Is it lastname?" in found


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"api_enabled": False}, "Switch the API on at Mautic"),
        ({"keys": ["another"]}, "Set MAUTIC_CLIENT_ID and MAUTIC_CLIENT_SECRET"),
        ({"permissions": []}, "Let the role of the API credentials"),
        ({"permissions": ["lead:leads:viewother", "lead:fields:view"]}, "Permission: "),
    ],
)
def test_the_check_says_what_to_do_about_the_instance(
    client: Open, mautic_sandbox: MauticSandbox, settings: dict[str, Any], sentence: str
) -> None:
    crm = client(known=False)
    mautic_sandbox.configure(**settings)
    assert sentence in unlike(crm.check(turn=at_once))


def test_the_check_writes_nothing(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(known=False)
    crm.check(turn=at_once)
    assert mautic_sandbox.contacts() == []


def test_a_field_that_mautic_makes_in_the_background_is_told_and_not_made_twice(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(background_fields=True)
    crm = client(known=False)
    for made in (True, False):
        if made:
            with pytest.raises(ProvisionError, match="in the background"):
                crm.schema.provision(dry_run=False, turn=at_once, custom_fields={"note": "x"})
        else:
            assert crm.schema.provision(dry_run=False, turn=at_once, custom_fields={"note": "x"}) == []
    assert "cron command" in unlike(crm.check(turn=at_once, custom_fields={"note": "x"}))
    mautic_sandbox.run_cron()
    assert unlike(crm.check(turn=at_once, custom_fields={"note": "x"})) == ""


def test_a_field_that_mautic_names_otherwise_is_told_with_its_name(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client(known=False)
    with pytest.raises(ProvisionError, match="named the field f_group"):
        crm.schema.provision(dry_run=False, turn=at_once, custom_fields={"group": "x"})


def test_choices_that_are_there_stay_when_others_join_them(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    more = {"colors": InUse(values=('["green"]',))}
    assert crm.schema.provision(dry_run=False, turn=at_once, custom_fields=FIELDS, values_in_use=lambda _: more) == [
        "colors"
    ]
    field = next(one for one in mautic_sandbox.state()["fields"] if one["alias"] == "colors")
    assert [one["value"] for one in field["properties"]["list"]] == ["red", "blue", "green"]


def test_a_text_made_by_provision_takes_191_characters_in_a_fresh_mautic(
    client: Open, mautic_sandbox: MauticSandbox
) -> None:
    mautic_sandbox.configure(length_limit=64)
    crm = client()
    assert results(send(crm, contact(crm, 1, custom={"note": "x" * 191}))) == ["synced"]
    assert held(mautic_sandbox)["note"] == "x" * 191


def test_fifty_contacts_are_one_request(client: Open, mautic_sandbox: MauticSandbox) -> None:
    crm = client()
    assert crm.most_per_request == 50
    outcomes = send(crm, *(contact(crm, number) for number in range(1, 51)))
    assert results(outcomes) == ["synced"] * 50
    [request] = mautic_sandbox.requests(path="/contacts/")
    assert len(json.loads(request["body"])) == 50
