"""What `make up` and `make demo` share: databases with their tables, a sandbox with its attributes."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from crm_pipelines.crms.n8n.identity import SANDBOX_PATH
from crm_pipelines.database import migrating
from crm_pipelines.delivery.account.opening import open_account
from crm_pipelines.delivery.account.preflight import provision_account
from crm_pipelines.errors import SettingsError
from crm_pipelines.local.processes import Processes
from crm_pipelines.orchestration.instance import dagster_instance
from crm_pipelines.sandbox import SANDBOXES
from crm_pipelines.settings import CrmSettings, Settings
from crm_pipelines.settings.destinations import FIRST

# A sandbox accepts any key; this one can be mistaken for no real one.
_KEY = SecretStr("sandbox")

_POINTING: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "brevo": lambda root: {"api_key": _KEY, "api_base_url": f"{root}/v3"},
    "hubspot": lambda root: {"api_key": _KEY, "api_base_url": root},
    "mautic": lambda root: {"base_url": root, "client_id": "sandbox", "client_secret": _KEY},
    "n8n": lambda root: {"webhook_url": SecretStr(f"{root}{SANDBOX_PATH}"), "webhook_secret": _KEY},
}
"""The settings of a destination that is the sandbox of its kind, by the URL of that server."""


def prepare_databases(contacts_url: str, dagster_url: str, dagster_home: Path) -> None:
    """Bring the tables of contacts and of Dagster up to date, and tell this process and its children where they are.

    Dagster's tables are made here, once, since its processes would otherwise make them at the same time. Raises
    SettingsError for a `dagster_home` without a dagster.yaml, with which Dagster would keep its records elsewhere.
    """
    if not (dagster_home / "dagster.yaml").is_file():
        raise SettingsError(
            f"DAGSTER_HOME is {dagster_home}, where there is no dagster.yaml. Copy the project's there, or unset it."
        )
    migrating.upgrade(contacts_url)
    os.environ["CRM_DATABASE_URL"] = contacts_url
    os.environ["DAGSTER_POSTGRES_URL"] = dagster_url
    os.environ["DAGSTER_HOME"] = str(dagster_home.absolute())
    with dagster_instance() as instance:
        instance.upgrade()


def may_be_sandbox(destination: CrmSettings, settings: Settings) -> bool:
    """Whether a sandbox may stand in for a destination without credentials.

    Beside a real account only for the first one: of any other it is more likely that its key was forgotten.
    """
    trying_out = all(one.missing is not None for one in settings.destinations.values())
    return destination.name == FIRST or (trying_out and destination.name in SANDBOXES)


def start_sandbox(processes: Processes, kind: str, port: int, folder: Path) -> Mapping[str, Any]:
    """Start the stand-in for this CRM, which keeps its account in `folder`.

    Returns the settings of a destination that go there, by field.
    """
    processes.start(
        f"{kind}-sandbox",
        [
            *(sys.executable, "-m", f"crm_pipelines.sandbox.{kind}"),
            *("--port", str(port), "--state", str(sandbox_state(kind, folder))),
        ],
        ready=lambda: listens(port),
    )
    return _POINTING[kind](f"http://127.0.0.1:{port}")


def sandbox_state(kind: str, folder: Path) -> Path:
    """The file with the account of the sandbox that keeps it in this folder."""
    return folder / f"{kind}-sandbox.json"


def provision(settings: Settings, name: str, engine: sa.Engine) -> list[str]:
    """Create the attributes of the mapping, whatever will be imported, and of the custom fields in use."""
    with open_account(settings, name, engine) as account:
        return provision_account(account, dry_run=False, everything=True)


def listens(port: int) -> bool:
    """Whether a program on this machine takes connections at this port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
