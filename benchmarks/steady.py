"""A process that runs brevo_sync again and again, and its keeper, which starts another when it ends.

It prints a line of JSON for each run, and ends when its standard input does. Arguments: at most so many contacts in a
run, seconds between two looks for something due, and a file with eight bytes: the seconds by which this process's clock
(`time.time`) is ahead.
"""

import json
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.setting import ROOT, Stage
from crm_pipelines.queue.claims import Queue

_CLOCK = struct.Struct("d")
_LONGEST_START = 120.0
_BETWEEN_LOOKS = 60.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run. `ended` is a monotonic time, `queue` are milliseconds of the queue's statements by name."""

    ended: float
    seconds: float
    success: bool
    synced: int
    peak_mb: float
    queue: dict[str, float] = field(default_factory=dict)


class Steady:
    """Delivers on this stage as long as the block lasts. `runs` are those that have ended, `starts` the processes."""

    def __init__(self, there: Stage, *, limit: int, pause: float = 0.1, **environment: str) -> None:
        self.runs: list[Run] = []
        self.starts = 0
        self._clock = there.folder / f"clock-{id(self)}"
        self._log = there.folder / "steady.log"
        self.set_clock(0.0)
        self._command = [sys.executable, "-m", "benchmarks.steady", str(limit), str(pause), str(self._clock)]
        self._environment = there.environment(environment)
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._process is not None:
            _end(self._process)
        self._keeper.join(_LONGEST_START)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        if self._process is not None:
            self._process.kill()

    def set_clock(self, ahead: float) -> None:
        """From now on the clock of its process is so many seconds ahead of the machine's."""
        self._clock.write_bytes(_CLOCK.pack(ahead))

    def megabytes(self) -> float:
        """Resident memory of the process; 0 while there is none."""
        try:
            return psutil.Process(self._process.pid).memory_info().rss / 2**20 if self._process else 0.0
        except psutil.NoSuchProcess:
            return 0.0

    def wait_for_runs(self, count: int) -> None:
        """Until so many more have ended. Raises TimeoutError after two minutes."""
        aim, give_up = len(self.runs) + count, time.monotonic() + _LONGEST_START
        while len(self.runs) < aim:
            if time.monotonic() > give_up:
                raise TimeoutError(f"No run came to its end: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _keep(self) -> None:
        while not self._over.is_set():
            with (
                self._log.open("a") as log,
                subprocess.Popen(
                    self._command,
                    env=self._environment,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                ) as process,
            ):
                self._process, self.starts = process, self.starts + 1
                if self._over.is_set():
                    _end(process)
                assert process.stdout is not None
                for line in process.stdout:
                    self.runs.append(Run(**json.loads(line)))


def main() -> None:
    limit, pause, clock = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    _follow(clock)
    queue: dict[str, float] = defaultdict(float)
    _watch(queue)
    from crm_pipelines.orchestration.resources import Destination
    from crm_pipelines.orchestration.sync.run_now import run_now

    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    looked = -_BETWEEN_LOOKS
    while not over.is_set():
        with Destination("brevo").open() as account:
            if time.monotonic() >= looked + _BETWEEN_LOOKS:
                _bury(account.queue)
                looked = time.monotonic()
            due = account.queue.anything_due()
        if not due:
            over.wait(pause)
            continue
        queue.clear()
        started = time.monotonic()
        result = run_now("brevo", limit=limit)
        ended = time.monotonic()
        told = Run(
            ended=ended,
            seconds=ended - started,
            success=result.success,
            synced=result.counts.get("synced", 0),
            peak_mb=psutil.Process().memory_info().rss / 2**20,
            queue=dict(queue),
        )
        print(json.dumps(vars(told)), flush=True)  # noqa: T201 - the keeper reads it


def _end(process: "subprocess.Popen[str]") -> None:
    """After its run. A signal would be Dagster's while one goes on."""
    assert process.stdin is not None
    process.stdin.close()


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _bury(queue: Queue) -> None:
    """Report runs of dead processes as failed, as each tick of the schedule does: what they held goes back."""
    from crm_pipelines.orchestration.instance import dagster_instance
    from crm_pipelines.orchestration.sync.ended_runs import bury_if_dead
    from crm_pipelines.orchestration.sync.schedules import ACTIVE
    from crm_pipelines.orchestration.sync.tags import runs_of

    with dagster_instance() as instance:
        for record in instance.get_run_records(runs_of("brevo_sync", ACTIVE)):
            bury_if_dead(instance, record, queue)


def _follow(clock: Path) -> None:
    """Whoever asks `time.time` what time it is, Dagster too, is told that of the file."""
    now = time.time
    time.time = lambda: now() + float(_CLOCK.unpack(clock.read_bytes())[0])


def _watch(queue: dict[str, float]) -> None:
    """Adds up how long the queue's statements take, commit included."""

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def ask(self: Queue, name: str, *given: Any, **parameters: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(self, name, *given, **parameters)
            finally:
                queue[name] += 1000 * (time.perf_counter() - started)

        return ask

    Queue._all = timed(Queue._all)  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
