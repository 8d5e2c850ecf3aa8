"""The destinations that this database knows."""

import sqlalchemy as sa

from crm_pipelines.contacts.crms import CRMS


def known_destinations(connection: sa.Connection) -> tuple[str, ...]:
    """Names of all that contacts are, or may have been, delivered to: first those with columns in the view."""
    return CRMS
