"""Whether there is anybody at all: of an empty database everything else that could be said misleads."""

import sqlalchemy as sa

_ANY = sa.text("SELECT EXISTS (SELECT FROM crm_contacts)")


def nobody_yet(engine: sa.Engine, crm: str) -> str | None:
    """A sentence for people, which ends with how to bring contacts in for this destination; None if there are some."""
    with engine.connect() as connection:
        if connection.execute(_ANY).scalar_one():
            return None
    return f"There are no contacts yet. Bring some in: `crm-pipelines contacts import FILE --select {crm}`."
