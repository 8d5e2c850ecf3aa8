"""The stack of docker-compose.yml as a check uses it: documented commands as they stand, and what came of them."""

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping
from json import dumps, loads
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.fixtures.compose import ROOT, load_yaml
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE, wait_until

PROJECT = "crm-pipelines-containers"
IMAGE = f"{PROJECT}:local"
"""Not that of docker-compose.yml, which a stack of somebody's may use."""
_LABEL = f"{PROJECT}=yes"
_OUTSIDE = {"HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
_LONGEST_COMMAND = 6 * PATIENCE
_ASK = """
import json, sys, urllib.error, urllib.parse, urllib.request
method, path, body = json.loads(sys.argv[1])
request = urllib.request.Request("http://127.0.0.1:8085/_sandbox/" + path, method=method)
request.add_header("Content-Type", "application/json")
data = None if body is None else json.dumps(body).encode()
print(urllib.request.urlopen(request, data, timeout=300).read().decode())
"""
# The program of the container, which is the child of its init.
_SIGNAL = """
import os, pathlib, sys
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
    if parent == "1":
        os.kill(int(folder.name), int(sys.argv[1]))
"""


class Failed(AssertionError):
    """A command that was to end well has not."""


class Stack:
    """The services of one project; `files` are Compose's, of which a check may add some, `settings` what is in .env."""

    def __init__(self, client: Mapping[str, str], folder: Path, files: list[Path], settings: dict[str, str]) -> None:
        # What is set in the shell would win over .env.
        read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))) | _OUTSIDE
        self._client = {name: value for name, value in client.items() if name not in read}
        self.folder = folder
        self.files = files
        self.settings = settings

    def run(
        self, *command: str | Path, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as somebody would beside docker-compose.yml. Raises Failed unless it may fail."""
        self._write_settings()
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self._client | self._variables(),
            check=False,
            text=True,
            input=text,
            stdin=None if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LONGEST_COMMAND,
        )
        if check and ended.returncode:
            raise Failed(f"{' '.join(map(str, command))[:300]}: {ended.returncode}\n{ended.stdout[-2000:]}")
        return ended

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Begin a command whose end comes later."""
        self._write_settings()
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._client | self._variables(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What `docker compose …` prints."""
        return self.run("docker", "compose", *arguments, check=check).stdout

    def shell(self, script: str) -> str:
        """What a documented script prints."""
        return self.run("bash", "-e", "-c", script).stdout

    def up(self, *more: str) -> None:
        """Start, as documented, and wait until all are healthy."""
        self.compose("up", "--detach", "--wait", *more)

    def inside(self, service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command in the container of a service that runs."""
        return self.run("docker", "compose", "exec", "-T", service, *command, check=check)

    def signal(self, service: str, number: signal.Signals) -> None:
        """Also SIGKILL, which Docker takes for what a person asked for when it sends it itself."""
        self.inside(service, "python", "-c", _SIGNAL, str(int(number)), check=False)

    def sql(self, query: str, database: str = "contacts") -> str:
        """The first column of the first row."""
        told = self.inside("postgres", "psql", "-U", "crm_pipelines", "-d", database, "-qAtc", query)
        return told.stdout.strip()

    def container(self, service: str) -> str:
        """The id of its newest container, running or not."""
        return self.compose("ps", "--all", "--quiet", service).split()[-1]

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of its container."""
        [found] = loads(self.run("docker", "inspect", self.container(service)).stdout)
        return dict(found)

    def services(self) -> list[str]:
        """Those that run."""
        return self.compose("ps", "--services", "--status", "running").split()

    def port(self, service: str, inside: int) -> str:
        """The URL at which this machine reaches a published port."""
        return f"http://{self.compose('port', service, str(inside)).strip()}"

    def add_contacts(self, count: int, name: str) -> None:
        """Contacts with addresses of their own, selected."""
        self.sql(
            f"INSERT INTO contacts (email, name) SELECT '{name}' || n || '@example.com', 'Person ' || n "
            f"FROM generate_series(1, {count}) AS n; "
            f"UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' "
            f"WHERE email LIKE '{name}%'"
        )

    def delivered(self, name: str) -> int:
        """How many of them Brevo has, as the view says."""
        count = "SELECT count(*) FROM contacts WHERE brevo_sync_status = 'Complete' AND email"
        return int(self.sql(f"{count} LIKE '{name}%'"))

    def wait_until_delivered(self, count: int, name: str) -> None:
        wait_until(
            lambda: self.delivered(name) == count,
            lambda: f"{count} of {name} are delivered: {self.inside('code', 'crm-pipelines', 'status').stdout}",
            poll_seconds=1,
        )

    def wait_for_health(self, service: str, status: str) -> None:
        wait_until(
            lambda: self.inspect(service)["State"]["Health"]["Status"] == status,
            f"{service} is {status}",
            poll_seconds=1,
        )

    def remove(self) -> None:
        """All containers, networks, volumes and images."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
        images = self.run("docker", "image", "ls", "--all", "--quiet", "--filter", f"label={_LABEL}").stdout.split()
        if images:
            self.run("docker", "image", "rm", "--force", *set(images), check=False)

    def _variables(self) -> dict[str, str]:
        return {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": os.pathsep.join(map(str, self.files)),
            "COMPOSE_ENV_FILES": str(self.folder / ".env"),
            "COMPOSE_PROGRESS": "plain",
        }

    def _write_settings(self) -> None:
        lines = [f"{name}='{value}'" for name, value in self.settings.items()]
        (self.folder / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")


class SandboxInside(BrevoSandbox):
    """The sandbox in a container: it answers on its loopback only."""

    def __init__(self, stack: Stack, service: str) -> None:
        super().__init__("http://127.0.0.1:8085")
        self._stack, self._service = stack, service

    def control(self, method: str, path: str, json: Any = None, query: dict[str, Any] | None = None) -> Any:
        """As of any sandbox, from inside."""
        body = {} if json is None and method == "POST" else json
        whole = f"{path}?{urlencode(query)}" if query else path
        told = self._stack.inside(self._service, "python", "-c", _ASK, dumps([method, whole, body])).stdout
        return loads(told) if told.strip() else None

    def deliveries(self) -> Counter[str]:
        """How many requests changed each contact."""
        return Counter(one["ext_id"] for one in self.requests(path=DELIVERIES) if one["ext_id"] and one["applied"])


def image_of_its_own(folder: Path) -> Path:
    """A file for Compose in which the image has another name."""
    services = load_yaml("docker-compose.yml")["services"]
    ours: dict[str, dict[str, Any]] = {
        name: {"image": IMAGE} for name, given in services.items() if given["image"] == "crm-pipelines:local"
    }
    ours["migrate"]["build"] = {"labels": [_LABEL]}
    override = folder / "image.yml"
    override.write_text(yaml.safe_dump({"services": ours}), encoding="utf-8")
    return override


def documented(section: str, language: str = "sh", *, document: str = "deployment.md") -> list[str]:
    """The blocks of this language in a section of a document, in order."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    [body] = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(rf"^```{language}\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE)
