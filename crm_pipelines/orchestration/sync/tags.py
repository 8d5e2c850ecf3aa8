"""The tags by which runs of the main job know each other; they show in Dagster's pages."""

SYNC_SLOT_TAG = "crm-pipelines/sync"
"""Dagster runs one at a time per value of this tag (dagster.yaml)."""

GATE_TAG = "crm-pipelines/gate"
"""On a run that failed since the gate was closed; its value is the kind of the pause."""

PUT_FIRST_TAG = "crm-pipelines/put-first"
"""On a run for the contacts that somebody has put first; its value is the CRM. One at most waits for its turn."""

LEFT_TAG = "crm-pipelines/left"
"""On a run that got on and left due contacts behind: how many. The follow-up sensor reads it."""

FOLLOWS_TAG = "crm-pipelines/follows"
"""On a run that works on what another one left; its value is that run's id."""

FOUND_TAG = "crm-pipelines/found"
"""On such a run: how many due contacts it was started for."""


def sync_slot(crm: str, number: int) -> dict[str, str]:
    """The tag of the numbered place among the runs that may go on at the same time."""
    return {SYNC_SLOT_TAG: f"{crm}-{number}"}
