"""Children that end with the process that started them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` for `subprocess`: the kernel sends `sent` to the child when this process dies. Linux only.

    To be used from the main thread: the kernel's rule is the death of the *thread* that started the child
    (prctl(2), PR_SET_PDEATHSIG).
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(sent))
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec
