"""What kinds claim is what they can do and what the document says; and what nobody may leave out is asked of all."""

from collections.abc import Callable

import pytest

from crm_pipelines.settings import KINDS
from crm_pipelines_tests.conformance import matrix
from crm_pipelines_tests.conformance.bench import kinds_that_claim
from crm_pipelines_tests.conformance.subject import Capability

MANDATORY = {
    "test_accounts": {
        "test_two_accounts_side_by_side_share_nothing",
        "test_no_check_passes_without_right_answers",
        "test_what_the_crm_quotes_of_the_key_and_the_contact_is_told_to_nobody",
        "test_no_key_and_no_address_is_in_what_is_told_when_the_way_to_the_crm_fails",
        "test_no_key_and_no_address_is_in_a_log_at_any_level",
    },
    "test_arriving": {
        "test_a_new_contact_arrives_with_every_field",
        "test_a_contact_that_is_sent_twice_is_one_and_the_second_time_changes_nothing",
        "test_a_zero_replaces_what_was_there_and_is_told_if_it_does_not_arrive",
        "test_false_arrives_on_creation_and_on_update",
        "test_what_became_blank_is_cleared_and_what_is_false_is_not",
        "test_a_text_arrives_letter_by_letter",
    },
    "test_faults": {
        "test_nothing_counts_as_arrived_while_no_answer_confirms_it",
        "test_credentials_that_are_refused_are_no_fault_of_the_contact",
        "test_a_probe_tells_a_wrong_key_or_says_that_it_cannot",
        "test_too_many_requests_are_snoozed_for_as_long_as_the_crm_says",
        "test_each_request_waits_for_its_turn",
        "test_what_the_turn_raises_passes_through_and_nothing_is_sent",
        "test_what_may_have_been_applied_is_tried_again_only_where_that_does_no_harm",
        "test_what_has_no_answer_in_time_may_have_been_applied",
        "test_without_a_server_there_is_an_outage_and_no_exception",
    },
    "test_many": {
        "test_each_contact_has_one_outcome_in_the_order_in_which_they_were_given",
        "test_of_many_the_one_that_is_refused_says_so_and_the_others_arrive",
        "test_more_than_one_request_holds_go_in_several_and_each_has_its_own_outcome",
        "test_of_a_full_request_the_one_that_is_refused_says_so_and_all_others_arrive",
        "test_a_lost_answer_is_lost_for_each_of_many",
        "test_many_that_are_sent_twice_are_one_each_and_the_second_time_changes_nothing",
        "test_one_client_serves_two_threads_and_mixes_nothing_up",
    },
    "test_turns": {
        "test_whom_the_turn_leaves_out_is_in_no_request_and_the_others_are_sent",
        "test_a_turn_that_lets_nobody_pass_makes_no_request",
        "test_who_is_left_out_between_two_requests_is_as_before_or_has_arrived",
        "test_each_request_is_preceded_by_one_turn_for_exactly_those_who_are_in_it",
    },
}
"""Cases that ask for no capability: a kind that claims nothing faces them."""


def test_a_kind_that_claims_nothing_faces_what_nobody_may_leave_out() -> None:
    faced = {
        module.__name__.rpartition(".")[2]: {case.__name__ for case, asked in matrix.cases(module) if not asked}
        for module in matrix.modules()
    }
    assert {name: wanted - faced.get(name, set()) for name, wanted in MANDATORY.items()} == {
        name: set() for name in MANDATORY
    }


def test_every_capability_is_asked_for_by_a_case() -> None:
    asked = {one for module in matrix.modules() for _, capabilities in matrix.cases(module) for one in capabilities}
    assert asked == set(Capability)


def test_a_case_that_no_kind_can_run_is_a_failure_and_not_left_out() -> None:
    with pytest.raises(pytest.fail.Exception, match="no kind claims all of this: a contact"):
        kinds_that_claim(frozenset(Capability))


@pytest.mark.parametrize("table", matrix.TABLES, ids=lambda one: one.__name__)
def test_the_document_has_the_table_that_follows_from_the_code(table: Callable[[], str]) -> None:
    document = matrix.TABLES[table].read_text(encoding="utf-8")
    assert table() in document, f"run python -m {matrix.__name__}, which writes the table into {matrix.TABLES[table]}"


def test_every_kind_tells_its_users_what_to_set_and_to_know() -> None:
    told = (matrix.DOCUMENTS / "crms.md").read_text(encoding="utf-8")
    assert [one.label for one in KINDS.values() if f"\n## {one.label}\n" not in told] == []
