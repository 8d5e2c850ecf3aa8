"""What is checked of the stack, in this order: each check leaves it as the next one finds it."""

import csv
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import trustme
import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.containers.stack import IMAGE, SandboxInside, Stack, documented
from crm_pipelines_tests.fixtures.compose import ROOT
from crm_pipelines_tests.patience import PATIENCE, wait_until

Check = Callable[[Stack], str]
"""Returns what was seen, in some words. Raises AssertionError where it is not as promised."""

_OUTSIDE = "crm-pipelines:outside"
"""The same image, of what is not updated with the stack."""
_OURS = ("code", "webserver", "daemon")
_MID_RUN = 40
"""Contacts of a run that is caught in the middle: at one request per second not more than one run takes."""
_CRM = "https://api.brevo.test/v3"
_AUTHORITY = trustme.CA()
_JSON = {"Content-Type": "application/json"}
_QUERY = json.dumps({"query": "{ version }"})

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
# The program of the container, which is the child of its init.
_SIGNAL = """
import os, pathlib, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
    if parent == "1":
        os.kill(int(folder.name), int(sys.argv[1]))
"""


def the_image_for_several_machines_is_built(stack: Stack) -> str:
    """With the packages of docs/scaling.md; the next check builds the other one."""
    stack.run("docker", "compose", "build", "--build-arg", "LOCK=cluster")
    imports = "import dagster_celery, dagster_k8s; print(dagster_celery.__version__, dagster_k8s.__version__)"
    versions = stack.run("docker", "run", "--rm", IMAGE, "python", "-c", imports).stdout.split()
    return f"dagster_celery {versions[-2]} and dagster_k8s {versions[-1]} are imported"


def the_image_is_built(stack: Stack) -> str:
    """The real Dockerfile; behind certificates of this machine's own, in the documented way."""
    stack.run("docker", "compose", "build")
    size = int(stack.run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE).stdout)
    return f"{size / 1e6:.0f} MB"


def it_holds_neither_secrets_nor_what_only_builds(stack: Stack) -> str:
    history = stack.run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE).stdout
    [image] = json.loads(stack.run("docker", "image", "inspect", IMAGE).stdout)
    shown = history + json.dumps(image["Config"])
    for value in stack.settings.values():
        assert len(value) < 8 or value not in shown, "a value of .env is in the image"
    assert not re.search(r"(?i)(password|api_key|token)=", shown), shown
    look = (
        "ls -A /root/.cache /run/secrets /etc/pip.conf 2>/dev/null; command -v gcc cc make git; "
        "ls /opt/venv/bin | grep -E '^(pip|flit)'; "
        "find / -xdev \\( -name .env -o -name '*.pem' -o -name '.git' \\) "
        "! -path '/etc/ssl/*' ! -name cacert.pem ! -path '/usr/*' ! -name roots.pem; true"
    )
    found = stack.run("docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", IMAGE, "-c", look).stdout
    assert not found.strip(), found
    return f"user {image['Config']['User']}"


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


def the_documented_import_takes_the_good_rows(stack: Stack) -> str:
    """The samples, some rows of which cannot be used."""
    folder = stack.folder / "import"
    folder.mkdir()
    shutil.copy(ROOT / "samples" / "contacts.csv", folder)
    [_, _, command] = documented("Start")
    told = stack.shell(command)
    rejected, given = (_addresses(path) for path in (folder / "contacts.rejects.csv", folder / "contacts.csv"))
    taken = int(stack.sql("SELECT count(*) FROM contacts"))
    assert rejected, told
    assert taken == len(given - rejected), told
    return f"{taken} contacts, and {len(rejected)} rows that cannot be used in contacts.rejects.csv"


