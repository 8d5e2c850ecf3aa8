"""Installs drt into a virtual environment of its own, in a cache folder, with hashes. Does nothing where it is."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_LOCK = _HERE / "drt.lock"
VERSION = (_HERE / "drt.in").read_text(encoding="utf-8").strip().partition("==")[2]


class NotInstallable(Exception):
    """drt is not here, and could not be fetched."""


def python() -> Path:
    """The Python that has drt. Raises NotInstallable."""
    folder = _folder()
    if not folder.exists():
        # What is half installed has another name, so that nobody takes it for whole.
        part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        try:
            _install(part)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder / "bin" / "python"


def _folder() -> Path:
    """One for each state of the lock file and each Python."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    state = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:8]
    return cache.absolute() / "crm-pipelines" / "benchmarks" / f"drt-{VERSION}-{state}"


def _install(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    # Without a network it is to be known soon.
    options = ["--retries=1", "--timeout=10", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", _LOCK]
    for command in ([sys.executable, "-m", "venv", folder], [*pip, *options]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was told"])[-1]
            raise NotInstallable(f"drt {VERSION} could not be installed: {last}")
