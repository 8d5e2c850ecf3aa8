"""Processes that run the real job against a database and a sandbox, to be killed, stopped and continued.

They are forked from a process that has everything imported (multiprocessing's forkserver), so that one costs no more
than its run.
"""

import ctypes
import mmap
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.execution.api import execute_run
from dagster._utils.interrupts import capture_interrupts

from crm_pipelines import faults
from crm_pipelines.crms import transport
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.hubspot import Hubspot
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.delivery import fence, planning
from crm_pipelines.delivery.single import courier
from crm_pipelines.orchestration.sync import sending, taking
from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.at_most_once import at_most_once
from crm_pipelines_tests.fixtures import postbox
from crm_pipelines_tests.patience import PATIENCE, wait_until

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Clock:
    """Seconds by which a worker's clock is ahead, shared with it through a file; stands in for the module time."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._ahead = ctypes.c_double.from_buffer(self._memory)

    def advance(self, by: timedelta) -> None:
        self._ahead.value += by.total_seconds()

    def clock_gettime(self, clock_id: int) -> float:
        return time.clock_gettime(clock_id) + self._ahead.value

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead.value


class Worker:
    """One process that runs the job as often as `runs` says, each time for at most so many contacts."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        *,
        fault: str = "",
        runs: int = 1,
        scale: float = 1.0,
        most: int | None = None,
    ) -> None:
        handle, clock = tempfile.mkstemp(dir=folder, prefix="clock-")
        os.write(handle, bytes(8))
        os.close(handle)
        self.clock = Clock(Path(clock))
        self.log = Path(clock.replace("clock-", "log-"))
        variables = {**environment, faults.VARIABLE: fault}
        self._process = _CONTEXT.Process(target=_work, args=(variables, clock, str(self.log), runs, scale, most))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait_until_stopped(self) -> None:
        """Return once the process stands still, at a fault point or by a signal."""
        process = psutil.Process(self.pid)
        wait_until(lambda: process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}, "the worker stands still")
        assert self._process.is_alive(), f"the worker ended before its fault: {self.log.read_text()[-2000:]}"

    def send(self, signal_number: int) -> None:
        """Nothing happens to one that has ended."""
        if self._process.is_alive():
            os.kill(self.pid, signal_number)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def wait(self) -> int:
        """The exit code; negative: the signal that ended it."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        assert code is not None, f"the worker does not end: {self.log.read_text()[-2000:]}"
        return code

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()


@contextmanager
def started(worker: Worker) -> Iterator[Worker]:
    """Ends the worker at the end of the block."""
    try:
        yield worker
    finally:
        worker.close()


def _work(variables: Mapping[str, str], clock: str, log: str, runs: int, scale: float, most: int | None) -> None:
    os.environ.update(variables)
    if "TZ" in variables:
        time.tzset()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    faults.arm()
    vars(fence)["time"] = vars(transport)["time"] = Clock(Path(clock))
    if scale != 1.0:
        _make_short(scale)
    if days := float(variables.get("CRM_PIPELINES_TEST_DAYS", 0)):
        _set_clock(days)
    if variables.get("CRM_PIPELINES_TEST_AT_MOST_ONCE"):
        at_most_once(pytest.MonkeyPatch())
    if poison := variables.get("CRM_PIPELINES_TEST_POISON"):
        be_poisoned_by(poison)
    postbox.join()
    home = variables.get("DAGSTER_HOME")
    with (
        capture_interrupts(),  # as in Dagster's own run worker: no signal ends the process by itself
        dg.DagsterInstance.from_config(home) if home else dg.DagsterInstance.ephemeral() as instance,
    ):
        job = sync_job(load_settings().destination(variables.get("CRM_PIPELINES_TEST_CRM", "brevo")))
        if run_id := variables.get("CRM_PIPELINES_TEST_RUN"):
            _execute(instance, run_id, variables)
            return
        for _ in range(runs):
            config = {"ops": {"fetch_queued_contacts": {"config": {"limit": most}}}} if most else {}
            job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)


def _execute(instance: dg.DagsterInstance, run_id: str, variables: Mapping[str, str]) -> None:
    """Execute this very run, though another process may do so: as after Dagster's guard, which reads and then acts."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        run = instance.create_run_for_job(job_to_execute(), run_id=run_id)
    execute_run(dg.reconstructable(job_to_execute), run.with_status(dg.DagsterRunStatus.NOT_STARTED), instance)


def job_to_execute() -> dg.JobDefinition:
    """The job that the environment of the process names; batches are as small as the setting says."""
    planning._BATCH_SECONDS = 0
    brevo = load_settings().destination(os.environ.get("CRM_PIPELINES_TEST_CRM", "brevo"))
    processes = int(os.environ.get("CRM_PIPELINES_TEST_PROCESSES", "1"))
    return sync_job(brevo.model_copy(update={"sync_processes": processes}))


def _make_short(scale: float) -> None:
    """Scale every time that the protocol rests on, so that a storm sees many leases end."""
    for client in (Brevo, Hubspot):
        assert client.__init__.__kwdefaults__ is not None
        client.__init__.__kwdefaults__["longest_request"] *= scale
    vars(fence)["TRUST"] *= scale
    vars(courier)["DELIVERY_LEASE"] *= scale
    for module in (sending, taking):
        vars(module)["CLAIM_LEASE"] *= scale / 10  # runs are as short
    vars(transport)["LONGEST_LARGE_REQUEST"] *= scale
    vars(taking)["IMPORT_SILENCE"] *= scale
    vars(planning)["BULK_REST"] *= scale / 60  # a storm has many an import come to nothing
    for name in ("IMPORT_SILENCE", "IMPORT_PATIENCE", "TRUST"):
        vars(planning)[name] *= scale
    assert Brevo.aside is not None
    Brevo.aside = replace(Brevo.aside, refill=Brevo.aside.refill * scale)


def _set_clock(days: float) -> None:
    """Of the process: what the time is, by every way in which this package and Dagster ask for it in Python."""
    now = time.time
    time.time = lambda: now() + days * 86_400


def be_poisoned_by(contact_id: str) -> None:
    """Let this process end without a word when it is to deliver the contact, as a crash in C code would."""
    deliver = Brevo.deliver

    def crash(self: Brevo, contacts: Sequence[Sendable], **more: Any) -> list[Outcome | None]:
        if any(one.external_id == contact_id for one in contacts):
            os._exit(1)
        return deliver(self, contacts, **more)

    Brevo.deliver = crash  # type: ignore[method-assign]
