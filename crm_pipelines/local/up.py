"""`crm-pipelines up`: databases, Dagster, and the sandbox where there is no key. Until Ctrl-C."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from rich.console import Console

from crm_pipelines.contacts.database import create_engine
from crm_pipelines.contacts.fields import custom_fields_in_use
from crm_pipelines.contacts.gates import SANDBOX, GateKeeper
from crm_pipelines.local.databases import contacts_database, dagster_storage_url
from crm_pipelines.local.environment import SANDBOX_KEY, answers, prepare_databases, provision, start_sandbox
from crm_pipelines.local.processes import ProcessError, Processes, free_port_or_explain
from crm_pipelines.settings import Settings, load_settings, project_folder

PORT = 3000
SANDBOX_PORT = 8085

# The code server must have ended its run, and the run given back its claims, before Postgres goes.
_GRACE_SECONDS = 40


def up(settings: Settings, *, port: int = PORT, sandbox_port: int = SANDBOX_PORT) -> None:
    """Run everything until Ctrl-C or SIGTERM. Raises CrmPipelinesError when something cannot start or ends by itself."""
    console = Console(stderr=True, highlight=False)
    free_port_or_explain(port, "Dagster's web page")
    data = settings.storage.crm_pipelines_data_dir
    data.mkdir(parents=True, exist_ok=True)
    console.print("Starting Postgres ...")
    with contacts_database(settings) as contacts_url, Processes(data / "up.log") as processes:
        prepare_databases(contacts_url, dagster_storage_url(settings, contacts_url))
        if settings.brevo.api_key is not None:
            console.print(f"Brevo: the real one, at {settings.brevo.api_base_url}.")
        elif reason := _reason_against_sandbox(contacts_url):
            console.print(f"Brevo: none. {reason}")
        else:
            free_port_or_explain(sandbox_port, "the Brevo sandbox")
            _use_sandbox(processes, settings, contacts_url, sandbox_port)
            console.print(
                f"Brevo: the local sandbox, http://127.0.0.1:{sandbox_port} (BREVO_API_KEY is not set). "
                "Nothing leaves this machine."
            )
        console.print("Starting Dagster ...")
        _start_dagster(processes, port)
        console.print(f"Dagster: http://127.0.0.1:{port}   Log: {processes.log}   Stop: Ctrl-C")
        ended = processes.wait()
        if ended is not None:
            raise ProcessError(processes.explain(ended))
        console.print("Stopping ...")


def _reason_against_sandbox(contacts_url: str) -> str | None:
    with _engine(contacts_url) as engine:
        account = GateKeeper(engine, "brevo").read().account
    if account in {None, SANDBOX}:
        return None
    return f"BREVO_API_KEY is not set, and these contacts were delivered to {account}, so the sandbox is not used with them."


def _use_sandbox(processes: Processes, settings: Settings, contacts_url: str, port: int) -> None:
    url = start_sandbox(processes, port, settings.storage.crm_pipelines_data_dir / "brevo-sandbox.json")
    os.environ["BREVO_API_KEY"] = SANDBOX_KEY
    os.environ["BREVO_API_BASE_URL"] = url
    with _engine(contacts_url) as engine:
        provision(load_settings(), custom_fields_in_use(engine))


@contextmanager
def _engine(url: str) -> Iterator[sa.Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _start_dagster(processes: Processes, port: int) -> None:
    folder = project_folder()
    workspace = ["-w", str(folder / "workspace.yaml")]
    processes.start(
        "daemon", [sys.executable, "-m", "dagster._daemon", "run", *workspace], cwd=folder, grace=_GRACE_SECONDS
    )
    processes.start(
        "webserver",
        [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *workspace],
        cwd=folder,
        ready=lambda: answers(f"http://127.0.0.1:{port}/server_info", contains="dagster_webserver_version"),
        timeout=120,
        grace=_GRACE_SECONDS,
    )
