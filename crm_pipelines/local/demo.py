"""`crm-pipelines demo`: the sample contacts' way from a file to the sandbox, and what happened to each.

It has databases and a sandbox of its own, so that it neither sends a user's contacts to the sandbox nor sample contacts
to a real account, whatever the environment says.
"""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.delivery.account.selectable import register_destinations
from crm_pipelines.delivery.totals import fates_in_words
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.files import Reject, import_contacts
from crm_pipelines.local.databases import contacts_database, dagster_storage_url, engine_on
from crm_pipelines.local.environment import prepare_databases, provision, sandbox_state, start_sandbox
from crm_pipelines.local.processes import Processes, free_port
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.run_now import run_now
from crm_pipelines.settings import KINDS, CrmSettings, Settings, StorageSettings, project_folder
from crm_pipelines.settings.destinations import FIRST
from crm_pipelines.vocabulary import STATUS_WORDS, counted

SAMPLES = project_folder() / "samples" / "contacts.csv"


class DemoFailed(CrmPipelinesError):
    """The demo did not end as it should."""


def demo(settings: Settings, kind: type[CrmSettings] = KINDS[FIRST]) -> None:
    """Run the demo for this CRM and print its table. Raises CrmPipelinesError."""
    crm = kind.kind
    console = Console(highlight=False, soft_wrap=True)
    data = settings.storage.crm_pipelines_data_dir / "demo"
    data.mkdir(parents=True, exist_ok=True)
    own = StorageSettings.model_construct(
        crm_pipelines_data_dir=data, crm_postgres_bin=settings.storage.crm_postgres_bin
    )
    settings = dataclasses.replace(settings, storage=own)

    console.print("[1/5] Starting Postgres ...")
    with contacts_database(settings) as url, engine_on(url) as engine, Processes(data / "demo.log") as processes:
        prepare_databases(url, dagster_storage_url(settings, url), settings.storage.dagster_home)
        console.print(f"[2/5] Starting the {kind.label} sandbox, a stand-in on this machine ...")
        sandbox = kind.model_construct(**start_sandbox(processes, crm, free_port(), data))
        own = settings.storage.model_copy(update={"crm_database_url": url})
        settings = dataclasses.replace(settings, storage=own, destinations={crm: sandbox})
        register_destinations(settings, engine)
        console.print(f"[3/5] Importing {SAMPLES.name} and selecting its contacts for {kind.label} ...")
        imported = import_contacts(engine, SAMPLES, rejects_folder=data)
        console.print(f"      {imported.summary}")
        selected = select(engine, crm, Who(everyone=True))
        console.print(f"      {counted(selected.selected, 'contact')} queued.")
        created = provision(settings, crm, engine)
        console.print(f"      Attributes created in the sandbox: {', '.join(created) or 'none were missing'}.")
        console.print(f"[4/5] Running the Dagster job {crm}_sync ...")
        result = run_now(crm, destination=Destination(crm, lambda: settings))
        if not result.success:
            raise DemoFailed(f"The run {result.run_id} failed: {result.problem}")
        console.print("[5/5] What became of each contact:")
        console.print(_fates(engine, crm, imported.rejects), soft_wrap=False)
        console.print(f"{result.counts['claimed']} taken: {fates_in_words(result.counts)}.")
    program = _as_typed(Path(sys.executable).with_name("crm-pipelines"))
    console.print("\nWhat the sandbox holds, at http://127.0.0.1:8086 in a browser:")
    console.print(f"{program} sandbox {crm} --port 8086 --state {_as_typed(sandbox_state(crm, data))}", markup=False)
    console.print("\nRuns every 5 minutes, with Dagster's pages at http://127.0.0.1:3000:")
    console.print("make up" if crm == FIRST else f"CRM_DESTINATIONS={FIRST},{crm} make up")


def _as_typed(path: Path) -> str:
    """For a shell in this folder."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _fates(engine: sa.Engine, crm: str, rejects: Sequence[Reject]) -> Table:
    table = Table(expand=True)
    table.add_column("address", overflow="fold", ratio=3)
    table.add_column("name", overflow="fold", ratio=2)
    table.add_column("status", no_wrap=True)
    table.add_column("what happened", overflow="fold", ratio=5)
    with engine.connect() as connection:
        for row in connection.execute(_FATES, {"crm": crm}):
            said = " ".join([row.problem or "Delivered.", *(row.warnings or [])])
            table.add_row(escape(row.email or ""), escape(row.name or ""), STATUS_WORDS[row.status], escape(said))
    for reject in rejects:
        table.add_row(f"(line {reject.line} of the file)", "", "not imported", escape(reject.reason))
    return table


_FATES = sa.text(
    "SELECT c.email, c.name, crm_sync_status(s.state, s.attempts) AS status, s.last_error AS problem, a.warnings "
    "FROM crm_contacts c JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm "
    "LEFT JOIN crm_attempts a ON a.contact_id = c.id AND a.crm = s.crm AND a.claim_no = s.claim_no "
    "ORDER BY c.created_at, lower(c.email)"
)
