"""The contacts database: tables, migrations, the queue protocol, selection, import, embedded Postgres."""
