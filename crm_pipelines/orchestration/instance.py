"""Dagster's own records, as a command opens them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from crm_pipelines.errors import CrmPipelinesError, SettingsError


class DagsterStorageUnreachable(CrmPipelinesError):
    """Dagster's database does not answer, so nothing runs. Check DAGSTER_POSTGRES_URL and that the server runs."""


class DagsterHomeUnusable(SettingsError):
    """DAGSTER_HOME is no folder that Dagster can use. Name the one that holds dagster.yaml, or unset it."""


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """The instance that DAGSTER_HOME and DAGSTER_POSTGRES_URL name.

    Raises DagsterHomeUnusable or DagsterStorageUnreachable, the latter also for what is done with it in the block.
    """
    from dagster_postgres.utils import DagsterPostgresException  # takes a tenth of a second

    try:
        try:
            instance = dg.DagsterInstance.get()
        except dg.DagsterInvariantViolationError:
            raise DagsterHomeUnusable from None
        with instance:
            yield instance
    except DagsterPostgresException:  # its cause names the URL
        raise DagsterStorageUnreachable from None