def the_schedule_delivers_them(stack: Stack) -> str:
    [command] = documented("Start")[1:2]
    assert "check brevo" in command
    stack.inside("code", "crm-pipelines", "provision", "brevo")
    sandbox = SandboxInside(stack, "brevo-sandbox")
    due = "SELECT count(*) FROM contacts WHERE brevo_sync_status IN ('Selected', 'Queued', 'Processing')"
    wait_until(lambda: stack.sql(due) == "0", "nothing is due", poll_seconds=1)
    assert sandbox.contact("ada@example.com"), sandbox.contacts()
    delivered = stack.delivered("")
    assert delivered == len(sandbox.contacts()) > 10
    return f"{delivered} contacts"


def the_sandbox_is_reached_after_a_stop_of_code(stack: Stack) -> str:
    """And its account is still the same."""
    held = len(SandboxInside(stack, "brevo-sandbox").contacts())
    stack.compose("stop", "code")
    stack.up()
    asked = "import urllib.request; urllib.request.urlopen('http://brevo-sandbox:8085/_sandbox/state', timeout=60)"
    stack.inside("code", "python", "-c", asked)
    assert len(SandboxInside(stack, "brevo-sandbox").contacts()) == held > 0
    return "it answers, and holds what it held"


def the_pages_refuse_foreign_pages(stack: Stack) -> str:
    root = stack.port("webserver", 3000)

    def ask(**headers: str) -> int:
        spelt = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(f"{root}/graphql", _QUERY, headers=_JSON | spelt, timeout=PATIENCE).status_code

    assert ask() == 200
    assert ask(Origin="https://foreign.example") == 403
    assert ask(Host="foreign.example") == 421
    assert ask(Content_Type="text/plain") == 415
    assert requests.get(f"{root}/graphql", {"query": "{ version }"}, timeout=PATIENCE).status_code == 405
    assert _socket_status(root, Origin="https://foreign.example") == 403
    inside = """
import urllib.error, urllib.request
def ask(**headers):
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request("http://webserver:3000/graphql", b'{"query": "{ version }"}', headers)
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code
print(ask(), ask(Origin="https://foreign.example"), ask(Host="foreign.example"))
"""
    told = stack.inside("code", "python", "-c", inside).stdout.split()
    assert told == ["200", "403", "421"], told
    return "403, 405, 415, 421; from inside, too"


def a_second_daemon_is_refused(stack: Stack) -> str:
    ended = stack.run("docker", "compose", "up", "--detach", "--scale", "daemon=2", check=False)
    assert ended.returncode, ended.stdout
    stack.up()
    return ended.stdout.strip().splitlines()[-1][:100]


def proxy_and_certificates_are_passed_on(stack: Stack) -> str:
    """From here on Brevo is behind a proxy that opens TLS with certificates that nobody else trusts."""
    stack.compose("rm", "--stop", "--force", "brevo-sandbox")
    _put_brevo_behind_a_proxy(stack)
    stack.up()
    stack.inside("code", "crm-pipelines", "provision", "brevo")
    sandbox = _crm(stack)
    stack.add_contacts(1, "proxy")
    stack.wait_until_delivered(1, "proxy")
    assert len(sandbox.contacts()) == 1
    tunnels = stack.compose("logs", "proxy").count("CONNECT api.brevo.test:443")
    assert tunnels
    untrusting = stack.inside("code", "env", "-u", "REQUESTS_CA_BUNDLE", "crm-pipelines", "check", "brevo", check=False)
    assert untrusting.returncode, "without the certificates it must not be trusted"
    return f"{tunnels} tunnels"


def a_stop_lets_the_run_in_flight_end(stack: Stack) -> str:
    sandbox = _begin_run(stack, "stopped")
    with _told_to_stop(stack) as told, stack.start("docker", "compose", "stop", "code") as stopping:
        left = _left_when(told, sandbox, "stopped")
        assert stopping.wait(4 * PATIENCE) == 0
    assert stack.inspect("code")["State"]["ExitCode"] == 0
    return f"{_delivered_once(stack, sandbox, 'stopped')}, {left} of them after it was told to stop"


