"""What a comparison with others counts, and how its tables tell it."""

from typing import Any

from benchmarks.comparison import HEAD, Comparison, Passed, as_they_should_be, missing, passed, row
from benchmarks.hubspot import use_of_limit
from benchmarks.side_by_side import accepted_after

WANTED = {"ada@example.com": {"FIRSTNAME": "Ada", "LASTNAME": "Lovelace"}}


def test_who_is_held_with_every_value_is_as_they_should_be() -> None:
    held = [("ada@example.com", {**WANTED["ada@example.com"], "EXT_ID": "1"}), ("eve@example.com", {})]
    assert as_they_should_be(held, WANTED) == 1


def test_who_is_absent_or_lacks_a_value_or_has_another_one_is_not() -> None:
    for held in ({}, {"FIRSTNAME": "Ada"}, {"FIRSTNAME": "Ada", "LASTNAME": "King"}):
        assert as_they_should_be([("ada@example.com", held)], WANTED) == 0
    assert as_they_should_be([], WANTED) == 0


def test_who_is_held_twice_is_not_as_they_should_be() -> None:
    assert as_they_should_be([("ada@example.com", WANTED["ada@example.com"])] * 2, WANTED) == 0


def request(path: str, status: int, arrived: float) -> dict[str, Any]:
    return {"path": path, "status": status, "arrived": arrived, "finished": arrived + 0.5}


def test_imports_are_accepted_with_the_answer_to_the_last_one_that_was_taken() -> None:
    log = [
        request("/v3/account", 200, 100),
        request("/v3/contacts/import", 202, 101),
        request("/v3/contacts/import", 202, 103),
        request("/v3/contacts", 200, 104),
        request("/v3/contacts/import", 429, 105),
    ]
    assert accepted_after(log, began_at=99) == (4.5, 3)


def test_the_use_of_a_limit_is_measured_from_the_first_request_for_contacts_to_the_last() -> None:
    batches = [request("/crm/v3/objects/contacts/batch/upsert", 200, 50 + n / 8) for n in range(9)]
    log = [request("/account-info/v3/details", 200, 10), *batches]
    assert use_of_limit(log, contacts=900, most_per_second=1000) == 80


def test_a_seam_between_batches_lowers_the_use_of_a_limit() -> None:
    arrivals = [0, 0.1, 0.2, 5.2, 5.3]
    log = [request("/crm/v3/objects/contacts/batch/upsert", 200, at) for at in arrivals]
    assert use_of_limit(log, contacts=500, most_per_second=1000) < 10


def test_refusals_for_rate_are_counted_and_the_other_requests_too() -> None:
    run = {"seconds": 2.0, "cpu_seconds": 0.4, "cpu_of_others": {"Postgres": 0.1}}
    log = [request("/x", 429, 0), request("/x", 429, 0), request("/x", 200, 1), request("/x", 500, 1)]
    one = passed("it", 100, run, log, said=100, right=99)
    assert (one.requests, one.refused, one.rate) == (4, 2, 50)
    assert row(one) == ("it", "100", "50", "4.00", "1.00", "40.0", "2", "100", "99")


def test_what_is_not_known_is_told_as_such() -> None:
    one = Passed(program="it", contacts=100, seconds=2, requests=1, refused=0)
    assert row(one).count("not told apart") == 4


def test_every_row_has_a_cell_for_each_heading() -> None:
    one = Passed(program="it", contacts=1, seconds=1, requests=1, refused=0)
    assert len(row(one)) == len(missing("it")) == len(HEAD)


def test_a_comparison_is_a_section_with_its_tables() -> None:
    one = Comparison(about="How.", tables=((("a", "b"), [("1", "2")]), (("c",), [])))
    assert one.markdown == ("How.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| c |\n| --- |\n")
