"""The account: which it is, what it lacks, that two of a kind share nothing, and that no secret is told."""

import logging

import pytest

from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import Finding, ProvisionError
from crm_pipelines.errors import SettingsError
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, KEY, LACKING, NUMBER, TEXT, Capability, Fault

OTHER_KEY = "the-secret-of-another-account"
needs = pytest.mark.needs


def unlike(findings: list[Finding] | tuple[Finding, ...]) -> str:
    return " ".join(f"{one.subject}: {one.detail}" for one in findings if not one.ok)


def test_a_client_offers_what_its_kind_claims_and_no_more(bench: Bench) -> None:
    crm = bench.client.crm
    offered = {
        Capability.MANY: crm.most_per_request > 1,
        Capability.REPEATABLE: crm.repeatable,
        Capability.FIELDS: crm.schema is not None,
        Capability.READING: crm.reading is not None,
        Capability.IMPORTS: crm.imports is not None,
    }
    assert offered == {one: one in bench.subject.capabilities for one in offered}
    assert crm.repeatable or crm.imports is None, "what an import lost goes again"


@needs(Capability.ACCOUNTS)
def test_the_account_is_named_by_the_crm_and_not_by_the_key(bench: Bench) -> None:
    bench.subject.name_account("Account1")
    outcome, first = bench.client.identify()
    _, again = bench.open(key=OTHER_KEY).identify()
    bench.subject.name_account("Account2")
    _, another = bench.client.identify()
    assert outcome.result is Result.SYNCED
    assert first is not None
    assert another is not None
    assert first == again
    assert first.account != another.account
    assert KEY not in repr(first)


@needs(Capability.ACCOUNTS)
@pytest.mark.parametrize("fault", [Fault.WRONG_KEY, Fault.ERROR, Fault.PAGE, Fault.RUBBISH], ids=lambda one: one.value)
def test_no_account_is_named_without_a_right_answer(bench: Bench, fault: Fault) -> None:
    bench.subject.fault(fault)
    outcome, identity = bench.client.identify()
    assert (outcome.result is Result.SYNCED, identity) == (False, None)


def test_two_accounts_side_by_side_share_nothing(bench: Bench) -> None:
    other = bench.other()
    bench.subject.accept_only(KEY)
    other.accept_only(OTHER_KEY)
    second = bench.open(at=other, key=OTHER_KEY)
    for number in (1, 2):
        bench.sync(Contact(number, name=f"Here{number}"))
        bench.sync(Contact(number, name=f"There{number}"), client=second)
    assert [one.fields[FIRST_NAME] for one in bench.subject.held()] == ["Here1", "Here2"]
    assert [one.fields[FIRST_NAME] for one in other.held()] == ["There1", "There2"]
    other.fault(Fault.WRONG_KEY, times=None)
    assert bench.send(Contact(3), client=second)[0].result is Result.REFUSED
    bench.sync(Contact(3))
    second.close()
    bench.sync(Contact(4))


@needs(Capability.FIELDS)
def test_what_is_known_of_one_accounts_fields_says_nothing_of_another(bench: Bench) -> None:
    other = bench.other()
    other.drop_field(TEXT)
    second = bench.open(at=other)
    ada, also_ada = Contact(custom={TEXT: "x", NUMBER: 1}), Contact(custom={TEXT: "x", NUMBER: 1})
    bench.sync(ada)
    bench.sync(also_ada, client=second)
    assert bench.held()[ada.address].fields == {TEXT: "x", NUMBER: 1}
    assert bench.held(other)[ada.address].fields == {NUMBER: 1}


def test_fingerprints_change_with_the_key_and_the_place_and_tell_neither(bench: Bench) -> None:
    same, key, place = bench.open(), bench.open(key=OTHER_KEY), bench.open(base_url="http://127.0.0.1:1")
    prints = [one.crm.credentials_fingerprint for one in (bench.client, same, key, place)]
    assert prints[0] == prints[1]
    assert len(set(prints[1:])) == 3
    assert KEY not in "".join(prints)


@needs(Capability.LISTS)
def test_the_fingerprint_of_the_settings_changes_with_the_list(bench: Bench) -> None:
    assert bench.client.crm.settings_fingerprint != bench.open(on_list=True).crm.settings_fingerprint


def test_an_account_that_has_all_passes_the_check(bench: Bench) -> None:
    findings = bench.client.check({TEXT: "x", NUMBER: 1})
    assert findings
    assert unlike(list(findings)) == ""


@needs(Capability.PROBES)
def test_the_check_says_in_a_sentence_that_the_key_is_wrong(bench: Bench) -> None:
    bench.subject.accept_only(KEY)
    [finding] = bench.open(key="a-key-that-is-wrong").check()
    assert (finding.ok, finding.blocking) == (False, True)
    assert finding.detail.endswith(".")
    assert len(finding.detail.split()) > 3
    assert "a-key-that-is-wrong" not in repr(finding)


