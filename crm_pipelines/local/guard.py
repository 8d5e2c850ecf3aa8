"""A process between ours and a child of it: `python -m crm_pipelines.local.guard GRACE -- PROGRAM ARGUMENT...`.

It starts the program in a session of its own, and ends with its exit code. When its standard input closes, it ends the
program: SIGTERM, and SIGKILL after GRACE seconds. Without a word on that input its starter has died, in whatever way;
what the program has started then gets SIGTERM at the same time, since nobody has asked it to end in an orderly way. In
any case it ends afterwards everything that the program has left behind in the same manner: on Linux orphans below this
process become its children (PR_SET_CHILD_SUBREAPER), so that none escapes.

A program that starts an embedded Postgres would lose it in this way, and so would that server's other users: give
such programs CRM_DATABASE_URL.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import psutil

from crm_pipelines.local.embedded.parent_death import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run the program to its end, and sweep up after it."""
    grace, separator, *argv = sys.argv[1:]
    if separator != "--" or not argv:
        sys.exit("usage: guard GRACE -- PROGRAM ARGUMENT...")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        program = subprocess.Popen(  # noqa: S603
            argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM)
        )
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be started: {error.strerror}")
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    known: set[psutil.Process] = set()
    stopping = threading.Event()
    stopper = threading.Thread(target=_stop_at_end_of_input, args=(program, float(grace), known, stopping), daemon=True)
    stopper.start()
    code = program.wait()
    if stopping.is_set():
        stopper.join()
    _sweep(known, float(grace))
    # Not sys.exit: the thread above may hold standard input.
    os._exit(code if code >= 0 else 128 - code)


def _stop_at_end_of_input(
    program: subprocess.Popen[bytes], grace: float, known: set[psutil.Process], stopping: threading.Event
) -> None:
    asked = False
    while os.read(0, 1024):
        asked = True
    stopping.set()
    known.update(psutil.Process().children(recursive=True))  # where orphans do not come to us
    if not asked:
        _send_to_all(known, psutil.Process.terminate)
        psutil.wait_procs(known, timeout=grace)
        _send_to_all(known, psutil.Process.kill)
        return
    program.terminate()
    try:
        program.wait(grace)
    except subprocess.TimeoutExpired:
        program.kill()


def _sweep(known: set[psutil.Process], grace: float) -> None:
    for end in (psutil.Process.terminate, psutil.Process.kill, psutil.Process.kill):
        left = known | set(psutil.Process().children(recursive=True))
        if not left:
            break
        _send_to_all(left, end)
        psutil.wait_procs(left, timeout=grace)


def _send_to_all(processes: set[psutil.Process], end: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            end(process)


if __name__ == "__main__":
    main()
