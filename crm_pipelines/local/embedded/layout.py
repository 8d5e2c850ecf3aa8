"""What lies where in the folder of an embedded Postgres."""

from pathlib import Path

USER = "crm_pipelines"
"""The server's superuser, and owner of the databases."""


class Layout:
    """The files in `folder`, which must be absolute and free of symbolic links."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users_lock = folder / "users.lock"
        self.supervisor_lock = folder / "supervisor.lock"
        self.password = folder / "password"
        self.port = folder / "port"  # of the server; of the last one while none runs
        self.log = folder / "postgres.log"
        # Names the folder that holds the data when Postgres' account cannot enter this one (see `account`).
        self.elsewhere = folder / "elsewhere"