def an_update_lets_the_run_in_flight_end(stack: Stack) -> str:
    """To an image that is another one."""
    stack.up()
    sandbox = _begin_run(stack, "updated")
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
    sandbox = _begin_run(stack, "killed")
    began = stack.inspect("code")["State"]["StartedAt"]
    _signal(stack, "code", signal.SIGKILL)
    wait_until(lambda: stack.inspect("code")["State"]["StartedAt"] != began, "code is started again", poll_seconds=0.5)
    return _delivered_again(stack, sandbox, "killed")


def contacts_of_a_run_without_memory_go_again(stack: Stack) -> str:
    """The kernel ends the run, and nothing else."""
    _wait_for_health(stack, "code", "healthy")
    sandbox = _begin_run(stack, "memory")
    began = stack.inspect("code")["State"]["StartedAt"]
    told = stack.inside("code", "python", "-c", _USE_UP_MEMORY, check=False)
    # The kernel may end this program, too, before it sees that the run is gone.
    assert told.stdout.split()[:2] == ["1", "run"], told.stdout
    assert stack.inspect("code")["State"]["OOMKilled"]
    seen = _delivered_again(stack, sandbox, "memory")
    assert stack.inspect("code")["State"]["StartedAt"] == began
    return seen


def token_api_and_status_page_work(stack: Stack) -> str:
    make, start = documented("The HTTP API")[0].splitlines()
    [token] = re.findall(r"\bcrmp_\S+", stack.shell(make))
    stack.shell(start)
    root = stack.port("api", 8000)
    bearer = {"Authorization": f"Bearer {token}"}
    path = f"{root}/api/v3/crm/status/summary"
    codes = [requests.get(path, headers=headers, timeout=PATIENCE).status_code for headers in ({}, bearer)]
    page = requests.get(f"{root}/", timeout=PATIENCE)
    assert codes == [401, 200], codes
    assert page.status_code == 200, page.status_code
    assert "text/html" in page.headers["Content-Type"]
    host = stack.inspect("api")["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostIp"]
    assert host == "127.0.0.1"
    return "401 without a token, 200 with it; the status page answers"


def the_documented_backup_comes_back(stack: Stack) -> str:
    backup, restore = documented("Back up, restore")
    before = stack.sql("SELECT count(*) FROM contacts")
    stack.shell(backup)
    stack.add_contacts(3, "late")
    told = stack.shell(restore)
    assert stack.sql("SELECT count(*) FROM contacts") == before
    assert "restored" in told, told
    stack.add_contacts(1, "restored")
    stack.inside("code", "crm-pipelines", "gate", "open", "brevo")
    stack.wait_until_delivered(1, "restored")
    return f"{before} contacts; sending waited for a person"


def a_silent_program_is_unhealthy(stack: Stack) -> str:
    _signal(stack, "webserver", signal.SIGSTOP)
    _wait_for_health(stack, "webserver", "unhealthy")
    _signal(stack, "webserver", signal.SIGCONT)
    _wait_for_health(stack, "webserver", "healthy")
    return "webserver, while it is stopped"


def _signal(stack: Stack, service: str, number: signal.Signals) -> None:
    """Also SIGKILL, which Docker takes for what a person asked for when it sends it itself."""
    stack.inside(service, "python", "-c", _SIGNAL, str(int(number)), check=False)


def _wait_for_health(stack: Stack, service: str, status: str) -> None:
    wait_until(
        lambda: stack.inspect(service)["State"]["Health"]["Status"] == status,
        f"{service} is {status}",
        poll_seconds=1,
    )


def _addresses(file: Path) -> set[str]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return {row["Email"].casefold() for row in csv.DictReader(lines)}


def _crm(stack: Stack) -> SandboxInside:
    return SandboxInside(stack, "brevo-behind-proxy")


