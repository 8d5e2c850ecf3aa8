"""Each case runs for each kind that claims what it asks for; sandboxes are started once, and emptied between cases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from crm_pipelines_tests.conformance.bench import Bench, kinds_that_claim, needed
from crm_pipelines_tests.conformance.subject import Subject
from crm_pipelines_tests.conformance.subjects import KINDS

Subjects = Callable[[str, int], Subject]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The kinds of a case, unless it names them itself."""
    named = any("subject" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "subject" in metafunc.fixturenames and not named:
        metafunc.parametrize("subject", kinds_that_claim(needed(metafunc.function)), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A parameter may ask for more than its case: without it, the case stays for the kinds that do not claim that."""
    items[:] = [one for one in items if _is_claimed(one)]


def _is_claimed(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    kind = KINDS.get(callspec.params.get("subject", "")) if callspec else None
    asked = {one for mark in item.iter_markers("needs") for one in mark.args}
    return kind is None or asked <= kind.capabilities


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


@pytest.fixture
def subject(request: pytest.FixtureRequest, subjects: Subjects) -> Subject:
    """An empty account of the kind that is asked."""
    found = subjects(request.param, 0)
    found.reset()
    return found


@pytest.fixture
def bench(subject: Subject, subjects: Subjects) -> Iterator[Bench]:
    """The account with a client."""
    made = Bench(subject, lambda: subjects(subject.kind, 1))
    yield made
    made.close()
