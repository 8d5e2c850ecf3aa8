"""A program with offspring of every kind, for tests: writes `NAME.json` with all process ids, then waits.

One child in its own session, one orphan of a dead child, and with `--stubborn` all of them ignore SIGTERM.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

WAIT = "import signal, sys; {}; print(flush=True); signal.pause()"


def main() -> None:
    folder, name, *options = sys.argv[1:]
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if "--stubborn" in options else "pass"
    if "--stubborn" in options:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waiter = [sys.executable, "-IS", "-c", WAIT.format(ignore)]
    own_session = subprocess.Popen(waiter, stdout=subprocess.PIPE, start_new_session=True)
    assert own_session.stdout
    own_session.stdout.readline()
    start_orphan = (
        f"import subprocess; p = subprocess.Popen({waiter!r}, stdout=subprocess.PIPE, start_new_session=True)"
    )
    orphan = subprocess.run(
        [
            sys.executable,
            "-IS",
            "-c",
            f"{start_orphan}; p.stdout.readline(); print(p.pid, flush=True); import os; os._exit(0)",
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    pids = [os.getpid(), os.getppid(), own_session.pid, int(orphan.stdout)]
    new = Path(folder) / f"{name}.new"
    new.write_text(json.dumps(pids))
    new.rename(Path(folder) / f"{name}.json")
    if "--leave" in options:
        os._exit(3)
    signal.pause()


main()
