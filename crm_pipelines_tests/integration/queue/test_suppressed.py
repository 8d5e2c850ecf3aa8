"""Who must not be sent is found by the id and by the address, among any number of others, and nobody else is."""

from uuid import UUID, uuid4

import pytest

from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.fixtures.people import People


def suppress(people: People, contact_id: UUID, crm: str = "brevo") -> None:
    people.run("SELECT crm_suppress(:crm, ARRAY[CAST(:id AS uuid)])", crm=crm, id=contact_id)


def test_who_is_suppressed_is_found_by_the_id_and_by_each_spelling_of_the_address(people: People, queue: Queue) -> None:
    [suppressed], [other] = people.add(email="ada@example.com"), people.add()
    suppress(people, suppressed)
    newcomer = uuid4()
    spellings = {
        suppressed: ["moved@example.com"],
        newcomer: ["a@example.com", "ada@example.com"],
        other: ["b@example.com"],
    }
    assert queue.suppressed(spellings) == {suppressed, newcomer}
    assert queue.suppressed({}) == set()


@pytest.mark.parametrize("beside", [True, False], ids=["somebody is suppressed", "nobody else is"])
def test_who_is_suppressed_elsewhere_or_no_longer_may_be_sent(people: People, queue: Queue, *, beside: bool) -> None:
    lifted, elsewhere, suppressed = (people.add(email=f"{name}@example.com")[0] for name in "abc")
    suppress(people, lifted)
    people.run("UPDATE crm_suppressions SET lifted_at = now(), lifted_by = 'somebody'")
    suppress(people, elsewhere, "hubspot")
    if beside:
        suppress(people, suppressed)
    asked = {one: [f"{name}@example.com"] for one, name in zip((lifted, elsewhere, suppressed), "abc", strict=True)}
    assert queue.suppressed(asked) == ({suppressed} if beside else set())
