"""The small detached process that owns Postgres: `python -m crm_pipelines.local.embedded.supervisor FOLDER`.

It starts Postgres as its child, says so in one line of JSON on standard output, and stops it when no process holds
`users.lock` any more. A Postgres that is killed meanwhile is started anew on the same port. The kernel drops that lock
on any kind of death, so no user has to say goodbye, and no user's end stops a server that others need. If this process
itself is killed, the kernel tells Postgres to stop (Linux); elsewhere the next start stops the left-over Postgres
first.
"""

import argparse
import collections
import contextlib
import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.embedded import locks
from crm_pipelines.local.embedded.cluster import Cluster, choose_port
from crm_pipelines.local.embedded.errors import from_os_error, from_output
from crm_pipelines.local.embedded.layout import Layout

_LOG_BYTES = 5_000_000  # twice that on disk, with the previous file
_PORT_ATTEMPTS = 5
# Fast shutdown writes everything out; if that takes this long, the disk hangs, and recovery at the next start does it.
_STOP = ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10))


class _LogPump(threading.Thread):
    """Copies Postgres' log from the pipe to a file of bounded size, and sees when the server is ready."""

    def __init__(self, server: subprocess.Popen[str], log: Path) -> None:
        super().__init__(name="postgres-log", daemon=True)
        self.tail: collections.deque[str] = collections.deque(maxlen=30)
        self.ready = False
        self.settled = threading.Event()  # ready, or ended
        self._server = server
        self._log = logging.handlers.RotatingFileHandler(log, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")

    def run(self) -> None:
        assert self._server.stderr
        for line in self._server.stderr:
            self.tail.append(line)
            self._log.emit(logging.LogRecord("postgres", logging.INFO, "", 0, line.rstrip("\n"), None, None))
            if "database system is ready to accept connections" in line:
                self.ready = True
                self.settled.set()
        self._log.close()
        self.settled.set()


def main() -> None:
    """Start Postgres, report, and stay until it ends."""
    arguments = _parse()
    if os.fork():  # the starter need not wait for us, and we are nobody's zombie
        os._exit(0)
    os.umask(0o077)
    layout = Layout(arguments.folder)
    # Never closed: the lock is to fall with this process, after everything else has.
    if not locks.try_acquire(locks.open_lock(layout.supervisor_lock), locks.EXCLUSIVE):
        _report({"taken": True})  # by one that another user started; it serves ours as well
        return
    try:
        cluster = Cluster(layout, arguments.bin, dict(setting.split("=", 1) for setting in arguments.set))
        cluster.prepare()
        server, pump = _start(cluster)
    except CrmPipelinesError as error:
        _report({"error": str(error)})
        sys.exit(1)
    except OSError as error:
        _report({"error": str(from_os_error(error, layout.folder))})
        sys.exit(1)
    _report({"ready": True})
    _keep(cluster, server, pump)


def _keep(cluster: Cluster, server: subprocess.Popen[str], pump: _LogPump) -> None:
    """Until Postgres is stopped; one that was killed is started anew."""
    present = [server]
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        present[0].send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    watch = threading.Thread(target=_stop_when_unused, args=(present, stopping, cluster.layout), daemon=True)
    watch.start()
    while True:
        present[0].wait()
        pump.join()
        if stopping.is_set() or present[0].returncode == 0:
            return
        cluster.prepare()  # ends what the killed one has left behind
        present[0], pump = _start(cluster)
        if stopping.is_set():  # meanwhile
            stop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="crm_pipelines.local.embedded.supervisor")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bin", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def _start(cluster: Cluster) -> tuple[subprocess.Popen[str], _LogPump]:
    for _ in range(_PORT_ATTEMPTS):
        port = choose_port(cluster.layout)
        cluster.layout.port.write_text(f"{port}\n")
        server = cluster.start(port)
        pump = _LogPump(server, cluster.layout.log)
        pump.start()
        pump.settled.wait()
        if pump.ready:
            return server, pump
        server.wait()
        if not any("could not bind" in line for line in pump.tail):  # else somebody was faster to that port
            break
    raise from_output("starting", "".join(pump.tail), cluster.place)


def _stop_when_unused(present: list[subprocess.Popen[str]], stopping: threading.Event, layout: Layout) -> None:
    # Held until this process ends: a user that comes now waits, and then starts a new server.
    locks.acquire(locks.open_lock(layout.users_lock), locks.EXCLUSIVE)
    stopping.set()
    for sent, patience in _STOP:
        present[0].send_signal(sent)
        try:
            present[0].wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return


def _report(message: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the starter was killed; others may be waiting for this server
        print(json.dumps(message), flush=True)  # noqa: T201 - the starter reads it
    # The starter reads to the end of the pipe, so this process must let go of it.
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


if __name__ == "__main__":
    main()
