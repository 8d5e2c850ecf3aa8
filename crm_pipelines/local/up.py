"""`crm-pipelines up`: databases, Dagster, and sandboxes where there is no key. Until Ctrl-C."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import requests
from pydantic import SecretStr
from rich.console import Console

from crm_pipelines.access.tokens import SCOPES, TokenRefused, TokenUnknown, authenticate, create_token, revoke_token
from crm_pipelines.delivery.account.selectable import register_destinations
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines.local.databases import contacts_database, dagster_storage_url, engine_on
from crm_pipelines.local.environment import listens, may_be_sandbox, prepare_databases, provision, start_sandbox
from crm_pipelines.local.processes import ProcessError, Processes, free_port, free_port_or_explain
from crm_pipelines.local.webserver import Webserver
from crm_pipelines.settings import (
    STATUS_PAGE_NAME,
    CrmSettings,
    NotConfigured,
    Settings,
    load_settings,
    project_folder,
)

LOCATION = "crm_pipelines"
"""Schedules and sensors are switched on and off per location, so its name is the same everywhere."""

_MAKE_UP = "make up"

# The code server must have ended its run, and the run given back its claims, before Postgres goes.
_GRACE_SECONDS = 40


def up(settings: Settings, *, port: int, sandbox_port: int, api_port: int) -> None:
    """Run everything until Ctrl-C or SIGTERM.

    Raises CrmPipelinesError when something cannot start or ends by itself.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    free_port_or_explain(port, "Dagster's web page", "--port")
    free_port_or_explain(api_port, "the HTTP API", "--api-port")
    data = settings.storage.crm_pipelines_data_dir
    data.mkdir(parents=True, exist_ok=True)
    console.print("Starting Postgres ...")
    with contacts_database(settings) as contacts_url, Processes(data / "up.log") as processes:
        prepare_databases(contacts_url, dagster_storage_url(settings, contacts_url), settings.storage.dagster_home)
        choose_accounts(settings, contacts_url, processes, sandbox_port=sandbox_port, console=console)
        console.print("Starting Dagster ...")
        webserver = Webserver(port)
        token = token_file(contacts_url, data)
        if settings.channels.status_page_url is None:  # where it opens on this machine
            os.environ["STATUS_PAGE_URL"] = f"http://127.0.0.1:{api_port}"
        _start_api(processes, api_port, webserver)
        _start_dagster(processes, data, port, webserver, api_port)
        console.print(f"Status page: {_status_page(settings, api_port)}   Token: in {token}")
        console.print(f"API: http://127.0.0.1:{api_port}/api/v3")
        console.print(f"Dagster: {webserver.url}   Log: {processes.log}   Stop: Ctrl-C")
        ended = processes.wait()
        console.print("Stopping ...")
        with suppress(requests.RequestException):
            webserver.terminate_runs()
        if ended is not None:
            raise ProcessError(processes.explain(ended))


def choose_accounts(
    settings: Settings, contacts_url: str, processes: Processes, *, sandbox_port: int, console: Console
) -> None:
    """Say of each destination where its contacts go, and start a sandbox for those that may have one.

    The first sandbox listens at `sandbox_port`. This process and its children find them in the environment.
    """
    with engine_on(contacts_url) as engine:
        register_destinations(settings, engine)
    for destination in settings.destinations.values():
        if destination.missing is None:
            console.print(f"{destination.title}: the account of the key, at {destination.url}.")
        elif reason := _reason_against_sandbox(destination, settings, contacts_url):
            console.print(f"{destination.title}: none. {reason}")
        else:
            free_port_or_explain(sandbox_port, f"the {destination.title} sandbox", "--sandbox-port")
            folder = settings.storage.crm_pipelines_data_dir
            _use_sandbox(processes, destination, contacts_url, sandbox_port, folder)
            console.print(
                f"{destination.title}: the local sandbox, http://127.0.0.1:{sandbox_port} "
                f"({destination.missing} is not set). What goes there stays on this machine."
            )
            sandbox_port = free_port()


def _status_page(settings: Settings, port: int) -> str:
    shared = f"http://127.0.0.1:{port}"
    own = f"http://{STATUS_PAGE_NAME}:{port}"
    return f"{own} (in Safari {shared})" if STATUS_PAGE_NAME in settings.api.hosts else shared


def _reason_against_sandbox(destination: CrmSettings, settings: Settings, contacts_url: str) -> str | None:
    """Why nothing is delivered to a destination without credentials; None: it may be the sandbox."""
    assert destination.missing is not None
    if not may_be_sandbox(destination, settings):
        return str(NotConfigured(destination.missing))
    with engine_on(contacts_url) as engine:
        account = GateKeeper(engine, destination.name).read().account
    if account in {None, SANDBOX}:
        return None
    return (
        f"{destination.missing} is not set, and these contacts went to account {account}: "
        "the sandbox is not used with them."
    )


def _use_sandbox(processes: Processes, destination: CrmSettings, contacts_url: str, port: int, data: Path) -> None:
    for field, value in start_sandbox(processes, destination.kind, port, data).items():
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        os.environ[destination.variable(field)] = plain
    with engine_on(contacts_url) as engine:
        provision(load_settings(), destination.name, engine)


def token_file(contacts_url: str, data: Path) -> Path:
    """The file with a token that may do everything. Only the user of this machine who may read it gets in."""
    file = data / "api-token"
    with engine_on(contacts_url) as engine:
        with suppress(FileNotFoundError, TokenRefused):
            authenticate(engine, file.read_text(encoding="utf-8").strip())
            return file
        with suppress(TokenUnknown):
            revoke_token(engine, _MAKE_UP)  # the file was lost, so nobody can use it
        token = create_token(engine, _MAKE_UP, SCOPES)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(f"{token}\n", encoding="utf-8")
    return file


def _start_api(processes: Processes, port: int, webserver: Webserver) -> None:
    """Not waited for here: it gets ready while Dagster does."""
    argv = [sys.executable, "-m", "crm_pipelines", "api", "--port", str(port)]
    processes.start("api", argv, env={**os.environ, "API_DAGSTER_URL": webserver.url}, cwd=project_folder())


def _start_dagster(processes: Processes, data: Path, port: int, webserver: Webserver, api_port: int) -> None:
    """One code server, shared by the daemon and the web page; ready when the API is too."""
    folder = project_folder()
    code_port = free_port()
    processes.start(
        "code",
        [
            *(sys.executable, "-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(code_port)),
            *("-m", "crm_pipelines.definitions", "--location-name", LOCATION),
            # Runs are started with this interpreter, whether or not `dagster` is on the PATH.
            "--use-python-environment-entry-point",
        ],
        cwd=folder,
        ready=lambda: listens(code_port),  # it does once it has loaded the definitions
        timeout=120,
        grace=_GRACE_SECONDS,
    )
    workspace = data / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": code_port, "location_name": LOCATION}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    processes.start("daemon", [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)], cwd=folder)
    processes.start(
        "webserver",
        [sys.executable, "-m", "crm_pipelines", "webserver", "--port", str(port), "--workspace", str(workspace)],
        cwd=folder,
        ready=lambda: webserver.is_ready() and listens(api_port),
        timeout=120,
    )
