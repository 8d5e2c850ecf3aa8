"""The locks by which users and supervisor of one data folder agree; the kernel drops them with a process's life.

`users.lock`       shared by every user for as long as it needs the server; the supervisor waits for it exclusively.
`supervisor.lock`  held by the supervisor for its whole life: there is never a second one.

Failure policy: a user that is stopped but not dead (SIGSTOP) keeps the server alive. Safe, only not thrifty.
"""

import os
import sys
from pathlib import Path

if sys.platform != "win32":  # where this must be importable, to say that it does not work there
    import fcntl

    SHARED = fcntl.LOCK_SH
    EXCLUSIVE = fcntl.LOCK_EX


def open_lock(path: Path) -> int:
    """A file descriptor, closed on exec, on the lock file, which is made when missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def acquire(descriptor: int, kind: int) -> None:
    """Wait for the lock."""
    fcntl.flock(descriptor, kind)


def try_acquire(descriptor: int, kind: int) -> bool:
    """Take the lock if that is possible at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """True while some process holds the lock exclusively."""
    descriptor = open_lock(path)
    try:
        return not try_acquire(descriptor, SHARED)
    finally:
        os.close(descriptor)
