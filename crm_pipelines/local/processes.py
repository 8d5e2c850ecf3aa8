"""Child processes that never outlive us: not after Ctrl-C, not after SIGTERM, not after SIGKILL.

Each child runs below a guard (see `guard`), which ends it and everything it started as soon as we are gone.
"""

import contextlib
import logging
import logging.handlers
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Self

import psutil

from crm_pipelines.errors import CrmPipelinesError

_LOG_BYTES = 5_000_000  # twice that on disk, with the previous file
_READY_POLL_SECONDS = 0.1
_STOP_MARGIN_SECONDS = 10


class ProcessError(CrmPipelinesError):
    """A program that is needed here could not be started."""


class PortTakenError(CrmPipelinesError):
    """A port that is needed here is taken."""


@dataclass(frozen=True)
class Ended:
    """A child that ended by itself, with its exit code (128 + n after signal n)."""

    name: str
    code: int


@dataclass(frozen=True)
class _Child:
    name: str
    guard: subprocess.Popen[str]
    grace: float
    reader: threading.Thread


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """Readable by its owner only."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=partial(os.open, mode=0o600))


class Processes:
    """Named child processes, stopped in reverse order at the end of the `with` block. For the main thread.

    Their output goes to `log`, each line after the child's name. In the block, SIGTERM and SIGHUP raise
    KeyboardInterrupt, as Ctrl-C does; only an ignored SIGHUP (nohup) stays ignored.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._children: list[_Child] = []
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._output = _PrivateLog(log, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # SIGINT too: a script's background job begins with it ignored, and with it ignored Dagster ignores SIGTERM.
        self._handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        if self._handlers[signal.SIGHUP] is signal.SIG_IGN:
            del self._handlers[signal.SIGHUP]
        for number in self._handlers:
            signal.signal(number, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        # An impatient second Ctrl-C would leave children to their guards; the stop is bounded anyway.
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            for child in reversed(self._children):
                _stop(child)
            self._output.close()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool] | None = None,
        timeout: float = 60,
        grace: float = 10,
    ) -> None:
        """Start a program and wait until `ready()` holds, at most `timeout` seconds.

        `env` is the whole environment; None: ours. At the end the program has `grace` seconds
        after SIGTERM, and so has then what it left behind.
        Raises ProcessError when the program, or one started before it, ends meanwhile, or the time is over.
        """
        guard = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "crm_pipelines.local.guard", str(grace), "--", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            cwd=cwd,
            umask=0o077,  # what it writes is nobody else's business
            start_new_session=True,  # Ctrl-C reaches only us
        )
        reader = threading.Thread(target=self._read, args=(name, guard), name=f"output of {name}", daemon=True)
        self._children.append(_Child(name, guard, grace, reader))
        reader.start()
        deadline = time.monotonic() + timeout
        while ready is not None and not ready():
            with contextlib.suppress(queue.Empty):
                raise ProcessError(self.explain(self._ended.get(timeout=_READY_POLL_SECONDS)))
            if time.monotonic() > deadline:
                raise ProcessError(f"{name} was not ready within {timeout:g} seconds; {self.log} may say why.")

    def wait(self) -> Ended | None:
        """The first child that ends by itself; None on Ctrl-C, SIGTERM or SIGHUP."""
        try:
            return self._ended.get()
        except KeyboardInterrupt:
            return None

    def explain(self, ended: Ended) -> str:
        """A sentence for the user."""
        return f"{ended.name} has ended by itself with exit code {ended.code}; {self.log} may say why."

    def _read(self, name: str, guard: subprocess.Popen[str]) -> None:
        assert guard.stdout
        for line in guard.stdout:
            self._output.handle(logging.LogRecord(name, logging.INFO, "", 0, f"{name} | {line.rstrip()}", None, None))
        self._ended.put(Ended(name, guard.wait()))


def _stop(child: _Child) -> None:
    assert child.guard.stdin
    with contextlib.suppress(BrokenPipeError):  # it has ended
        child.guard.stdin.write("stop")
        child.guard.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        child.guard.stdin.close()
    child.reader.join(4 * child.grace + _STOP_MARGIN_SECONDS)  # the guard's four steps
    if child.reader.is_alive():
        child.guard.kill()
    child.guard.wait()
    assert child.guard.stdout
    child.guard.stdout.close()


def free_port() -> int:
    """A port of this machine that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_port_or_explain(port: int, what: str, option: str) -> None:
    """Do nothing if `port` of this machine is free; else raise PortTakenError, naming the program that holds it.

    `what` is going to listen there, as in "Dagster's web page"; the command's `option` chooses another port.
    """
    _bound("127.0.0.1", socket.AF_INET, port, what, option).close()


def loopback_listeners(port: int, what: str, option: str) -> list[socket.socket]:
    """Sockets at this port of every loopback address that this machine has, ready to be listened at.

    Raises PortTakenError, in the words of `free_port_or_explain`.
    """
    sockets = [_bound("127.0.0.1", socket.AF_INET, port, what, option)]
    try:
        if _has_ipv6_loopback():
            sockets.append(_bound("::1", socket.AF_INET6, port, what, option))
    except PortTakenError:
        sockets[0].close()
        raise
    return sockets


def _has_ipv6_loopback() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def _bound(address: str, family: socket.AddressFamily, port: int, what: str, option: str) -> socket.socket:
    try:
        return socket.create_server((address, port), family=family)
    except PermissionError:
        raise PortTakenError(
            f"Port {port}, meant for {what}, is for the root user only: choose one above 1023 with {option}."
        ) from None
    except OSError:
        raise PortTakenError(
            f"Port {port}, meant for {what}, is taken by {_holder(port)}: end that program, "
            f"or choose another port with {option}."
        ) from None


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
