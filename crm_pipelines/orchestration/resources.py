"""What the ops work with: the contacts database and one CRM account, opened from the environment.

A plain object, not a configurable resource: launch config could point one at another host, and the account's key
would follow.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from crm_pipelines.delivery.account.opening import Account, database_of, open_account
from crm_pipelines.errors import CrmPipelinesError, interruption_behind
from crm_pipelines.settings import NotConfigured, Settings, load_settings

ReadSettings = Callable[[], Settings]
"""How a process learns its settings, each time that it opens an account."""

INTERRUPTIONS = (dg.DagsterExecutionInterruptedError, KeyboardInterrupt)
"""What is raised in a run that is asked to end."""


@contextmanager
def sentences() -> Iterator[None]:
    """What the user can mend is shown as a sentence, without a trace, and is not tried again at once."""
    try:
        with interruptions_as_such():
            yield
    except CrmPipelinesError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


@contextmanager
def interruptions_as_such() -> Iterator[None]:
    """An interruption is raised as what it is, and not as the error to which it led."""
    try:
        yield
    except Exception as error:
        interruption = interruption_behind(error)
        if interruption is None:
            raise
        raise interruption from None


class Destination:
    """A destination by its name; `open()` gives the account that the environment names."""

    stopped = False  # whether the run of this process was asked to end

    def __init__(self, name: str, settings: ReadSettings = load_settings) -> None:
        self.name = name
        self._settings = settings

    @contextmanager
    def open(self) -> Iterator[Account]:
        """Raises what `database_of` and `open_account` raise, and SettingsError."""
        settings = self._settings()
        if (missing := settings.destination(self.name).missing) is not None:
            raise NotConfigured(missing)
        with (
            database_of(settings, f"crm-pipelines {self.name}") as engine,
            open_account(settings, self.name, engine) as account,
        ):
            yield account

    @contextmanager
    def held(self) -> "Iterator[Destination]":
        """The same destination, whose account stays open between ops: its connections are used again."""
        with ExitStack() as stack:
            yield _Held(self, stack)


class _Held(Destination):
    def __init__(self, destination: Destination, stack: ExitStack) -> None:
        self.name = destination.name
        self._destination = destination
        self._stack = stack
        self._account: Account | None = None

    @contextmanager
    def open(self) -> Iterator[Account]:
        if self._account is None:
            self._account = self._stack.enter_context(self._destination.open())
        yield self._account


def resource_of(
    name: str,
    begin: Callable[[dg.DagsterRun, dg.DagsterInstance], None],
    told_to_end: Callable[[str, dg.DagsterInstance], None] | None = None,
    read: ReadSettings = load_settings,
) -> dg.ResourceDefinition:
    """The destination, as an op of its jobs gets it; `begin` is called in each process of the run before any op.

    `told_to_end` is called in a process that is interrupted between two ops.
    """

    @dg.resource(description=f"The account {name} and the contacts database, as the environment names them.")
    def destination(context: dg.InitResourceContext) -> Iterator[Destination]:
        """Opened by the op that needs it first, closed at the end of the run (of the step, with a process per step).

        A run that is told to end between two ops ends here and nowhere else.
        """
        if context.run is not None and context.instance is not None:
            begin(context.run, context.instance)
        with Destination(name, read).held() as held:
            yield held
            if context.run is None or context.instance is None:
                return
            run_id, log = context.run.run_id, context.log
            # Dagster is dealing with what has interrupted it.
            interrupted = isinstance(sys.exc_info()[1], INTERRUPTIONS)
            if interrupted and told_to_end is not None:
                told_to_end(run_id, context.instance)
            if interrupted or is_being_cancelled(run_id, context.instance):
                with held.open() as account:
                    account.settle(run_id)
                if not held.stopped and log is not None:
                    log.info("The run was stopped. What it had not begun to deliver is back in the queue.")

    return destination


def is_being_cancelled(run_id: str, instance: dg.DagsterInstance | None) -> bool:
    """Whether somebody has asked for the run's end."""
    run = instance.get_run_by_id(run_id) if instance else None
    return run is not None and run.status is dg.DagsterRunStatus.CANCELING
