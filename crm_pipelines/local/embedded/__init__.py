"""A real Postgres that starts by itself, for machines where none was set up.

`server` is what the rest of the program calls. It starts `supervisor`, a small detached process that owns Postgres
and stops it when its last user has gone, however that user went. `cluster` makes and runs the data folder,
`binaries` finds Postgres' programs, `account` picks who runs them when we are root, and `locks` holds the locks by
which the processes agree.
"""

from crm_pipelines.local.embedded.errors import EmbeddedPostgresError
from crm_pipelines.local.embedded.server import EmbeddedPostgres, embedded_postgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "embedded_postgres"]
