"""Opens the account of a destination together with the contacts database: the one way to a CRM.

Ops, sensors, commands, the API and the status page come here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.bulk import Imports
from crm_pipelines.crms.registry import client_of
from crm_pipelines.database.connecting import create_engine
from crm_pipelines.database.migrating import require_current_schema
from crm_pipelines.delivery.account.identity import Admitted, admit, admit_run
from crm_pipelines.delivery.account.learning import Learner, remind
from crm_pipelines.delivery.bulk.confirming import Confirmer
from crm_pipelines.delivery.bulk.fates import Fates
from crm_pipelines.delivery.bulk.filling import Filler
from crm_pipelines.delivery.bulk.scanning import Scanner
from crm_pipelines.delivery.bulk.sending import BulkSender
from crm_pipelines.delivery.fidelity import FidelityReader
from crm_pipelines.delivery.pace.gatekeeping import pacer_for
from crm_pipelines.delivery.pace.rates import RateLimit, rate_limit_of
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.planning import retry_policy
from crm_pipelines.delivery.reading import PageReader
from crm_pipelines.delivery.signals import deferred
from crm_pipelines.delivery.single.courier import Courier
from crm_pipelines.destinations.attributes import AttributeStore
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.destinations.gates import Gate, GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.queue.bulk_imports import BulkImports
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import RetryPolicy
from crm_pipelines.queue.sampling import Sampler
from crm_pipelines.settings import CrmSettings, Settings


class DatabaseUrlMissing(CrmPipelinesError):
    """CRM_DATABASE_URL is not set. `make up` and the command crm-pipelines set it for the embedded Postgres."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One CRM account together with the contacts database; `destination` is how it is set up here."""

    settings: Settings
    destination: CrmSettings
    engine: sa.Engine
    queue: Queue
    gate: GateKeeper
    crm: Crm

    @property
    def policy(self) -> RetryPolicy:
        return retry_policy(
            self.destination.sync_max_retries,
            self.destination.sync_retry_delay_minutes,
            exponential=self.destination.sync_retry_exponential,
        )

    @property
    def blocklist(self) -> Blocklist:
        return Blocklist(self.engine, self.queue.crm)

    def session(self) -> CrmSession:
        """A new session with the account, at the pace that is known of it now."""
        return CrmSession(gate=self.gate, crm=self.crm, limit=self.rate_limit(self.gate.read()))

    def admit_run(self, *, move: bool) -> Admitted:
        """See `identity.admit_run`."""
        return admit_run(self.session(), move=move)

    def admitted(self) -> "Account":
        """The same, with turns at the gate only while this is the account of the contacts; see `identity.admit`."""
        turns = pacer_for(self.gate, self.destination.rate_limit_per_second)
        return replace(self, gate=admit(self.gate, self.crm, turn=turns.wait))

    @property
    def attributes(self) -> AttributeStore:
        return AttributeStore(self.engine, self.queue.crm)

    def learner(self) -> Learner | None:
        """None: the account takes whatever it is sent."""
        if self.crm.schema is None:
            return None
        return Learner(session=self.session(), schema=self.crm.schema, store=self.attributes)

    @property
    def schema_known(self) -> bool:
        """Whether it is known what the account takes."""
        return self.crm.schema is None or self.crm.attributes_version is not None

    @property
    def look_is_due(self) -> bool:
        """Whether the account's attributes are to be looked at again."""
        return self.crm.schema is not None and self.attributes.look_is_due(self.crm.judged_here)

    def imports(self, run_id: str) -> BulkImports:
        return BulkImports(self.engine, self.queue.crm, run_id)

    def scanner(self, bulk: Imports) -> Scanner:
        session = self.session()
        reader = PageReader(session=session, bulk=bulk)
        return Scanner(session=session, bulk=bulk, reader=reader, blocklist=self.blocklist)

    def bulk_sender(self, bulk: Imports, run_id: str) -> BulkSender:
        session, imports, blocklist = self.session(), self.imports(run_id), self.blocklist
        reader = PageReader(session=session, bulk=bulk)
        fates = Fates(session=session, queue=self.queue, policy=self.policy)
        return BulkSender(
            session=session,
            bulk=bulk,
            imports=imports,
            blocklist=blocklist,
            reader=reader,
            filler=Filler(
                session=session, bulk=bulk, queue=self.queue, imports=imports, blocklist=blocklist, fates=fates
            ),
            confirmer=Confirmer(session=session, bulk=bulk, reader=reader, imports=imports, fates=fates),
            fates=fates,
        )

    def courier(self, run_id: str) -> Courier:
        return Courier(queue=self.queue, session=self.session(), run_id=run_id)

    def fidelity_reader(self) -> FidelityReader | None:
        """None: the CRM does not show what it holds."""
        if self.crm.reading is None:
            return None
        sampler = Sampler(self.engine, self.queue.crm)
        return FidelityReader(session=self.session(), reading=self.crm.reading, queue=self.queue, sampler=sampler)

    @contextmanager
    def settled_at_an_end(self, run_id: str) -> Iterator[None]:
        """Should the run end in this block, by a stop signal say: what is known is written back, the rest goes free."""
        try:
            yield
        except BaseException:
            self.settle(run_id)
            raise

    def settle(self, run_id: str) -> None:
        """Write back what the run knows, and give back what it has not begun to deliver. Stop signals wait for it."""
        with deferred(lambda: None):
            self.queue.apply(run_id, self.policy)
            self.queue.release(run_id)

    def rate_limit(self, gate: Gate) -> RateLimit:
        return rate_limit_of(self.destination, gate.limit_observed)


@contextmanager
def open_account(settings: Settings, name: str, engine: sa.Engine) -> Iterator[Account]:
    """The account of the destination with this name.

    The client knows what was last seen of its attributes, and the database that somebody delivers to it. Makes no
    request. Raises UnknownDestination, NotConfigured or SettingsError.
    """
    crm = client_of(settings, name)
    try:
        register(engine, crm.name, settings.destination(name).kind)
        remind(engine, crm)
        yield Account(
            settings=settings,
            destination=settings.destination(name),
            engine=engine,
            queue=Queue(engine, crm.name),
            gate=GateKeeper(engine, crm.name, others=_of_the_same_kind(settings, name)),
            crm=crm,
        )
    finally:
        crm.close()


def _of_the_same_kind(settings: Settings, name: str) -> list[str]:
    own = settings.destination(name)
    return [one.name for one in settings.destinations.values() if one.kind == own.kind and one.name != own.name]


@contextmanager
def database_of(settings: Settings, application_name: str) -> Iterator[sa.Engine]:
    """The contacts database. Raises DatabaseUrlMissing, DatabaseUnreachable or SchemaOutdated."""
    if settings.storage.crm_database_url is None:
        raise DatabaseUrlMissing
    engine = create_engine(settings.storage.crm_database_url, application_name=application_name)
    try:
        require_current_schema(engine)
        yield engine
    finally:
        engine.dispose()
