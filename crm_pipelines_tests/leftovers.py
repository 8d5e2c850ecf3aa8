"""No process that a test has started outlives the tests, in whatever way they end.

All are known by a variable in their environment, which children inherit.
"""

import os
import secrets

import psutil

from crm_pipelines_tests.patience import PATIENCE

VARIABLE = "PYTEST_SESSION_OF_CRM_PIPELINES"
"""To be passed on to a program that is started with an environment of its own."""


def mark() -> None:
    """Let all that is started from now on belong to this session, or to that which this process belongs to."""
    os.environ.setdefault(VARIABLE, secrets.token_hex(8))


def find() -> list[psutil.Process]:
    """The processes of this session that still live, without this one."""
    own = os.environ[VARIABLE]
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(VARIABLE) == own and not _ends_with_us(process):
                found.append(process)
        except psutil.Error:  # it has ended, or is somebody else's
            continue
    return found


def _ends_with_us(process: psutil.Process) -> bool:
    """Python's own helpers (fork server, resource tracker) read from a pipe of ours until it is closed."""
    return process.ppid() == os.getpid() and any(word.startswith("from multiprocessing") for word in process.cmdline())


def end() -> list[str]:
    """Kill what does not end by itself; returns its command lines."""
    _, left = psutil.wait_procs(find(), timeout=PATIENCE)
    lines = []
    for process in left:
        try:
            lines.append(f"{process.pid} {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return lines
