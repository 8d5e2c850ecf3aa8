"""Everything that would keep contacts from arriving, found in one go: a mistake in one place hides none in another."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.destinations import waiting_for_nobody
from crm_pipelines.contacts.presence import nobody_yet
from crm_pipelines.crms.registry import client_of, mapper_of
from crm_pipelines.crms.schema import Finding
from crm_pipelines.delivery.account.opening import open_account
from crm_pipelines.delivery.account.preflight import Preflight, check_account
from crm_pipelines.errors import CrmPipelinesError, SettingsError
from crm_pipelines.settings import CrmSettings, NotConfigured, Settings, load_settings


@dataclass(frozen=True, kw_only=True)
class Examined:
    """The findings, whether all that is needed is well, and whether a gate that was closed for a refusal was opened."""

    findings: tuple[Finding, ...]
    passed: bool
    reopened: bool


def examine(name: str) -> Examined:
    """Everything about this destination.

    Raises SettingsError when the settings cannot be read, since without them there is nothing to look at, and
    UnknownDestination.
    """
    settings = load_settings()
    destination = settings.destination(name)
    findings: list[Finding] = []
    reopened = False
    with ExitStack() as stack:
        engine = _noted(findings, "Contacts database", "answers, with all its tables", lambda: _database(stack))
        if engine is not None:
            waiting = [*waiting_for_nobody(settings, engine).values(), *filter(None, [nobody_yet(engine, name)])]
            findings += [Finding(ok=False, subject="Contacts", detail=one, blocking=False) for one in waiting]
        file = destination.mapping_file
        said = f"{file} is well" if file else "the one that is shipped"
        mapped = _noted(findings, "Mapping file", said, lambda: mapper_of(settings, name))
        if destination.missing is not None:
            findings.append(_without_credentials(NotConfigured(destination.missing)))
        elif mapped:
            looked = _account(settings, destination, engine)
            findings += looked.findings
            reopened = looked.reopened
    passed = all(finding.ok for finding in findings if finding.blocking)
    return Examined(findings=tuple(findings), passed=passed, reopened=reopened)


def _noted(findings: list[Finding], subject: str, said: str, look: Callable[[], Any]) -> Any:
    """What `look` returns, None when it fails; either way there is a finding."""
    try:
        found = look()
    except CrmPipelinesError as error:
        findings.append(Finding(ok=False, subject=subject, detail=str(error)))
        return None
    findings.append(Finding(ok=True, subject=subject, detail=said))
    return found


def _database(stack: ExitStack) -> sa.Engine:
    return stack.enter_context(contacts_engine())[1]


def _without_credentials(error: SettingsError) -> Finding:
    return Finding(ok=False, subject="Credentials", detail=str(error))


def _account(settings: Settings, destination: CrmSettings, engine: sa.Engine | None) -> Preflight:
    """Without the database, neither the account's pace nor the custom fields are known: three requests, unpaced."""
    try:
        account = client_of(settings, destination.name)
    except SettingsError as error:
        return Preflight(findings=[_without_credentials(error)], reopened=False)
    try:
        if engine is None:
            return Preflight(findings=account.check(turn=lambda: None), reopened=False)
    finally:
        account.close()
    with open_account(settings, destination.name, engine) as opened:
        return check_account(opened)