@pytest.mark.parametrize(
    "fault", [Fault.FORBIDDEN, Fault.ERROR, Fault.PAGE, Fault.FOREIGN, Fault.RESET_BEFORE], ids=lambda one: one.value
)
def test_no_check_passes_without_right_answers(bench: Bench, fault: Fault) -> None:
    bench.subject.fault(fault, times=None)
    findings = bench.client.check()
    assert any(one.blocking and one.detail for one in findings if not one.ok)


@needs(Capability.FIELDS)
def test_the_check_names_a_missing_field_in_a_sentence(bench: Bench) -> None:
    findings = [one for one in bench.client.check({TEXT: "x", LACKING: "7"}) if not one.ok]
    assert [bench.subject.names[LACKING] in one.subject + one.detail for one in findings] == [True]
    assert findings[0].detail.endswith(".")


@needs(Capability.FIELDS)
def test_what_is_missing_is_created_once_and_then_arrives(bench: Bench) -> None:
    name, custom = bench.subject.names[LACKING], {TEXT: "x", LACKING: "7"}
    before = bench.subject.journal()
    assert list(bench.client.provision(custom, dry_run=True)) == [name]
    assert list(bench.client.provision(custom)) == [name]
    assert list(bench.client.provision(custom)) == []
    assert len(bench.subject.journal()) > len(before)
    assert unlike(list(bench.client.check(custom))) == ""
    bench.client.learn()
    ada = Contact(custom=custom)
    bench.sync(ada)
    assert bench.only(ada).fields == custom


@needs(Capability.FIELDS)
def test_a_dry_run_creates_nothing(bench: Bench) -> None:
    bench.client.provision({LACKING: "7"}, dry_run=True)
    assert unlike(list(bench.client.check({LACKING: "7"}))) != ""


@needs(Capability.FIELDS)
@pytest.mark.parametrize("fault", [Fault.WRONG_KEY, Fault.ERROR, Fault.PAGE, Fault.FOREIGN], ids=lambda one: one.value)
@pytest.mark.parametrize("times", [None, 1], ids=["always", "once"])
def test_what_could_not_be_created_is_an_error_in_a_sentence(bench: Bench, fault: Fault, times: int | None) -> None:
    bench.subject.fault(fault, times=times)
    with pytest.raises(ProvisionError, match=r"^\w+( \S+){3,}\. "):
        bench.client.provision({LACKING: "7"})


def test_what_the_crm_quotes_of_the_key_and_the_contact_is_told_to_nobody(bench: Bench) -> None:
    ada = Contact(email="ada.secret@example.com", phone_number="+1 202 555 0143", custom={TEXT: "Springfield"})
    bench.subject.refuse(ada.address, f"No {KEY} ada.secret@example.com +12025550143 Springfield here")
    [outcome] = bench.send(ada)
    assert outcome.result is Result.REJECTED
    assert "here" in (outcome.message or "")
    hidden(outcome, "ada.secret@example.com", "2025550143", "Springfield")


def hidden(told: object, *more: str) -> None:
    """The key, and these, are in no word of it."""
    assert [one for one in (KEY, *more) if one in f"{told!r} {told}"] == []


def test_no_key_and_no_address_is_in_what_is_told_when_the_way_to_the_crm_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://user:{KEY}@127.0.0.1:1"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    told: list[Outcome | Finding] = []
    for place in (f"http://user:{KEY}@127.0.0.1:1/{KEY}", f"http://crm.invalid/{KEY}"):
        client = bench.open(base_url=place)
        told += [*bench.send(Contact(), client=client), client.probe(), client.identify()[0], *client.check()]
        if Capability.FIELDS in bench.subject.capabilities:
            told.append(client.learn())
    for one in told:
        hidden(one, "p1@example.com", "%40example.com")


def test_a_client_shows_no_key(bench: Bench) -> None:
    hidden(bench.client.crm)


def test_a_key_that_can_be_none_is_refused_without_repeating_it(bench: Bench) -> None:
    with pytest.raises(SettingsError, match=r"\.$") as refused:
        bench.open(key=f"{KEY}\nmore")
    hidden(refused.value)


def test_no_key_is_in_a_path_or_a_body(bench: Bench) -> None:
    ada = Contact(name="Ada", custom={TEXT: "x"})
    bench.sync(ada)
    bench.sync(ada.edit(name="Eve"))
    bench.client.check()
    hidden(bench.subject.journal())


def test_no_key_and_no_address_is_in_a_log_at_any_level(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ada = Contact(name="Ada")
        bench.sync(ada)
        bench.subject.fault(Fault.RESET_BEFORE)
        bench.send(ada)
        bench.send(Contact(2), client=bench.open(base_url="http://127.0.0.1:1"))
        bench.client.check()
    hidden(caplog.text, "p1@example.com", "p1%40example.com", "p2@example.com")


@needs(Capability.FIELDS)
def test_no_value_is_in_what_the_check_tells(bench: Bench) -> None:
    hidden(bench.client.check({TEXT: "Springfield", LACKING: "Shelbyville"}), "Springfield", "Shelbyville")
