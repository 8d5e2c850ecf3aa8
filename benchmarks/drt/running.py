"""Runs drt on a stage: it reads the contacts that are queued from the same Postgres, and sends them to the sandbox."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.drt import installing
from benchmarks.setting import Stage

# What drt's users write: the query brings the values as the CRM is to have them.
_CONTACTS = """
    SELECT c.id::text AS id, c.email, split_part(c.name, ' ', 1) AS first_name,
           substr(c.name, strpos(c.name, ' ') + 1) AS last_name, c.phone_number
      FROM crm_contacts c JOIN crm_syncs s ON s.contact_id = c.id
     WHERE s.crm = '{crm}' AND s.state = 'queued' ORDER BY s.run_at, s.contact_id"""
_BREVO_ROW = (
    '{"email": {{ row.email | tojson_safe }}, "attributes": {"FIRSTNAME": {{ row.first_name | tojson_safe }}, '
    '"LASTNAME": {{ row.last_name | tojson_safe }}, "SMS": {{ row.phone_number | tojson_safe }}, '
    '"EXT_ID": {{ row.id | tojson_safe }}}}'
)
_IMPORT = (
    '{"listIds": [2], "updateExistingContacts": true, "emptyContactsAttributes": false, "disableNotification": true, '
    '"jsonBody": [{% for row in rows %}' + _BREVO_ROW + '{{ "," if not loop.last }}{% endfor %}]}'
)
_HUBSPOT_PROPERTIES = (
    '{"email": {{ row.email | tojson_safe }}, "firstname": {{ row.first_name | tojson_safe }}, '
    '"lastname": {{ row.last_name | tojson_safe }}, "phone": {{ row.phone_number | tojson_safe }}}'
)
_UPSERTS = (
    '{"inputs": [{% for row in rows %}{"id": {{ row.email | tojson_safe }}, "idProperty": "email", '
    '"objectWriteTraceId": {{ row.id | tojson_safe }}, "properties": '
    + _HUBSPOT_PROPERTIES
    + '}{{ "," if not loop.last }}{% endfor %}]}'
)


def brevo_import(there: Stage, rows: int) -> dict[str, Any]:
    """drt's REST API destination in its batch mode: so many contacts in each import."""
    return _in_batches(there, "/v3/contacts/import", _IMPORT, rows, {"api-key": "benchmark"})


def hubspot_upserts(there: Stage, rows: int) -> dict[str, Any]:
    """drt's REST API destination in its batch mode, told how HubSpot's batch upsert is written."""
    return _in_batches(
        there, "/crm/v3/objects/contacts/batch/upsert", _UPSERTS, rows, {"Authorization": "Bearer benchmark"}
    )


def hubspot(there: Stage) -> dict[str, Any]:
    """drt's HubSpot destination: a request for each contact."""
    destination = {
        "type": "hubspot",
        "object_type": "contacts",
        "id_property": "email",
        "properties_template": _HUBSPOT_PROPERTIES,
        "auth": {"type": "bearer", "token_env": "HUBSPOT_TOKEN"},
    }
    return _run(there, destination, {}, {"HUBSPOT_TOKEN": "benchmark", "HUBSPOT_STAND_IN": there.sandbox})


def _in_batches(there: Stage, path: str, template: str, rows: int, headers: Mapping[str, str]) -> dict[str, Any]:
    destination = {
        "type": "rest_api",
        "url": f"{there.sandbox}{path}",
        "method": "POST",
        "headers": {"Content-Type": "application/json", **headers},
        "body_mode": "batch",
        "batch_template": template,
        "max_records_per_request": rows,
    }
    return _run(there, destination, {"batch_size": rows}, {})


def _run(
    there: Stage, destination: Mapping[str, Any], options: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Figures of a run of drt. Raises NotInstallable or NoTimeLeft. `said`: how many contacts it says it has sent."""
    python = installing.python()
    folder = there.folder / "drt"
    shutil.rmtree(folder, ignore_errors=True)
    _write_project(folder, there, destination, options)
    own = {"HOME": str(folder), "DO_NOT_TRACK": "1", "PATH": os.environ.get("PATH", os.defpath), **environment}
    figures = there.figures([python, Path(installing.__file__).with_name("program.py")], own, folder=folder)
    [sync] = figures["said"]["syncs"]
    return figures | {"said": sync["rows_synced"], "problems": sync.get("errors")}


def _write_project(folder: Path, there: Stage, destination: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    database = sa.make_url(there.url)
    profile = {
        "type": "postgres",
        "host": database.host,
        "port": database.port,
        "dbname": database.database,
        "user": database.username,
        "password": database.password,
    }
    sync = {
        "name": "contacts",
        "model": _CONTACTS.format(crm=there.crm),
        "destination": destination,
        # 10 requests/s is drt's default; what is refused is not to end the run.
        "sync": {"mode": "full", "on_error": "skip", "rate_limit": {"requests_per_second": 10}, **options},
    }
    # YAML is read, and JSON is YAML.
    files = {
        ".drt/profiles.yml": {"stage": profile},
        "drt_project.yml": {"name": "benchmark", "version": "0.1", "profile": "stage"},
        "syncs/contacts.yml": sync,
    }
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