def _put_brevo_behind_a_proxy(stack: Stack) -> None:
    """As docs/deployment.md says, with a proxy on the network of the stack; and slowly, for the checks in mid-run."""
    certificate = _AUTHORITY.issue_cert("api.brevo.test")
    _AUTHORITY.cert_pem.write_to_path(str(stack.folder / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(stack.folder / "proxy.pem"))
    (stack.folder / "proxy.pem").chmod(0o644)
    shutil.copy(Path(__file__).with_name("relay.py"), stack.folder)
    [block] = documented("Proxies, and certificates of your own", "yaml")
    trusting = stack.folder / "trusting.yml"
    trusting.write_text(block.replace("./", f"{stack.folder}/"), encoding="utf-8")
    stack.run("docker", "tag", IMAGE, _OUTSIDE)
    bare = {"image": _OUTSIDE, "pull_policy": "never", "init": True, "read_only": True}
    relay = ["python", "/relay/relay.py", "/relay/proxy.pem", "/relay/proxy.pem"]
    volumes = [f"{stack.folder}/{name}:/relay/{name}:ro" for name in ("relay.py", "proxy.pem")]
    services: dict[str, Any] = {
        "proxy": {**bare, "command": relay, "volumes": volumes},
        "brevo-behind-proxy": {
            **bare,
            "command": ["crm-pipelines", "sandbox", "brevo"],
            "network_mode": "service:proxy",
            "tmpfs": ["/tmp:mode=1777"],
        },
    }
    behind = stack.folder / "behind.yml"
    behind.write_text(yaml.safe_dump({"services": services}), encoding="utf-8")
    stack.files += [trusting, behind]
    stack.settings.pop("COMPOSE_PROFILES")
    stack.settings |= {
        "BREVO_API_BASE_URL": _CRM,
        "BREVO_RATE_LIMIT_PER_SECOND": "1",
        "HTTPS_PROXY": "http://proxy:3128",
        "REQUESTS_CA_BUNDLE": "/etc/ca.pem",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def _begin_run(stack: Stack, name: str) -> SandboxInside:
    """A run of the schedule that has begun to send these contacts."""
    sandbox = _crm(stack)
    stack.add_contacts(_MID_RUN, name)
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
    left = _MID_RUN - _arrived(sandbox, name)
    assert left, "the run was over before"
    return left


def _delivered_once(stack: Stack, sandbox: SandboxInside, name: str) -> str:
    assert stack.delivered(name) == _MID_RUN, "the run has ended with all of them"
    sent = sandbox.deliveries()
    twice = [contact for contact, times in sent.items() if times > 1]
    assert not twice, twice
    return f"{_MID_RUN} contacts, each sent once"


def _delivered_again(stack: Stack, sandbox: SandboxInside, name: str) -> str:
    wait_until(lambda: stack.delivered(name) > 0, "the first are delivered", poll_seconds=1)
    stack.wait_until_delivered(_MID_RUN, name)
    emails = [contact["email"] for contact in sandbox.contacts() if contact["email"].startswith(name)]
    assert len(emails) == len(set(emails)) == _MID_RUN
    return f"{_MID_RUN} contacts, none lost"


def _socket_status(root: str, **headers: str) -> int:
    """The HTTP status with which a web socket is refused, or 101."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(root.replace("http", "ws") + "/graphql", additional_headers=headers, proxy=None):
            return 101
    except InvalidStatus as error:
        return int(error.response.status_code)


CHECKS: tuple[Check, ...] = (
    the_image_for_several_machines_is_built,
    the_image_is_built,
    it_holds_neither_secrets_nor_what_only_builds,
    all_are_healthy,
    they_may_do_little,
    ports_are_as_documented,
    the_documented_import_takes_the_good_rows,
    the_schedule_delivers_them,
    the_sandbox_is_reached_after_a_stop_of_code,
    the_pages_refuse_foreign_pages,
    a_silent_program_is_unhealthy,
    a_second_daemon_is_refused,
    proxy_and_certificates_are_passed_on,
    a_stop_lets_the_run_in_flight_end,
    an_update_lets_the_run_in_flight_end,
    contacts_of_a_killed_code_go_again,
    contacts_of_a_run_without_memory_go_again,
    token_api_and_status_page_work,
    the_documented_backup_comes_back,
)

NEEDED = {the_image_is_built, all_are_healthy}
"""Without these the others can say nothing."""
