"""Children never outlive us, and what happens to them is said in words."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from crm_pipelines.local.processes import (
    PortTakenError,
    ProcessError,
    Processes,
    free_port,
    free_port_or_explain,
)
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program

FAMILY = Path(__file__).with_name("family.py")

SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
PARENT = """
import sys
from pathlib import Path
from crm_pipelines.local.processes import Processes

folder, family, *options = sys.argv[1:]
with Processes(Path(folder) / "log") as processes:
    try:
        for name in ("first", "second"):
            made = Path(folder) / f"{name}.json"
            program = [sys.executable, family, folder, name, *options]
            processes.start(name, program, ready=made.exists, timeout=600, grace=0.5)
        print("up", flush=True)
        print(processes.wait(), flush=True)
    except KeyboardInterrupt:  # the signal was faster than wait()
        print(None, flush=True)
"""


def _family(folder: Path, name: str) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in json.loads((folder / f"{name}.json").read_text())]


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=PATIENCE)[1]


@pytest.mark.parametrize(
    ("end", "options"),
    [
        pytest.param(signal.SIGINT, [], id="Ctrl-C, polite"),
        pytest.param(signal.SIGTERM, ["--stubborn"], id="SIGTERM, stubborn"),
        pytest.param(signal.SIGKILL, [], id="SIGKILL, polite"),
        pytest.param(signal.SIGKILL, ["--stubborn"], id="SIGKILL, stubborn"),
    ],
)
def test_however_the_parent_ends_nothing_of_its_children_is_left(
    tmp_path: Path, end: signal.Signals, options: list[str]
) -> None:
    with program([sys.executable, "-c", PARENT, tmp_path, FAMILY, *options], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        everyone = _family(tmp_path, "first") + _family(tmp_path, "second")
        parent.send_signal(end)
        rest, _ = parent.communicate(timeout=PATIENCE)
        if end is signal.SIGKILL:
            assert _gone(everyone)
        else:
            assert rest == "None\n"
            assert parent.returncode == 0
            assert not [process for process in everyone if process.is_running()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_that_ends_a_program_is_heard_as_ctrl_c(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, say
    try:
        with Processes(tmp_path / "log"), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_what_a_killed_starters_program_waits_for_is_told_at_once_and_does_not_use_up_the_programs_grace(
    tmp_path: Path,
) -> None:
    waiting = (
        "import json, os, signal, subprocess, sys, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; "
        "signal.signal(signal.SIGTERM, signal.SIG_DFL); print(flush=True); signal.pause()'], stdout=subprocess.PIPE);"
        "child.stdout.readline(); new = pathlib.Path(sys.argv[1] + '.new');"
        "new.write_text(json.dumps([os.getppid(), os.getpid(), child.pid])); new.rename(sys.argv[1]);"
        "child.wait()"
    )
    made = tmp_path / "waiting.json"
    parent = (
        "import sys; from pathlib import Path; from crm_pipelines.local.processes import Processes\n"
        "with Processes(Path(sys.argv[1]).with_name('log')) as processes:\n"
        "    processes.start('waiting', [sys.executable, '-c', sys.argv[2], sys.argv[1]],\n"
        "                    ready=Path(sys.argv[1]).exists, grace=10 * int(sys.argv[3]))\n"
        "    print(flush=True); processes.wait()"
    )
    command = [sys.executable, "-c", parent, made, waiting, str(int(PATIENCE))]
    with program(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        starter.stdout.readline()
        family = _family(tmp_path, "waiting")
        starter.kill()
        assert _gone(family)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_background_job_of_a_script_which_begins_with_ctrl_c_ignored_can_still_be_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, tmp_path, FAMILY]
    with program(command, ignored=[signal.SIGINT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        for process in _family(tmp_path, "first"):
            ignored = int(Path(f"/proc/{process.pid}/status").read_text().split("SigIgn:")[1].split()[0], 16)
            assert not ignored & 1 << (signal.SIGINT - 1)
        parent.send_signal(signal.SIGINT)
        assert parent.communicate(timeout=PATIENCE)[0] == "None\n"


def test_under_nohup_a_hang_up_ends_nothing_and_sigterm_still_ends_all(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, tmp_path, FAMILY]
    ignored = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT]
    with program(command, ignored=ignored, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        family = _family(tmp_path, "first")
        parent.send_signal(signal.SIGHUP)
        assert all(process.is_running() for process in family)
        parent.send_signal(signal.SIGTERM)
        assert parent.communicate(timeout=PATIENCE)[0] == "None\n"
        assert not [process for process in family if process.is_running()]


def test_a_child_that_ends_by_itself_is_named_with_its_code_and_what_it_left_is_ended(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes:
        processes.start("short", [sys.executable, str(FAMILY), str(tmp_path), "short", "--leave"])
        ended = processes.wait()
        assert ended
        assert (ended.name, ended.code) == ("short", 3)
        assert "short has ended by itself with exit code 3" in processes.explain(ended)
        assert not any(psutil.pid_exists(pid) for pid in json.loads((tmp_path / "short.json").read_text()))


def test_a_killed_child_counts_as_ended_too(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes:
        made = tmp_path / "victim.json"
        processes.start("victim", [sys.executable, str(FAMILY), str(tmp_path), "victim"], ready=made.exists)
        family = _family(tmp_path, "victim")
        family[0].kill()
        ended = processes.wait()
        assert ended
        assert ended.code == 128 + signal.SIGKILL
        assert _gone(family)


def test_a_child_that_ends_before_it_is_ready_is_an_error(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes, pytest.raises(ProcessError, match="bad has ended by itself"):
        processes.start("bad", [sys.executable, "-c", "raise SystemExit(7)"], ready=lambda: False)


def test_a_child_that_does_not_become_ready_in_time_is_an_error(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes, pytest.raises(ProcessError, match=r"not ready within 0\.1 seconds"):
        processes.start("slow", SLEEP, ready=lambda: False, timeout=0.1)


def test_a_program_that_does_not_exist_is_an_error_that_the_log_explains(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes, pytest.raises(ProcessError):
        processes.start("none", [str(tmp_path / "none")], ready=lambda: False)
    assert "cannot be started: No such file or directory" in (tmp_path / "log").read_text()


def test_output_and_errors_go_to_the_log_under_the_childs_name(tmp_path: Path) -> None:
    with Processes(tmp_path / "log") as processes:
        processes.start("speaker", [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])
        processes.wait()
    assert {"speaker | out", "speaker | err"} <= set((tmp_path / "log").read_text().splitlines())


def test_the_environment_and_the_folder_are_those_asked_for(tmp_path: Path) -> None:
    show = "import os; print(os.environ['ASKED'], os.getcwd())"
    with Processes(tmp_path / "log") as processes:
        processes.start("child", [sys.executable, "-c", show], env={**os.environ, "ASKED": "for"}, cwd=tmp_path)
        processes.wait()
    assert f"child | for {tmp_path}" in (tmp_path / "log").read_text()


def test_signal_handlers_and_threads_are_as_before_afterwards(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers, threads = [signal.getsignal(number) for number in numbers], set(threading.enumerate())
    with Processes(tmp_path / "log") as processes:
        processes.start("sleeper", SLEEP)
    assert [signal.getsignal(number) for number in numbers] == handlers
    assert set(threading.enumerate()) <= threads  # one of another test may have ended meanwhile


def test_a_taken_port_is_explained_with_who_holds_it_and_a_free_one_is_fine() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            free_port_or_explain(port, "Dagster's web page", "--port")
        assert f"Port {port}, meant for Dagster's web page, is taken by" in str(caught.value)
        assert f"(process {os.getpid()})" in str(caught.value)

    def free_one_is_fine() -> bool:
        with contextlib.suppress(PortTakenError):  # somebody else was faster
            free_port_or_explain(free_port(), "Dagster's web page", "--port")
            return True
        return False

    wait_until(free_one_is_fine, "a free port is found to be free")


def test_nobody_else_can_read_the_log_or_what_a_child_writes(tmp_path: Path) -> None:
    written = tmp_path / "written"
    with Processes(tmp_path / "log") as processes:
        code = f"import pathlib; pathlib.Path({str(written)!r}).write_text('x')"
        processes.start("writer", [sys.executable, "-c", code])
        processes.wait()
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "log", written)] == ["0o600", "0o600"]
