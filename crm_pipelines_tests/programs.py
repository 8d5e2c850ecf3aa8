"""Programs that tests start and send signals to."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_NOT_ALWAYS_DEFAULT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


@contextmanager
def program(
    argv: Sequence[Any], *, ignored: Sequence[signal.Signals] = (), **popen: Any
) -> Iterator[subprocess.Popen[str]]:
    """A child that is gone at the end, also when the test fails.

    It begins as from a terminal, with `ignored` alone ignored, however the tests themselves were started: nohup and a
    script's background jobs pass ignored signals on.
    """

    def set_signals() -> None:
        for number in _NOT_ALWAYS_DEFAULT:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    with subprocess.Popen(argv, text=True, preexec_fn=set_signals, **popen) as process:
        try:
            yield process
        finally:
            process.kill()
