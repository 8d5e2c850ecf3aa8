"""What the ops work with: the contacts database and one CRM account, opened from the environment.

A plain object, not a configurable resource: launch config could point one at another host, and the account's key
would follow.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import dagster as dg
import sqlalchemy as sa

from crm_pipelines.contacts.account_attributes import AttributeStore
from crm_pipelines.contacts.blocklist import Blocklist
from crm_pipelines.contacts.database import create_engine, require_current_schema
from crm_pipelines.contacts.gates import Gate, GateKeeper
from crm_pipelines.contacts.imports import BulkImports
from crm_pipelines.contacts.queue import Queue, RetryPolicy
from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.delivery.accounts import Registrar, admit
from crm_pipelines.delivery.gatekeeping import pacer_for
from crm_pipelines.delivery.importing import Importer
from crm_pipelines.delivery.learning import Learner, remind
from crm_pipelines.delivery.planning import retry_policy
from crm_pipelines.delivery.rates import RateLimit, rate_limit_of
from crm_pipelines.delivery.surveying import Surveyor
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.settings import BrevoSettings, Settings, load_settings


class KeyMissing(CrmPipelinesError):
    """The CRM's key is not set. Nothing is claimed or sent until it is."""


class DatabaseUrlMissing(CrmPipelinesError):
    """CRM_DATABASE_URL is not set. `make up` and the command crm-pipelines set it for the embedded Postgres."""


@contextmanager
def sentences() -> Iterator[None]:
    """What the user can mend is shown as a sentence, without a trace, and is not tried again at once."""
    try:
        yield
    except CrmPipelinesError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


@dataclass(frozen=True, kw_only=True)
class Account:
    """One CRM account together with the contacts database, for the length of an op."""

    settings: Settings
    engine: sa.Engine
    queue: Queue
    gate: GateKeeper
    crm: Crm

    @property
    def brevo(self) -> BrevoSettings:
        return self.settings.brevo

    @property
    def policy(self) -> RetryPolicy:
        return retry_policy(
            self.brevo.sync_max_retries,
            self.brevo.sync_retry_delay_minutes,
            exponential=self.brevo.sync_retry_exponential,
        )

    @property
    def blocklist(self) -> Blocklist:
        return Blocklist(self.engine, self.queue.crm)

    def registrar(self) -> Registrar:
        return Registrar(gate=self.gate, crm=self.crm, limit=self.rate_limit(self.gate.read()))

    def admitted(self) -> "Account":
        """The same, with turns at the gate only while this is the account of the contacts; see `accounts.admit`."""
        turns = pacer_for(self.gate, self.brevo.rate_limit_per_second)
        return replace(self, gate=admit(self.gate, self.crm, before_request=turns.wait))

    @property
    def attributes(self) -> AttributeStore:
        return AttributeStore(self.engine, self.queue.crm)

    def learner(self) -> Learner:
        return Learner(store=self.attributes, gate=self.gate, crm=self.crm, limit=self.rate_limit(self.gate.read()))

    def imports(self, run_id: str) -> BulkImports:
        return BulkImports(self.engine, self.queue.crm, run_id)

    def importer(self, run_id: str) -> Importer:
        return Importer(
            queue=self.queue,
            imports=self.imports(run_id),
            blocklist=self.blocklist,
            gate=self.gate,
            crm=self.crm,
            policy=self.policy,
            limit=self.rate_limit(self.gate.read()),
        )

    def surveyor(self) -> Surveyor:
        return Surveyor(blocklist=self.blocklist, gate=self.gate, crm=self.crm, limit=self.rate_limit(self.gate.read()))

    @contextmanager
    def settled_at_an_end(self, run_id: str) -> Iterator[None]:
        """Should the run end in this block, by a stop signal say: what is known is written back, the rest goes free."""
        try:
            yield
        except BaseException:
            self.settle(run_id)
            raise

    def settle(self, run_id: str) -> None:
        """Write back what the run knows, and give back what it has not begun to deliver."""
        self.queue.apply(run_id, self.policy)
        self.queue.release(run_id)

    def rate_limit(self, gate: Gate) -> RateLimit:
        return rate_limit_of(self.brevo, gate.limit_observed)


class Destination:
    """A CRM that contacts are delivered to; `open()` gives the account that the environment names."""

    def __init__(self, crm: str, settings: Callable[[], Settings] = load_settings) -> None:
        self.crm = crm
        self._settings = settings

    @contextmanager
    def open(self) -> Iterator[Account]:
        """Raises KeyMissing, DatabaseUrlMissing, SettingsError, DatabaseUnreachable or SchemaOutdated."""
        settings = self._settings()
        if settings.brevo.api_key is None:
            raise KeyMissing("BREVO_API_KEY is not set. Nothing is claimed or sent until it is.")
        if settings.storage.crm_database_url is None:
            raise DatabaseUrlMissing
        engine = create_engine(settings.storage.crm_database_url, application_name=f"crm-pipelines {self.crm}")
        try:
            require_current_schema(engine)
            crm = Brevo.from_settings(settings)
            try:
                remind(engine, crm)
                yield Account(
                    settings=settings,
                    engine=engine,
                    queue=Queue(engine, self.crm),
                    gate=GateKeeper(engine, self.crm),
                    crm=crm,
                )
            finally:
                crm.close()
        finally:
            engine.dispose()

    @contextmanager
    def held(self) -> "Iterator[Destination]":
        """The same destination, whose account stays open between ops: its connections are used again."""
        with ExitStack() as stack:
            yield _Held(self, stack)


class _Held(Destination):
    def __init__(self, destination: Destination, stack: ExitStack) -> None:
        self.crm = destination.crm
        self._destination = destination
        self._stack = stack
        self._account: Account | None = None

    @contextmanager
    def open(self) -> Iterator[Account]:
        if self._account is None:
            self._account = self._stack.enter_context(self._destination.open())
        yield self._account


@dg.resource(description="Brevo's account and the contacts database, as the environment names them.")
def brevo(context: dg.InitResourceContext) -> Iterator[Destination]:
    """Opened by the op that needs it first, closed at the end of the run (of the step, with a process per step).

    A run that is cancelled between two ops ends here and nowhere else.
    """
    with Destination("brevo").held() as destination:
        yield destination
        if context.run is not None and _is_being_cancelled(context.run.run_id, context.instance):
            with destination.open() as account:
                account.settle(context.run.run_id)


def _is_being_cancelled(run_id: str, instance: dg.DagsterInstance | None) -> bool:
    run = instance.get_run_by_id(run_id) if instance else None
    return run is not None and run.status is dg.DagsterRunStatus.CANCELING
