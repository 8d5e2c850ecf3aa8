"""`crm-pipelines demo`: the sample contacts' way from a file to the sandbox, and what happened to each.

It has databases and a sandbox of its own, so that it neither sends a user's contacts to the sandbox nor sample contacts
to a real account, whatever the environment says.
"""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm_pipelines.contacts.database import create_engine
from crm_pipelines.contacts.importing import Reject, import_contacts
from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.databases import contacts_database, dagster_storage_url
from crm_pipelines.local.environment import SANDBOX_KEY, prepare_databases, provision, start_sandbox
from crm_pipelines.local.processes import Processes, free_port
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.run_now import run_now
from crm_pipelines.settings import BrevoSettings, Settings, StorageSettings, project_folder

SAMPLES = project_folder() / "samples" / "contacts.csv"


class DemoFailed(CrmPipelinesError):
    """The demo did not end as it should."""


def demo(settings: Settings) -> None:
    """Run the demo and print its table. Raises CrmPipelinesError."""
    console = Console(highlight=False, soft_wrap=True)
    data = settings.storage.crm_pipelines_data_dir / "demo"
    data.mkdir(parents=True, exist_ok=True)
    own = StorageSettings.model_construct(
        crm_pipelines_data_dir=data, crm_postgres_bin=settings.storage.crm_postgres_bin
    )
    settings = dataclasses.replace(settings, storage=own)

    console.print("[1/5] Starting Postgres ...")
    with contacts_database(settings) as url, Processes(data / "demo.log") as processes:
        prepare_databases(url, dagster_storage_url(settings, url), settings.storage.dagster_home)
        engine = create_engine(url)
        try:
            console.print("[2/5] Starting the Brevo sandbox, a stand-in on this machine ...")
            settings = _with_sandbox(settings, url, start_sandbox(processes, free_port(), data / "brevo-sandbox.json"))
            console.print(f"[3/5] Importing {SAMPLES.name} and selecting its contacts for Brevo ...")
            imported = import_contacts(engine, SAMPLES, rejects_folder=data)
            console.print(f"      {imported.summary}")
            selected = select(engine, "brevo", Who(everyone=True))
            console.print(f"      {selected.selected} contacts queued.")
            created = provision(settings, engine)
            console.print(f"      Attributes created in the sandbox: {', '.join(created) or 'none were missing'}.")
            console.print("[4/5] Running the Dagster job brevo_sync ...")
            result = run_now("brevo", destination=Destination("brevo", lambda: settings))
            if not result.success:
                raise DemoFailed(f"The run {result.run_id} failed: {result.problem}")
            console.print("[5/5] What became of each contact:")
            console.print(_fates(engine, imported.rejects), soft_wrap=False)
            console.print(", ".join(f"{count} {name}" for name, count in result.counts.items() if count) + ".")
        finally:
            engine.dispose()
    console.print(
        "What the sandbox holds, in a browser: "
        f"crm-pipelines sandbox brevo --port 8086 --state {data / 'brevo-sandbox.json'}"
    )
    console.print("Next: `make up` runs this every 5 minutes, with Dagster's pages at http://127.0.0.1:3000.")


def _with_sandbox(settings: Settings, contacts_url: str, base_url: str) -> Settings:
    brevo = BrevoSettings.model_construct(api_key=SecretStr(SANDBOX_KEY), api_base_url=base_url)
    storage = settings.storage.model_copy(update={"crm_database_url": contacts_url})
    return dataclasses.replace(settings, storage=storage, destinations={"brevo": brevo})


def _fates(engine: sa.Engine, rejects: Sequence[Reject]) -> Table:
    table = Table(expand=True)
    table.add_column("address", overflow="fold", ratio=3)
    table.add_column("name", overflow="fold", ratio=2)
    table.add_column("status", no_wrap=True)
    table.add_column("what happened", overflow="fold", ratio=5)
    with engine.connect() as connection:
        for row in connection.execute(_FATES):
            said = " ".join([row.problem or "Delivered.", *(row.warnings or [])])
            table.add_row(escape(row.email or ""), escape(row.name or ""), row.status, escape(said))
    for reject in rejects:
        table.add_row(f"(line {reject.line} of the file)", "", "not imported", escape(reject.reason))
    return table


_FATES = sa.text(
    "SELECT c.email, c.name, c.brevo_sync_status AS status, s.last_error AS problem, a.warnings "
    "FROM contacts c JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = 'brevo' "
    "LEFT JOIN crm_attempts a ON a.contact_id = c.id AND a.crm = 'brevo' AND a.claim_no = s.claim_no "
    "ORDER BY c.created_at, lower(c.email)"
)
