"""A client that breaks a promise turns the case red that stands for it. Whoever softens a case hears of it here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from crm_pipelines_tests.conformance import (
    flaws,
    test_accounts,
    test_addresses,
    test_arriving,
    test_consent,
    test_faults,
    test_importing,
    test_many,
    test_reading,
)
from crm_pipelines_tests.conformance.bench import Bench, needed, skip_unless
from crm_pipelines_tests.conformance.conftest import Subjects
from crm_pipelines_tests.conformance.flaws import Flawed
from crm_pipelines_tests.conformance.subject import NUMBER, Fault, Subject

RED = (AssertionError, pytest.fail.Exception)


@dataclass(frozen=True)
class Caught:
    """A flaw, the case that catches it, and for which of its parameters."""

    flaw: type[Flawed]
    case: Callable[..., None]
    given: dict[str, Any] = field(default_factory=dict)


CAUGHT = [
    *(
        Caught(flaws.CallsOutagesSynced, test_faults.test_nothing_counts_as_arrived_while_no_answer_confirms_it, given)
        for given in (
            {"fault": Fault.RUBBISH, "prepare": test_faults.new},
            {"fault": Fault.EMPTY, "prepare": test_faults.known},
            {"fault": Fault.PAGE, "prepare": test_faults.new},
            {"fault": Fault.RESET_BEFORE, "prepare": test_faults.known},
        )
    ),
    Caught(flaws.CallsLimitsOutages, test_faults.test_too_many_requests_are_snoozed_for_as_long_as_the_crm_says),
    Caught(flaws.ForgetsHowLongToWait, test_faults.test_too_many_requests_are_snoozed_for_as_long_as_the_crm_says),
    Caught(
        flaws.ForgetsHowLongToWait, test_faults.test_an_outage_of_which_the_crm_says_how_long_it_lasts_is_waited_for
    ),
    Caught(
        flaws.BlamesTheContactForTheKey,
        test_faults.test_credentials_that_are_refused_are_no_fault_of_the_contact,
        {"fault": Fault.WRONG_KEY},
    ),
    Caught(
        flaws.BlamesTheContactForTheKey,
        test_faults.test_a_creation_for_which_there_is_no_such_place_is_about_the_settings,
    ),
    Caught(flaws.OverlooksRates, test_faults.test_the_rate_limit_is_read_from_the_answers),
    Caught(flaws.GuessesTheWindow, test_faults.test_the_rate_limit_is_read_from_the_answers),
    Caught(flaws.ForgetsWhomItAsked, test_many.test_each_request_counts_once_and_who_was_asked_about_is_told),
    Caught(flaws.CountsARequestForEach, test_many.test_each_request_counts_once_and_who_was_asked_about_is_told),
    Caught(flaws.TellsTheKey, test_accounts.test_what_the_crm_quotes_of_the_key_and_the_contact_is_told_to_nobody),
    Caught(
        flaws.SaysNothingOfWhatIsLeftOut,
        test_arriving.test_a_field_that_the_account_lacks_is_left_out_with_its_name_and_the_rest_arrives,
    ),
    Caught(flaws.DropsAnOutcome, test_many.test_each_contact_has_one_outcome_in_the_order_in_which_they_were_given),
    Caught(flaws.SwapsOutcomes, test_many.test_each_contact_has_one_outcome_in_the_order_in_which_they_were_given),
    Caught(flaws.SwapsOutcomes, test_many.test_the_crms_own_id_is_told_to_the_contact_that_has_it),
    Caught(
        flaws.SwapsOutcomes,
        test_many.test_of_many_the_one_that_is_refused_says_so_and_the_others_arrive,
        {"refused": 0},
    ),
    Caught(
        flaws.RefusesAllForOne,
        test_many.test_of_many_the_one_that_is_refused_says_so_and_the_others_arrive,
        {"refused": 1},
    ),
    Caught(
        flaws.CallsAllSyncedForOne,
        test_many.test_of_many_the_one_that_is_refused_says_so_and_the_others_arrive,
        {"refused": 3},
    ),
    Caught(flaws.TakesZeroForBlank, test_arriving.test_false_and_zero_arrive_on_creation_and_on_update),
    Caught(
        flaws.TakesZeroForBlank,
        test_arriving.test_what_became_blank_is_cleared_and_what_is_false_or_zero_is_not,
    ),
    Caught(flaws.TakesZeroForBlank, test_importing.test_what_is_imported_arrives_and_is_proved_by_what_is_read),
    Caught(flaws.ClearsNothing, test_arriving.test_what_became_blank_is_cleared_and_what_is_false_or_zero_is_not),
    Caught(flaws.SpoilsLetters, test_arriving.test_a_text_arrives_letter_by_letter, {"text": "李小龍 😀"}),
    Caught(
        flaws.MakesASecond,
        test_addresses.test_a_change_of_address_changes_the_contact_instead_of_making_a_second,
        {"new": "new@example.com", "remembers_id": True},
    ),
    Caught(
        flaws.TakesOverAnAddress,
        test_addresses.test_the_address_of_another_contact_is_refused_and_both_stay_as_they_were,
    ),
    Caught(
        flaws.SubscribesAgain,
        test_consent.test_who_opted_out_stays_so_whatever_is_updated,
        {"edit": test_consent.fields},
    ),
    Caught(
        flaws.SubscribesAgain,
        test_consent.test_who_opted_out_before_us_stays_so_when_sent_for_the_first_time,
        {"on_list": False},
    ),
    Caught(
        flaws.PutsOnTheListAgain,
        test_consent.test_who_left_the_list_is_not_put_back_whatever_is_updated,
        {"edit": test_consent.fields},
    ),
    Caught(
        flaws.PutsOnTheListAgain,
        test_consent.test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery_and_the_rest_arrives,
    ),
    Caught(
        flaws.OverwritesMarks,
        test_consent.test_the_id_that_another_system_gave_stays,
        {"edit": test_consent.fields},
    ),
    Caught(flaws.DoesNotWaitForItsTurn, test_faults.test_each_request_waits_for_its_turn),
    Caught(flaws.KeepsTheGateToItself, test_faults.test_what_the_turn_raises_passes_through_and_nothing_is_sent),
    Caught(flaws.SharesItsAccount, test_accounts.test_two_accounts_side_by_side_share_nothing),
    Caught(flaws.NamesTheAccountByTheKey, test_accounts.test_the_account_is_named_by_the_crm_and_not_by_the_key),
    Caught(flaws.AcceptsEveryKey, test_accounts.test_the_check_says_in_a_sentence_that_the_key_is_wrong),
    Caught(flaws.AcceptsEveryKey, test_accounts.test_the_check_names_a_missing_field_in_a_sentence),
    Caught(flaws.CreatesNothing, test_accounts.test_what_is_missing_is_created_once_and_then_arrives),
    Caught(
        flaws.CallsEverythingTheSame,
        test_reading.test_what_somebody_changed_at_the_crm_is_called_different,
        {"field": NUMBER, "ours": 0, "theirs": 1},
    ),
    Caught(
        flaws.TakesAnOutageForNobody,
        test_reading.test_nobody_is_called_missing_without_a_right_answer,
        {"fault": Fault.ERROR},
    ),
    Caught(
        flaws.ForgetsWhatItMayHaveSent,
        test_consent.test_who_opted_out_after_an_answer_was_lost_stays_so_when_it_is_tried_again,
    ),
    Caught(flaws.ProvesWithoutLooking, test_importing.test_what_is_not_there_as_it_was_sent_is_not_proved),
]


@pytest.mark.parametrize("caught", CAUGHT, ids=lambda one: f"{one.flaw.__name__}-{one.case.__name__}")
def test_a_client_that_breaks_a_promise_turns_its_case_red(
    caught: Caught, subject: Subject, subjects: Subjects
) -> None:
    skip_unless(subject, needed(caught.case))
    bench = Bench(subject, lambda: subjects(subject.kind, 1), partial(caught.flaw, subject=subject))
    try:
        with pytest.raises(RED):
            caught.case(bench, **caught.given)
    finally:
        bench.close()


def test_each_flaw_is_caught() -> None:
    made = {one for one in vars(flaws).values() if isinstance(one, type) and issubclass(one, Flawed)}
    assert {one for one in made if not one.__name__.startswith("_")} - {Flawed} == {one.flaw for one in CAUGHT}
