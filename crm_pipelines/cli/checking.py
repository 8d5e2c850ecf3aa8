"""Everything that would keep contacts from arriving, found in one go: a mistake in one place hides none in another."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.crms.base import Finding
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.registry import client_of
from crm_pipelines.delivery.opening import open_account
from crm_pipelines.delivery.preflight import Preflight, check_account
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.settings import Settings, load_settings


@dataclass(frozen=True, kw_only=True)
class Examined:
    """The findings, whether all that is needed is well, and whether a gate that was closed for a refusal was opened."""

    findings: tuple[Finding, ...]
    passed: bool
    reopened: bool


def examine() -> Examined:
    """Raises SettingsError when the settings cannot be read: without them there is nothing to look at."""
    settings = load_settings()
    findings: list[Finding] = []
    reopened = False
    with ExitStack() as stack:
        engine = _noted(findings, "Contacts database", "answers, with all its tables", lambda: _database(stack))
        mapping = settings.destination("brevo").mapping_file
        said = f"{mapping} is well" if mapping else "the one that is shipped"
        mapped = _noted(findings, "Mapping file", said, lambda: load_mapping(mapping))
        if settings.destination("brevo").missing is not None:
            said = "BREVO_API_KEY is not set: set it in the environment or in the file .env."
            findings.append(Finding(ok=False, subject="API key", detail=said))
        elif mapped:
            looked = _account(settings, engine)
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


def _account(settings: Settings, engine: sa.Engine | None) -> Preflight:
    """Without the database, neither the account's pace nor the custom fields are known: three requests, unpaced."""
    try:
        account = client_of(settings, "brevo")
    except CrmPipelinesError as error:
        return Preflight(findings=[Finding(ok=False, subject="API key", detail=str(error))], reopened=False)
    try:
        if engine is None:
            return Preflight(findings=account.check(before_request=lambda: None), reopened=False)
    finally:
        account.close()
    with open_account(settings, "brevo", engine) as opened:
        return check_account(opened)
