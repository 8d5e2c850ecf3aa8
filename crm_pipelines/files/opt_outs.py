"""Who has opted out, as the database knows it from the custom fields of an earlier file."""

from collections.abc import Iterable

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.files.cleaning import Record, opted_out_as_stored
from crm_pipelines.files.headers import key_of, tells_of_opting_out

_SQL = load_statements("files/opt_outs")


def known_opt_outs(connection: sa.Connection, records: Iterable[Record]) -> set[str]:
    """The keys of those of whom a stored custom field says so, unless the record says something else of that field."""
    custom_fields = {record.key: record.custom_fields for record in records}
    fields = connection.execute(_SQL["fields"], {"keys": list(custom_fields)}).scalars()
    telling = [field for field in fields if tells_of_opting_out(key_of(field))]
    if not telling:
        return set()
    stored = connection.execute(_SQL["values"], {"keys": list(custom_fields), "fields": telling})
    return {
        row.address
        for row in stored
        if row.field not in custom_fields[row.address] and opted_out_as_stored(row.field, row.value)
    }
