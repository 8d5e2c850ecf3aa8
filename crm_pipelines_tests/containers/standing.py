"""What is checked of the stack as it stands."""

import signal

import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.containers.stack import SandboxInside, Stack

_OURS = ("code", "webserver", "daemon")
# What a process in the container says of itself.
_LIMITS = """
import os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
paths = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
memory = next(pathlib.Path(path).read_text().strip() for path in paths if os.path.exists(path))
written = []
for folder in ("/", "/opt/dagster/home", "/opt/venv", "/etc"):
    try:
        pathlib.Path(folder, "written").touch()
        written.append(folder)
    except OSError:
        pass
print(os.getuid(), os.getgid(), int(status["CapEff"], 16) | int(status["CapBnd"], 16), int(status["NoNewPrivs"]),
      memory, ",".join(written) or "nothing")
"""


def all_are_healthy(stack: Stack) -> str:
    stack.up()
    for service in stack.services():
        health = stack.inspect(service)["State"]["Health"]
        assert health["Status"] == "healthy", (service, health)
    assert {"postgres", *_OURS, "brevo-sandbox"} <= set(stack.services())
    assert stack.inspect("migrate")["State"]["ExitCode"] == 0
    return ", ".join(sorted(stack.services()))


def they_may_do_little(stack: Stack) -> str:
    """Read-only file systems, user, capabilities, new privileges, limits: as Docker has them, and from inside."""
    wanted = yaml.safe_load(stack.compose("config"))["services"]
    for service in stack.services():
        found = stack.inspect(service)["HostConfig"]
        assert found["ReadonlyRootfs"], service
        assert found["SecurityOpt"] == ["no-new-privileges:true"], service
        limits = wanted[service]["deploy"]["resources"]["limits"]
        assert found["Memory"] == int(limits["memory"]), service
        assert found["NanoCpus"] == int(float(limits["cpus"]) * 1e9), service
    for service in (*_OURS, "brevo-sandbox"):
        memory = wanted[service]["deploy"]["resources"]["limits"]["memory"]
        told = stack.inside(service, "python", "-c", _LIMITS).stdout.split()
        assert told == ["10001", "10001", "0", "1", str(memory), "nothing"], (service, told)
    return "uid 10001, no capabilities, no new privileges, nothing written, limits in force"


def ports_are_as_documented(stack: Stack) -> str:
    published: dict[str, list[str]] = {}
    for service in stack.services():
        for inside, bound in (stack.inspect(service)["NetworkSettings"]["Ports"] or {}).items():
            published |= {f"{service} {inside}": sorted(one["HostIp"] for one in bound or [])}
    published = {name: hosts for name, hosts in published.items() if hosts}
    assert published == {"webserver 3000/tcp": ["127.0.0.1"]}, published
    return "webserver alone, on 127.0.0.1"


def the_sandbox_is_reached_after_a_stop_of_code(stack: Stack) -> str:
    """And its account is still the same."""
    held = len(SandboxInside(stack, "brevo-sandbox").contacts())
    stack.compose("stop", "code")
    stack.up()
    asked = "import urllib.request; urllib.request.urlopen('http://brevo-sandbox:8085/_sandbox/state', timeout=60)"
    stack.inside("code", "python", "-c", asked)
    assert len(SandboxInside(stack, "brevo-sandbox").contacts()) == held > 0
    return "it answers, and holds what it held"


def a_silent_program_is_unhealthy(stack: Stack) -> str:
    stack.signal("webserver", signal.SIGSTOP)
    stack.wait_for_health("webserver", "unhealthy")
    stack.signal("webserver", signal.SIGCONT)
    stack.wait_for_health("webserver", "healthy")
    return "webserver, while it is stopped"


def a_second_daemon_is_refused(stack: Stack) -> str:
    ended = stack.run("docker", "compose", "up", "--detach", "--scale", "daemon=2", check=False)
    assert ended.returncode, ended.stdout
    stack.up()
    return ended.stdout.strip().splitlines()[-1][:100]
