"""What can go wrong with the embedded Postgres, in words."""

import errno
from pathlib import Path

from crm_pipelines.errors import CrmPipelinesError

_DISK_FULL = ("No space left on device", "Disk quota exceeded", "Check free disk space")


class EmbeddedPostgresError(CrmPipelinesError):
    """The embedded Postgres could not be started; set CRM_DATABASE_URL to use a Postgres of your own."""


def from_os_error(error: OSError, folder: Path) -> EmbeddedPostgresError:
    """The sentence for an operating system error that happened below `folder`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full(folder)
    if isinstance(error, PermissionError):
        return EmbeddedPostgresError(
            f"No permission to use {error.filename or folder}: run as the user that owns {folder}, "
            "or set CRM_PIPELINES_DATA_DIR to a folder of your own."
        )
    return EmbeddedPostgresError(f"The embedded Postgres in {folder} cannot be used: {error}.")


def from_output(doing: str, output: str, folder: Path) -> EmbeddedPostgresError:
    """The sentence for one of Postgres' programs that ended with `output` while `doing` something."""
    if any(sign in output for sign in _DISK_FULL):
        return disk_full(folder)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line.lower()]
    reason = (telling or lines or ["it said nothing"])[-1]
    return EmbeddedPostgresError(f"The embedded Postgres in {folder} failed while {doing}: {reason}")


def disk_full(folder: Path) -> EmbeddedPostgresError:
    """The disk under `folder` is full."""
    return EmbeddedPostgresError(
        f"The disk that holds {folder} is full: free at least 100 MB there, "
        "or set CRM_PIPELINES_DATA_DIR to a folder on another disk."
    )
