"""Each case runs once for each kind; sandboxes are started once and emptied between cases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from crm_pipelines_tests.conformance.bench import Bench, skip_unless
from crm_pipelines_tests.conformance.subject import Subject
from crm_pipelines_tests.conformance.subjects import KINDS

Subjects = Callable[[str, int], Subject]


@pytest.fixture(scope="session")
def subjects() -> Iterator[Subjects]:
    """The accounts of each kind by number, started when they are first asked for."""
    started: dict[tuple[str, int], Subject] = {}
    with ExitStack() as sandboxes:

        def subject(kind: str, number: int) -> Subject:
            if (kind, number) not in started:
                started[kind, number] = sandboxes.enter_context(KINDS[kind].start())
            return started[kind, number]

        yield subject


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, subjects: Subjects) -> Subject:
    """An empty account of a kind that claims what the case needs."""
    found = subjects(request.param, 0)
    skip_unless(found, frozenset(one for mark in request.node.iter_markers("needs") for one in mark.args))
    found.reset()
    return found


@pytest.fixture
def bench(subject: Subject, subjects: Subjects) -> Iterator[Bench]:
    """The account with a client."""
    made = Bench(subject, lambda: subjects(subject.kind, 1))
    yield made
    made.close()
