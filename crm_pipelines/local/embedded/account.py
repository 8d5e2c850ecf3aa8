"""Who runs Postgres, and from where, when we are root: Postgres refuses to run as root.

An existing account does it, and no permission outside our own folders is changed. Where that account cannot enter
our folder (the root user's home is closed to all others), the data lies in a folder of its own below `/var/lib`, and
where it cannot enter the programs' folder, they are copied beside the data.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_pipelines.local.embedded.binaries import Binaries
from crm_pipelines.local.embedded.errors import EmbeddedPostgresError
from crm_pipelines.local.embedded.layout import Layout

_ELSEWHERE = Path("/var/lib/crm-pipelines")
_UNNEEDED = shutil.ignore_patterns("include", "pkgconfig", "doc", "man", "*.a")


@dataclass(frozen=True)
class SystemAccount:
    """An unprivileged user of this machine."""

    name: str
    uid: int
    gid: int

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments that make `subprocess` run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        """Asked of the kernel, as that account: modes alone would miss access lists."""
        probe = ["/bin/sh", "-c", 'test -x "$0"', str(folder)]
        return subprocess.run(probe, cwd="/", check=False, **self.popen).returncode == 0  # noqa: S603

    def take(self, path: Path) -> None:
        """Make this account the owner of `path`."""
        os.chown(path, self.uid, self.gid)


def choose_account() -> SystemAccount | None:
    """`postgres` or `nobody` for root; None for everyone else, who run Postgres as themselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemAccount(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres does not run as root, and this machine has neither an account postgres nor nobody: "
        "run as an ordinary user, or set CRM_DATABASE_URL."
    )


def place_data(layout: Layout, account: SystemAccount | None) -> Path:
    """The folder in which `data` is or will be: our own, or one below `/var/lib` that `account` can enter."""
    if layout.elsewhere.exists():
        return Path(layout.elsewhere.read_text().strip())
    if account is None or account.can_enter(layout.folder):
        return layout.folder
    place = _ELSEWHERE / secrets.token_hex(8)
    with _umask(0o066):
        place.mkdir(parents=True)
    if not account.can_enter(place):
        raise EmbeddedPostgresError(
            f"Postgres does not run as root, and the account {account.name} can enter neither {layout.folder} "
            f"nor {place}: run as an ordinary user, or set CRM_PIPELINES_DATA_DIR to a folder that everyone may enter."
        )
    layout.elsewhere.write_text(f"{place}\n")
    return place


def place_binaries(binaries: Binaries, account: SystemAccount | None, place: Path) -> Path:
    """The folder with programs that `account` can run: where they are, or a copy in `place`."""
    if account is None or account.can_enter(binaries.folder / "postgres"):
        return binaries.folder
    common = Path(os.path.commonpath([tree.parent for tree in binaries.trees]))
    copy = place / f"postgres-{binaries.version}"
    if not copy.exists():
        new = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        with _umask(0o022):
            for tree in binaries.trees:
                shutil.copytree(tree, new / tree.relative_to(common), symlinks=True, ignore=_UNNEEDED)
        new.rename(copy)
    return copy / binaries.folder.relative_to(common)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
