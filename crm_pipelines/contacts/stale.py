"""Contacts that a CRM holds as another mapping made them: counted, and told. `selection` queues them.

The statement stands in selection.sql.
"""

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.vocabulary import counted

MOST_COUNTED = 100_000
"""So that a run that follows a new mapping counts for some tens of milliseconds, however many there are."""

_SQL = load_statements("contacts/selection")


def count_stale(engine: sa.Engine, crm: str, mapping_version: str) -> int:
    """Delivered contacts that were sent with another mapping than this, at most MOST_COUNTED + 1.

    Of one whose mapping was not noted it is not known, so it does not count.
    """
    given = {"crm": crm, "stale": mapping_version, "most": MOST_COUNTED + 1}
    with engine.connect() as connection:
        found: int = connection.execute(_SQL["count_stale"], given).scalar_one()
    return found


def stale_in_words(crm: str, number: int) -> str:
    """How many they are, and what sends them again; empty if there are none."""
    if not number:
        return ""
    contacts = counted(number, "delivered contact")
    if number > MOST_COUNTED:
        contacts = f"More than {MOST_COUNTED:,} delivered contacts"
    was, it = ("was", "it") if number == 1 else ("were", "them")
    again = f"`crm-pipelines contacts select {crm} --stale` sends {it} again."
    return f"{contacts} {was} sent with another mapping. {again}"
