"""What lies where in the folder of an embedded Postgres."""

from dataclasses import dataclass
from pathlib import Path

USER = "crm_pipelines"
"""The server's superuser, and owner of the databases."""


@dataclass(frozen=True)
class Layout:
    """The files in `folder`, which must be absolute and free of symbolic links."""

    folder: Path

    @property
    def users_lock(self) -> Path:
        return self.folder / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        return self.folder / "supervisor.lock"

    @property
    def password(self) -> Path:
        return self.folder / "password"

    @property
    def port(self) -> Path:
        """The port of the server; of the last one while none runs."""
        return self.folder / "port"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def elsewhere(self) -> Path:
        """Names the folder that holds the data when Postgres' account cannot enter this one (see `account`)."""
        return self.folder / "elsewhere"
