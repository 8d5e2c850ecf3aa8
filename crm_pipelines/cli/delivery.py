"""Commands that talk to a CRM."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import DESTINATION
from crm_pipelines.cli.output import (
    as_json,
    cells,
    print_json,
    print_table,
    table,
    verdict,
    working,
)
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    from crm_pipelines.delivery.account.preflight import ProvisionPlan


@click.command()
@click.argument("crm", type=DESTINATION)
@as_json
def check(crm: str, as_json: bool) -> None:
    """Look for everything that would keep contacts from arriving at CRM, and say all of it at once.

    It looks at the settings, the contacts database, the key, the mapping, and the CRM's attributes and list. If sending
    had stopped because of the key, a setting or missing attributes, it goes on when all is well.

    \b
    Example:
      crm-pipelines check brevo
    """
    from crm_pipelines.cli.checking import examine

    with working("Checking"):
        examined = examine(crm)
    if as_json:
        print_json({"crm": crm, **asdict(examined)})
    else:
        shown = table("", "What", "Finding")
        for finding in examined.findings:
            shown.add_row(verdict(finding.ok, blocking=finding.blocking), *cells(finding.subject, finding.detail))
        print_table(shown)
        if examined.reopened:
            click.echo("Sending had stopped, and goes on with the next run.")
    if not examined.passed:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("crm", type=DESTINATION)
@click.option("--all", "everything", is_flag=True, help="Also those that no contact has a value for.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and create nothing.")
@as_json
def provision(crm: str, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Create the attributes at CRM that the mapping and the contacts' custom fields need.

    The plan is shown first. Without --all, only attributes that some contact has a value for are created. Attributes of
    choices get the options that contacts have. Attributes that exist keep their type and their options, so this is safe
    to repeat. If CRM refuses one, its reason is shown, the others are created, and the exit code is 1. Contacts whose
    values were left out because of an attribute that is created now are queued again. Sending that waits for attributes
    goes on.

    \b
    Examples:
      crm-pipelines provision brevo --dry-run
      crm-pipelines provision brevo
    """
    from crm_pipelines.crms.schema import ProvisionError
    from crm_pipelines.delivery.account.opening import open_account
    from crm_pipelines.delivery.account.preflight import plan_account, provision_account

    with contacts_engine() as (settings, engine):
        created: list[str] = []
        failed: ProvisionError | None = None
        with open_account(settings, crm, engine) as account:
            planned = plan_account(account, everything=everything)
            plan = planned.new
            waited = account.gate.read().waits_for_attributes
            if not as_json:
                _tell_plan(crm, planned)
            if (plan or waited) and not dry_run:
                with working(f"Creating or extending {counted(len(plan), 'attribute')}"):
                    try:
                        created = provision_account(account, dry_run=False, everything=everything)
                    except ProvisionError as error:
                        created, failed = error.created, error
            goes_on = waited and not account.gate.read().waits_for_attributes
            title = account.destination.title
    if as_json:
        refused = failed.refused if failed else []
        told = {
            "plan": [asdict(one) for one in plan],
            "not_needed": planned.not_needed,
            "created": created,
            "refused": refused,
        }
        print_json({"crm": crm, "dry_run": dry_run, **told})
    elif plan:
        click.echo("Nothing was created." if dry_run or not created else f"Created: {', '.join(created)}.")
    if goes_on and not as_json:
        click.echo(f"Sending to {title} goes on with the next run.")
    if failed is not None:
        raise failed


def _tell_plan(crm: str, planned: "ProvisionPlan") -> None:
    if planned.not_needed:
        names = ", ".join(planned.not_needed)
        click.echo(
            f"{crm}: no contact has a value for {names}; `crm-pipelines provision {crm} --all` creates them too."
        )
    plan = planned.new
    if not plan:
        click.echo(f"{crm}: nothing is missing.")
        return
    shown = table("Attribute", "Type", "Options", "Remark", title=f"To be created at {crm}")
    for one in plan:
        remarks = ["exists, gets these options" if one.exists else "", one.remark]
        shown.add_row(*cells(one.name, one.type, ", ".join(one.options), "; ".join(filter(None, remarks))))
    print_table(shown)
