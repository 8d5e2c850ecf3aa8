"""The workflow's table as it stands in its file."""

from typing import Any

from crm_pipelines.sandbox.n8n.workflow import Workflow

_VERSION = 1


def snapshot(workflow: Workflow) -> dict[str, Any]:
    """What there is to keep: the table, not the executions."""
    return {"version": _VERSION, "last_id": workflow.last_id, "contacts": list(workflow.contacts.values())}


def restore(workflow: Workflow, state: dict[str, Any]) -> None:
    """Take it over. Raises ValueError, KeyError or TypeError when that cannot be."""
    if state["version"] != _VERSION:
        raise ValueError("written by another version")
    workflow.last_id = state["last_id"]
    workflow.contacts = {row["email"]: row for row in state["contacts"]}
