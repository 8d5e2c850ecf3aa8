"""What is checked of a run that is caught in the middle; Brevo is behind the proxy."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from crm_pipelines_tests.containers.outside import crm
from crm_pipelines_tests.containers.stack import IMAGE, SandboxInside, Stack
from crm_pipelines_tests.patience import PATIENCE, wait_until

MID_RUN = 40
"""Contacts of a run that is caught in the middle: at one request per second not more than one run takes."""

# Runs are the server's children; they are to be what the kernel ends when memory runs out.
_USE_UP_MEMORY = """
import os, pathlib, time
def is_run(folder):
    words = (folder / "cmdline").read_bytes()
    return b"multiprocessing" in words and b"resource_tracker" not in words and b"forkserver" not in words
runs = [folder for folder in pathlib.Path("/proc").glob("[0-9]*") if is_run(folder)]
for folder in runs:
    (folder / "oom_score_adj").write_text("1000")
print(len(runs), "run", flush=True)
taken = []
def lives(folder):
    # What was killed has no words any more, and after a while no folder.
    try:
        return (folder / "cmdline").read_bytes() != b""
    except OSError:
        return False
while runs and all(map(lives, runs)):
    taken.append(bytearray(b"x") * (16 << 20))
    time.sleep(0.02)
"""


def a_stop_lets_the_run_in_flight_end(stack: Stack) -> str:
    sandbox = begin_run(stack, "stopped")
    with _told_to_stop(stack) as told, stack.start("docker", "compose", "stop", "code") as stopping:
        left = _left_when(told, sandbox, "stopped")
        assert stopping.wait(4 * PATIENCE) == 0
    assert stack.inspect("code")["State"]["ExitCode"] == 0
    return f"{_delivered_once(stack, sandbox, 'stopped')}, {left} of them after it was told to stop"


def an_update_lets_the_run_in_flight_end(stack: Stack) -> str:
    """To an image that is another one."""
    stack.up()
    sandbox = begin_run(stack, "updated")
    before = stack.inspect("code")["Image"]
    stack.run("docker", "build", "--quiet", "--tag", IMAGE, "-", text=f"FROM {IMAGE}\nLABEL update=1\n")
    update = ("docker", "compose", "up", "--no-build", "--detach", "--wait")
    with _told_to_stop(stack) as told, stack.start(*update) as updating:
        left = _left_when(told, sandbox, "updated")
        assert updating.wait(4 * PATIENCE) == 0
    assert stack.inspect("code")["Image"] != before
    return f"{_delivered_once(stack, sandbox, 'updated')}, {left} of them after it was told to stop"


def contacts_of_a_killed_code_go_again(stack: Stack) -> str:
    """SIGKILL in mid-run, as after a crash: Docker starts it again, and the contacts go when nobody holds them."""
    sandbox = begin_run(stack, "killed")
    began = stack.inspect("code")["State"]["StartedAt"]
    stack.signal("code", signal.SIGKILL)
    wait_until(lambda: stack.inspect("code")["State"]["StartedAt"] != began, "code is started again", poll_seconds=0.5)
    return delivered_again(stack, sandbox, "killed")


def contacts_of_a_run_without_memory_go_again(stack: Stack) -> str:
    """The kernel ends the run, and nothing else."""
    stack.wait_for_health("code", "healthy")
    sandbox = begin_run(stack, "memory")
    began = stack.inspect("code")["State"]["StartedAt"]
    told = stack.inside("code", "python", "-c", _USE_UP_MEMORY, check=False)
    # The kernel may end this program, too, before it sees that the run is gone.
    assert told.stdout.split()[:2] == ["1", "run"], told.stdout
    assert stack.inspect("code")["State"]["OOMKilled"]
    seen = delivered_again(stack, sandbox, "memory")
    assert stack.inspect("code")["State"]["StartedAt"] == began
    return seen


def begin_run(stack: Stack, name: str) -> SandboxInside:
    """A run of the schedule that has begun to send these contacts."""
    sandbox = crm(stack)
    stack.add_contacts(MID_RUN, name)
    wait_until(lambda: _arrived(sandbox, name), f"a run sends {name}", poll_seconds=0.5)
    return sandbox


def _arrived(sandbox: SandboxInside, name: str) -> int:
    return sum(contact["email"].startswith(name) for contact in sandbox.contacts())


@contextmanager
def _told_to_stop(stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """A program that prints a line as soon as `code` gets a signal from Docker."""
    wanted = ("--filter", "event=kill", "--filter", f"container={stack.container('code')}")
    since = ("--since", str(int(time.time())))
    with stack.start("timeout", str(PATIENCE), "docker", "events", *since, *wanted) as events:
        try:
            yield events
        finally:
            events.terminate()


def _left_when(told: subprocess.Popen[str], sandbox: SandboxInside, name: str) -> int:
    """How many contacts the run still had to send when `code` was told to stop."""
    assert told.stdout
    assert "signal=15" in told.stdout.readline(), "code was not told to stop"
    left = MID_RUN - _arrived(sandbox, name)
    assert left, "the run was over before"
    return left


def _delivered_once(stack: Stack, sandbox: SandboxInside, name: str) -> str:
    assert stack.delivered(name) == MID_RUN, "the run has ended with all of them"
    sent = sandbox.deliveries()
    twice = [contact for contact, times in sent.items() if times > 1]
    assert not twice, twice
    return f"{MID_RUN} contacts, each sent once"


def delivered_again(stack: Stack, sandbox: SandboxInside, name: str) -> str:
    wait_until(lambda: stack.delivered(name) > 0, "the first are delivered", poll_seconds=1)
    stack.wait_until_delivered(MID_RUN, name)
    emails = [contact["email"] for contact in sandbox.contacts() if contact["email"].startswith(name)]
    assert len(emails) == len(set(emails)) == MID_RUN
    return f"{MID_RUN} contacts, none lost"
