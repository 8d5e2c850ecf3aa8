"""Commands that talk to a CRM."""

import os
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.output import DELIVERABLE_CRM, cells, print_table, report_unknown, table
from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
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
    from crm_pipelines.delivery.preflight import check_account

    with contacts_engine() as (settings, engine):
        account = _account(settings)
        try:
            looked = check_account(engine, account, settings.brevo.rate_limit_per_second)
        finally:
            account.close()
    shown = table("", "What", "Finding")
    for finding in looked.findings:
        shown.add_row(
            *cells("ok" if finding.ok else "FAILED" if finding.blocking else "warning", finding.subject, finding.detail)
        )
    print_table(shown)
    if looked.reopened:
        click.echo(f"{crm}: the gate was closed for the key and is open again.")
    if looked.problems:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("crm", type=DELIVERABLE_CRM)
@click.option("--dry-run", is_flag=True, help="Create nothing; say what would be created.")
def provision(crm: str, dry_run: bool) -> None:
    """Create the attributes at CRM that the mapping and the contacts' custom fields need. Safe to repeat."""
    from crm_pipelines.delivery.preflight import provision_account

    with contacts_engine() as (settings, engine):
        account = _account(settings)
        try:
            created = provision_account(engine, account, settings.brevo.rate_limit_per_second, dry_run=dry_run)
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
