"""The custom fields that contacts have."""

from typing import Any

import sqlalchemy as sa


def custom_fields_in_use(engine: sa.Engine) -> dict[str, Any]:
    """One example value (JSON, not null) per custom field. Reads the whole table: for set-up, not for every run."""
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT DISTINCT ON (key) key, value FROM crm_contacts, jsonb_each(custom_fields) "
                "WHERE value <> 'null' ORDER BY key"
            )
        )
        return {row.key: row.value for row in rows}
