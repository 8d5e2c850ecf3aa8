"""Commands that talk to a CRM."""

import os
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.output import DELIVERABLE_CRM, cells, print_table, report_unknown, table
from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.crms.base import BeforeRequest
    from crm_pipelines.crms.brevo import Brevo
    from crm_pipelines.settings import Settings


class SyncFailed(CrmPipelinesError):
    """The run failed."""


class ContactsUnknown(CrmPipelinesError):
    """No contact has any of these addresses, so nothing was run."""


class KeyUnset(CrmPipelinesError):
    """BREVO_API_KEY is not set: set it in the environment or in the file .env."""


@click.command()
@click.argument("crm", type=DELIVERABLE_CRM)
@click.option("--limit", type=click.IntRange(min=1), help="Deliver at most this many contacts.")
@click.option("--email", "emails", multiple=True, help="Only this contact (repeatable), without waiting for its time.")
@click.option("--dry-run", is_flag=True, help="Claim and send nothing; say what would be sent.")
def sync(crm: str, limit: int | None, emails: tuple[str, ...], dry_run: bool) -> None:
    """Run the Dagster job of CRM now, in this process."""
    from crm_pipelines.contacts.selection import Who, ids_by_email, unknown
    from crm_pipelines.local.databases import dagster_storage_url
    from crm_pipelines.orchestration.run_now import run_now

    with contacts_engine() as (settings, engine):
        url = engine.url.render_as_string(hide_password=False)
        os.environ["CRM_DATABASE_URL"] = url
        os.environ["DAGSTER_POSTGRES_URL"] = dagster_storage_url(settings, url)
        os.environ["DAGSTER_HOME"] = str(settings.storage.dagster_home)
        ids = ids_by_email(engine, emails)
        not_found = unknown(engine, Who(emails=emails)) if emails else ()
        report_unknown(not_found)
        if emails and not ids:
            raise ContactsUnknown
        result = run_now(crm, limit=limit, contact_ids=ids or None, dry_run=dry_run)
    if not result.success:
        raise SyncFailed(f"Run {result.run_id} failed: {result.problem}")
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items() if count)
    foreseen = "nothing was sent; it would be " if dry_run and counts else ""
    click.echo(f"Run {result.run_id}: {foreseen}{counts or 'nothing was due'}.")
    if not_found:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("crm", type=DELIVERABLE_CRM)
def check(crm: str) -> None:
    """Look for everything that would keep contacts from arriving at CRM.

    When all is well, a gate that was closed for the key is opened.
    """
    from crm_pipelines.contacts.fields import custom_fields_in_use
    from crm_pipelines.contacts.gates import GateKeeper, open_gate

    with contacts_engine() as (settings, engine):
        account = _account(settings)
        try:
            findings = account.check(
                before_request=_turns(settings, engine, crm), custom_fields=custom_fields_in_use(engine)
            )
        finally:
            account.close()
        passed = all(finding.ok for finding in findings if finding.blocking)
        reopened = passed and GateKeeper(engine, crm).read().closed_for_credentials
        if reopened:
            open_gate(engine, crm)
    shown = table("", "What", "Finding")
    for finding in findings:
        shown.add_row(
            *cells("ok" if finding.ok else "FAILED" if finding.blocking else "warning", finding.subject, finding.detail)
        )
    print_table(shown)
    if reopened:
        click.echo("The gate was closed for the key and is open again.")
    if not passed:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("crm", type=DELIVERABLE_CRM)
@click.option("--dry-run", is_flag=True, help="Create nothing; say what would be created.")
def provision(crm: str, dry_run: bool) -> None:
    """Create the attributes at CRM that the mapping and the contacts' custom fields need. Safe to repeat."""
    from crm_pipelines.contacts.fields import custom_fields_in_use

    with contacts_engine() as (settings, engine):
        account = _account(settings)
        try:
            created = account.provision(
                dry_run=dry_run,
                before_request=_turns(settings, engine, crm),
                custom_fields=custom_fields_in_use(engine),
            )
        finally:
            account.close()
    if not created:
        click.echo(f"{crm}: nothing is missing.")
    for name in created:
        click.echo(f"{'Would create' if dry_run else 'Created'} {name}")


def _account(settings: "Settings") -> "Brevo":
    from crm_pipelines.crms.brevo import Brevo

    if settings.brevo.api_key is None:
        raise KeyUnset
    return Brevo.from_settings(settings)


def _turns(settings: "Settings", engine: "sa.Engine", crm: str) -> "BeforeRequest":
    """Waits before each request, so that runs which go on meanwhile and this command keep the account's rate."""
    from crm_pipelines.contacts.gates import GateKeeper
    from crm_pipelines.delivery.gatekeeping import pacer_for

    return pacer_for(GateKeeper(engine, crm), settings.brevo.rate_limit_per_second).wait
