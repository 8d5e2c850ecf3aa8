"""A client that breaks a promise turns the case red that stands for it. Whoever softens a case hears of it here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
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
    test_turns,
)
from crm_pipelines_tests.conformance.bench import Bench, kinds_that_claim, needed
from crm_pipelines_tests.conformance.conftest import Subjects
from crm_pipelines_tests.conformance.flaws import Flawed
from crm_pipelines_tests.conformance.subject import NUMBER, Fault, Oddity, Subject

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
    Caught(
        flaws.ForgetsWhoIsTooMany,
        test_many.test_more_than_one_request_holds_go_in_several_and_each_has_its_own_outcome,
    ),
    Caught(
        flaws.CallsAllSyncedForOne,
        test_many.test_of_a_full_request_the_one_that_is_refused_says_so_and_all_others_arrive,
    ),
    Caught(
        flaws.SwapsOutcomes,
        test_many.test_of_a_full_request_the_one_that_is_refused_says_so_and_all_others_arrive,
    ),
    Caught(flaws.SendsOneByOne, test_many.test_many_contacts_take_fewer_requests),
    *(
        Caught(
            flaw,
            test_many.test_a_request_that_is_refused_as_a_whole_has_no_effect_and_each_outcome_says_so,
            {"culprit": 0},
        )
        for flaw in (flaws.BlamesEachForAWhole, flaws.AppliesWhatWasRefused, flaws.LetsTheLastCarryTheRequests)
    ),
    *(
        Caught(
            flaw,
            test_many.test_of_a_request_that_is_refused_as_a_whole_only_the_culprit_is_refused_apart,
            {"culprit": 2},
        )
        for flaw in (flaws.CallsTheCulpritWhole, flaws.AppliesWhatWasRefused)
    ),
    *(
        Caught(
            flaws.SwapsOutcomes,
            test_many.test_results_that_come_in_another_order_or_other_letters_are_told_apart,
            {"oddity": oddity},
        )
        for oddity in (Oddity.SHUFFLED, Oddity.RESPELT)
    ),
    *(
        Caught(flaw, test_many.test_a_contact_of_which_the_answer_says_nothing_has_not_arrived_and_the_others_have)
        for flaw in (flaws.TakesSilenceForSuccess, flaws.DropsAnOutcome, flaws.MistakesWhatMayBeRepeated)
    ),
    *(
        Caught(flaw, test_many.test_one_of_those_who_shared_a_request_carries_it, {"fault": Fault.TOO_MANY})
        for flaw in (flaws.CountsARequestForEach, flaws.LetsTheLastCarryTheRequests)
    ),
    Caught(flaws.MistakesWhatMayBeRepeated, test_many.test_a_lost_answer_is_lost_for_each_of_many),
    Caught(
        flaws.MistakesWhatMayBeRepeated,
        test_faults.test_what_may_have_been_applied_is_tried_again_only_where_that_does_no_harm,
        {"fault": Fault.RESET_AFTER},
    ),
    Caught(
        flaws.MistakesWhatMayBeRepeated,
        test_faults.test_what_has_no_answer_in_time_may_have_been_applied,
        {"fault": Fault.SILENCE_AFTER},
    ),
    Caught(flaws.SwapsOutcomes, test_many.test_each_of_several_that_are_refused_has_the_reason_and_no_other),
    Caught(
        flaws.CallsOutagesSynced,
        test_many.test_while_nothing_is_answered_rightly_none_of_many_counts_as_arrived,
        {"fault": Fault.ERROR},
    ),
    Caught(
        flaws.AddsEachTime, test_many.test_many_that_are_sent_twice_are_one_each_and_the_second_time_changes_nothing
    ),
    Caught(
        flaws.AddsEachTime,
        test_arriving.test_a_contact_that_is_sent_twice_is_one_and_the_second_time_changes_nothing,
    ),
    Caught(flaws.ForgetsWhatItMayHaveSent, test_many.test_many_whose_answer_was_lost_are_sent_again_and_are_one_each),
    Caught(flaws.AsksAPersonWhereNothingWasSent, test_many.test_without_a_server_each_of_many_is_tried_again),
    Caught(flaws.AsksAPersonWhereNothingWasSent, test_faults.test_without_a_server_there_is_an_outage_and_no_exception),
    *(
        Caught(flaw, test_turns.test_whom_the_turn_leaves_out_is_in_no_request_and_the_others_are_sent)
        for flaw in (flaws.DoesNotHeedTheTurn, flaws.GivesUpAllForOneLeftOut, flaws.TellsOfWhomItDidNotSend)
    ),
    *(
        Caught(flaw, test_turns.test_a_turn_that_lets_nobody_pass_makes_no_request)
        for flaw in (flaws.DoesNotHeedTheTurn, flaws.TellsOfWhomItDidNotSend)
    ),
    Caught(flaws.DoesNotHeedTheTurn, test_turns.test_who_is_left_out_between_two_requests_is_as_before_or_has_arrived),
    *(
        Caught(flaw, test_turns.test_each_request_is_preceded_by_one_turn_for_exactly_those_who_are_in_it)
        for flaw in (flaws.DoesNotHeedTheTurn, flaws.WaitsOnceForAllRequests, flaws.AsksForOthersToo)
    ),
    Caught(flaws.TakesZeroForBlank, test_arriving.test_zero_arrives_on_creation_and_on_update),
    Caught(flaws.TakesZeroForBlank, test_arriving.test_false_arrives_on_creation_and_on_update),
    Caught(
        flaws.TakesZeroForBlank,
        test_arriving.test_a_zero_replaces_what_was_there_and_is_told_if_it_does_not_arrive,
    ),
    Caught(flaws.TakesZeroForBlank, test_arriving.test_what_became_blank_is_cleared_and_what_is_false_is_not),
    Caught(flaws.TakesZeroForBlank, test_importing.test_what_is_imported_arrives_and_is_proved_by_what_is_read),
    Caught(flaws.ClearsNothing, test_arriving.test_what_became_blank_is_cleared_and_what_is_false_is_not),
    Caught(flaws.SpoilsLetters, test_arriving.test_a_text_arrives_letter_by_letter, {"text": "李小龍 😀"}),
    Caught(flaws.EscapesMarkup, test_arriving.test_a_text_that_looks_like_html_arrives_letter_by_letter),
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
        {"edit": test_consent.fields, "leave": test_consent.left},
    ),
    *(
        Caught(
            flaws.PutsOnTheListAfterALostAnswer,
            test_consent.test_who_left_the_list_after_an_answer_was_lost_is_not_put_back_when_it_is_tried_again,
            {"leave": leave},
        )
        for leave in (test_consent.left, test_consent.taken_off)
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
    Caught(flaws.SaysOtherwiseOfRepeating, test_accounts.test_a_client_offers_what_its_kind_claims_and_no_more),
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
    Caught(flaws.ImportsWhoOptedOut, test_importing.test_who_opted_out_is_known_by_each_identifier_before_an_import),
    Caught(
        flaws.ImportsWhoLeftTheList,
        test_importing.test_who_left_the_list_is_known_by_each_identifier_before_an_import,
    ),
    Caught(flaws.ProvesWithoutLooking, test_importing.test_what_is_not_there_as_it_was_sent_is_not_proved),
]


@pytest.mark.parametrize(
    ("caught", "subject"),
    [
        pytest.param(one, kind, id=f"{kind}-{one.flaw.__name__}-{one.case.__name__}")
        for one in CAUGHT
        for kind in kinds_that_claim(needed(one.case))
    ],
    indirect=["subject"],
)
def test_a_client_that_breaks_a_promise_turns_its_case_red(
    caught: Caught, subject: Subject, subjects: Subjects, request: pytest.FixtureRequest
) -> None:
    fixtures = signature(caught.case).parameters.keys() - {"bench", *caught.given}
    given = {**caught.given, **{name: request.getfixturevalue(name) for name in fixtures}}
    bench = Bench(subject, lambda: subjects(subject.kind, 1), partial(caught.flaw, subject=subject))
    try:
        with pytest.raises(RED):
            caught.case(bench, **given)
    finally:
        bench.close()


def test_each_flaw_is_caught() -> None:
    made = {one for one in vars(flaws).values() if isinstance(one, type) and issubclass(one, Flawed)}
    assert {one for one in made if not one.__name__.startswith("_")} - {Flawed} == {one.flaw for one in CAUGHT}
