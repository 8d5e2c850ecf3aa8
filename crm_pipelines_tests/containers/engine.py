"""A Docker that runs: this machine's, or one of our own.

Our own lives in namespaces of its own (network, mounts, processes): its addresses, firewall rules and containers are
not seen by the machine, all its ports are free, and the kernel ends everything with its first process, however that
ends. Its way to the outside is slirp4netns, an ordinary program.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from crm_pipelines_tests.containers.archive import Archive
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program

CACHE = Path(os.environ.get("CRM_PIPELINES_CONTAINERS_DIR") or Path.home() / ".cache/crm-pipelines/containers")
FOLDER = Path("/run/crm-pipelines-containers")
"""Where a file system in memory is mounted, which is gone with the namespaces."""
_RESOLVER = "10.0.2.3"
"""Where slirp4netns answers questions about names."""


def docker_answers(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a daemon answers the client."""
    if shutil.which("docker", path=environment.get("PATH")) is None:
        return False
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(asked, env=environment, capture_output=True, check=False).returncode == 0


def run_in_namespaces(arguments: Sequence[str]) -> int:
    """Run this module's package again with these arguments, in namespaces of its own; returns its exit code.

    Raises click.ClickException where this is no Debian, or somebody who is not root.
    """
    if os.geteuid() or not all(map(shutil.which, ("apt-get", "dpkg-deb", "unshare"))):
        raise click.ClickException("Without a Docker that answers this needs Debian, and root: start Docker.")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(f"Somebody else is using {CACHE}: try again when they are done.") from None
        archive = Archive(CACHE)
        archive.fetch_engine()
        try:
            return _in_namespaces([sys.executable, "-m", __package__, *arguments], archive.environment)
        finally:
            if FOLDER.exists():
                FOLDER.rmdir()


def _in_namespaces(command: Sequence[str], tools: Mapping[str, str]) -> int:
    # Each ends with us, however we end.
    bound = ["setpriv", "--pdeathsig", "SIGKILL"]
    separate = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
    waiting = ["sh", "-c", 'read go && exec "$@" </dev/null', "sh", *command]
    with program([*bound, *separate, *waiting], stdin=subprocess.PIPE) as inside:
        wait_until(lambda: _has_own_network(inside.pid), "the namespaces are there")
        reading, writing = os.pipe()
        options = ["--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={writing}"]
        slirp = [*bound, "slirp4netns", *options, str(inside.pid), "tap0"]
        # In a session of its own: Ctrl-C is for the checks, which need the network until they have ended in order.
        with program(
            slirp,
            env=os.environ | tools,
            pass_fds=[writing],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            os.close(writing)
            if not os.read(reading, 1):
                raise click.ClickException("slirp4netns has ended: is there a /dev/net/tun?")
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            assert inside.stdin
            inside.stdin.write("go\n")
            inside.stdin.close()
            return inside.wait()


def _has_own_network(pid: int) -> bool:
    return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


@contextmanager
def own_engine() -> Iterator[dict[str, str]]:
    """A daemon in the namespaces that we are in, with stand-ins for base images; yields its client's environment."""
    archive = Archive(CACHE)
    environment = _prepared(archive)
    folder = Path(environment["DOCKER_HOST"].removeprefix("unix://")).parent
    daemon = [
        *("dockerd", "--host", environment["DOCKER_HOST"], "--data-root", CACHE / "data"),
        *("--exec-root", folder / "exec", "--pidfile", folder / "pid"),
        *("--userland-proxy-path", archive.root / "usr/sbin/docker-proxy"),
        *("--init-path", archive.root / "usr/bin/tini-static"),
    ]
    log = CACHE / "dockerd.log"
    given = os.environ | environment | archive.environment
    with (
        log.open("w") as written,
        program(daemon, env=given, stdout=written, stderr=written, start_new_session=True) as process,
    ):
        client = dict(os.environ) | environment | {"PATH": archive.environment["PATH"]}

        def answers() -> bool:
            if process.poll() is not None:
                raise click.ClickException(f"dockerd has ended:\n{log.read_text(encoding='utf-8')[-2000:]}")
            return docker_answers(client)

        wait_until(answers, "dockerd answers", poll_seconds=0.2)
        _remove_what_is_left(client)
        archive.make_images(client)
        try:
            yield client
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _prepared(archive: Archive) -> dict[str, str]:
    """Loopback, names and folders of the namespaces; returns what tells a client where the daemon is."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    FOLDER.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", FOLDER], check=True)
    resolver = FOLDER / "resolv.conf"
    resolver.write_text(f"nameserver {_RESOLVER}\n", encoding="utf-8")
    subprocess.run(["mount", "--bind", resolver, Path("/etc/resolv.conf").resolve()], check=True)
    return {"DOCKER_HOST": f"unix://{FOLDER}/docker.sock", "DOCKER_CONFIG": str(archive.root / "config")}


def _remove_what_is_left(client: Mapping[str, str]) -> None:
    """Of a run that was killed: the daemon would start its containers anew."""
    ids = subprocess.run(
        ["docker", "ps", "--all", "--quiet"], env=client, capture_output=True, text=True, check=True
    ).stdout.split()
    if ids:
        subprocess.run(["docker", "rm", "--force", *ids], env=client, capture_output=True, check=True)
    for kind in ("volume", "network"):
        options = ["--all"] if kind == "volume" else []
        subprocess.run(["docker", kind, "prune", "--force", *options], env=client, capture_output=True, check=True)
