"""What a run is asked for, and what travels between its ops: identifiers and counts, no data of a contact."""

from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg
from pydantic import Field, field_validator

from crm_pipelines.delivery.bulk.scanning import AccountScan
from crm_pipelines.delivery.previewing import Foreseen
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.launch_config import valid_addresses, valid_ids
from crm_pipelines.queue.model import Claim


class FetchConfig(dg.Config):
    """Which contacts the run takes. Left as it is: all that are due, as many as the rate allows."""

    limit: int | None = Field(None, description="At most this many contacts, 1 or more.")
    emails: list[str] = Field(
        [],
        description="Only the queued contacts with these addresses, even while they wait for a retry. Dagster keeps "
        "launch config for ever and shows it to everyone who can open its pages: prefer contact_ids.",
    )
    contact_ids: list[str] = Field(
        [],
        description="Only the queued contacts with these ids (column id of contacts), even if they wait for a retry.",
    )
    put_first: bool = Field(
        False,
        description="Only the queued contacts that somebody has put first (POST /contacts/crm/sync/trigger), and those "
        "that are named here.",
    )
    dry_run: bool = Field(False, description="Show how many contacts would be sent or left out, and send nothing.")

    _ids = field_validator("contact_ids")(valid_ids)
    _addresses = field_validator("emails")(valid_addresses)

    @field_validator("limit")
    @classmethod
    def _one_or_more(cls, limit: int | None) -> int | None:
        if limit is not None and limit < 1:
            raise ValueError("expected 1 or more; leave the line out for all that are due.")
        return limit


def launch_config(run: dg.DagsterRun) -> dict[str, Any]:
    """What of FetchConfig the run was launched with; empty for one of the schedule."""
    ops: Any = run.run_config.get("ops") or {}
    return (ops.get("fetch_queued_contacts") or {}).get("config") or {}


def was_limited(run: dg.DagsterRun) -> bool:
    """Whether the launch config chose contacts: who asks for ten does not want the rest at once."""
    return any(launch_config(run).values())


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Contacts that one step delivers.

    `together`, `alone` (one after the other, since they may have taken a worker down) and `probe` (so until one has had
    an answer, since the CRM may be down): those that `claims` names.
    `import`: the contacts of bulk imports under way and, with a scan, up to `most` more, claimed by the imports.
    `run_id` is the run that claimed them; a re-execution from a failure is another one.
    """

    number: int
    run_id: str
    claims: tuple[Claim, ...] = ()
    kind: Literal["together", "alone", "probe", "import"] = "together"
    scan: AccountScan | None = None
    most: int = 0
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class SentBatch:
    """A batch whose outcomes are in the ledger; `totals` of one of which nothing is left to be carried over.

    `elsewhere` counts contacts that another process of the run has taken; they are in none of these totals.
    """

    batch: Batch
    released: int = 0
    locked: int = 0
    halted: str | None = None
    totals: Totals | None = None
    foreseen: Foreseen | None = None
    refused_for_rate: int = 0
    elsewhere: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class WrittenBatch:
    """A batch whose outcomes are in the state machine."""

    totals: Totals
    halted: str | None
    dry_run: bool
    seconds: float
    foreseen: Foreseen | None = None
