"""Named points at which a test can let this process die, stand still, fail or be late.

`CRM_PIPELINES_FAULT` holds what is to happen, such as `after_send:kill` or `before_claim:delay:0.2,after_claim:stop:3`:
point, action, and at which passage (the first, unless told otherwise; for `delay` the seconds, at every passage).
The variable is for tests only, so it is no setting; unset, a point costs one look at an empty dictionary.
"""

import os
import signal
import threading
import time
from collections.abc import Callable

VARIABLE = "CRM_PIPELINES_FAULT"

POINTS = (
    "before_release",
    "after_release",
    "before_rescue",
    "after_rescue",
    "before_claim",
    "after_claim",
    "before_renew",
    "after_renew",
    "before_intend",
    "after_intend",
    "before_fence",
    "before_send",
    "after_send",
    "before_record",
    "after_record",
    "before_apply",
    "after_apply",
)
"""Of a database call, `before_` is ahead of its commit, with the statement executed; `after_` is right behind it.
`before_fence`: a request has its turn, its claim is yet to be looked at; `before_send`: nothing but the request
follows; `after_send`: the delivery has come to its outcome, which nobody else knows."""


class InjectedFault(Exception):
    """A test wanted this."""


def _die(_: float) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(_: float) -> None:
    # To this thread: it stands still before the call returns. Sent to the process, another thread may take the signal,
    # and this one runs on for a moment.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _raise(_: float) -> None:
    raise InjectedFault


_ACTIONS: dict[str, Callable[[float], None]] = {
    "kill": _die,
    "stop": _stop,
    "raise": _raise,
    "delay": time.sleep,
}


class _Fault:
    """One action at one point."""

    def __init__(self, action: str, number: float) -> None:
        self._act = _ACTIONS[action]
        self._number = number
        self._every_time = action == "delay"
        self._passages = 0
        self._lock = threading.Lock()

    def pass_by(self) -> None:
        with self._lock:
            self._passages += 1
            due = self._every_time or self._passages == self._number
        if due:
            self._act(self._number)


def _read(text: str) -> dict[str, _Fault]:
    faults = {}
    for part in filter(None, text.split(",")):
        point, _, rest = part.partition(":")
        action, _, number = rest.partition(":")
        if point not in POINTS or action not in _ACTIONS:
            raise ValueError(f"{VARIABLE}: expected point:action or point:action:number, got {part}")
        faults[point] = _Fault(action, float(number or 1))
    return faults


_faults = _read(os.environ.get(VARIABLE, ""))


def arm() -> None:
    """Read the variable anew: for a process that was forked from one that had imported this module."""
    _faults.clear()
    _faults.update(_read(os.environ.get(VARIABLE, "")))


def fault_point(name: str) -> None:
    """Nothing, unless a test wants otherwise."""
    if _faults and (fault := _faults.get(name)) is not None:
        fault.pass_by()
