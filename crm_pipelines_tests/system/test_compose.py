"""The services of docker-compose.yml outside containers: their very commands, health checks and environments.

Only what a container would have of its own is put in its place: host names, ports, and the folders of the image.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from psycopg import sql

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.local.embedded import EmbeddedPostgres, embedded_postgres
from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines_tests import leftovers
from crm_pipelines_tests.fixtures.compose import ROOT, entrypoint, load_services
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE, wait_until

# Any character is allowed: the password is in no URL.
_PASSWORD = "p@ss/w:rd#?&%41'\\ \""
_SERVICES_PASSWORD = f"another {_PASSWORD}"
_ENV_FILE = {
    "POSTGRES_PASSWORD": _PASSWORD,
    "POSTGRES_SERVICES_PASSWORD": _SERVICES_PASSWORD,
    # What is inside must not go this way: nobody listens there.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "BREVO_API_KEY": "sandbox",
    "BREVO_API_BASE_URL": "http://127.0.0.1:8085/v3",
    "BREVO_RATE_LIMIT_PER_SECOND": "100",
    # So that the schedule does not deliver what the test wants to launch by itself.
    "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "1440",
}


class Stack:
    """The services, each with what it would find in its container."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path) -> None:
        self._services = load_services(_ENV_FILE)
        self._ports = {name: str(_free_port()) for name in ("3000", "4000", "8000", "8085")} | {
            "5432": str(postgres.port)
        }
        self._home = folder / "home"
        self._log = folder / "log"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.root_of_sandbox = self.here("http://127.0.0.1:8085")
        self.root_of_webserver = self.here("http://127.0.0.1:3000")
        self.root_of_api = self.here("http://127.0.0.1:8000")

        (self._home / "storage").mkdir(parents=True)
        shutil.copy(ROOT / "dagster.yaml", self._home)
        workspace = self.here((ROOT / "deploy" / "workspace.yaml").read_text(encoding="utf-8"))
        (self._home / "workspace.yaml").write_text(workspace, encoding="utf-8")

    def here(self, text: str) -> str:
        """A text that names hosts, ports and folders of containers, for this machine."""
        text = re.sub(r"\b(?:3000|4000|5432|8000|8085)\b", lambda match: self._ports[match[0]], text)
        text = re.sub(r"@postgres:|0\.0\.0\.0|(?<=host: )code\b|(?<=//)webserver\b", _to_loopback, text)
        return text.replace("/opt/dagster/migrate.py", str(ROOT / "deploy" / "migrate.py"))

    def environment(self, service: str) -> dict[str, str]:
        """What the image and docker-compose.yml set, and nothing else."""
        path = [Path(sys.executable).parent, find_binaries(None).folder, "/usr/bin", "/bin"]
        image = {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": "/nonexistent",
            "DAGSTER_HOME": str(self._home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            leftovers.VARIABLE: os.environ[leftovers.VARIABLE],
        }
        given: dict[str, str] = self._services[service].get("environment", {})
        return image | {name: self.here(value) for name, value in given.items()}

    @contextlib.contextmanager
    def engine(self, variable: str) -> Iterator[sa.Engine]:
        """The database that this variable names for `code`."""
        url = sa.make_url(self.environment("code")[variable])
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg", password=_SERVICES_PASSWORD))
        try:
            yield engine
        finally:
            engine.dispose()  # else the connection of a test that failed would be another one's failure

    def run_to_end(self, service: str) -> None:
        process = self._start(service, self._services[service]["command"])
        assert process.wait(PATIENCE) == 0, self.log()

    def start(self, *services: str) -> None:
        """Start them together, and wait until all are healthy."""
        for service in services:
            self._running[service] = self._start(service, self._services[service]["command"])
        for service in services:
            self.wait_until_healthy(service)

    def wait_until_healthy(self, service: str) -> None:
        def healthy() -> bool:
            process = self._running.get(service)
            assert process is None or process.poll() is None, f"{service} has ended.\n{self.log()}"
            return self.is_healthy(service)

        wait_until(healthy, lambda: f"{service} is healthy.\n{self.log()}")

    def is_healthy(self, service: str) -> bool:
        """What the health check says."""
        return self._start(service, self._services[service]["healthcheck"]["test"][1:]).wait(PATIENCE) == 0

    def terminate(self, service: str) -> subprocess.Popen[bytes]:
        """Send the signal that Docker sends."""
        process = self._running[service]
        process.send_signal(signal.SIGTERM)
        return process

    def stop(self, service: str) -> None:
        """Ends in an orderly way: neither killed nor with an error."""
        self.wait_for_the_end(self.terminate(service))

    def wait_for_the_end(self, process: subprocess.Popen[bytes]) -> None:
        """In an orderly way, within minutes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        assert process.returncode == 0, f"{process.args!r}: {process.returncode}\n{self.log()}"

    def new_token(self) -> str:
        """What `docker compose run --rm api crm-pipelines tokens create` prints."""
        command = ["crm-pipelines", "tokens", "create", "test", "--scope", "read", "--scope", "write"]
        program = shutil.which(command[0], path=self.environment("api")["PATH"])
        assert program
        return subprocess.run(
            [program, *command[1:]],
            cwd=self._home,
            env=self.environment("api"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout.strip()

    def files(self) -> set[str]:
        """What is in DAGSTER_HOME."""
        return {path.name for path in self._home.iterdir()}

    def kill_what_is_left(self) -> None:
        for process in self._running.values():
            # The group: a run is a child of the code server.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-10_000:]

    def _start(self, service: str, command: list[str]) -> subprocess.Popen[bytes]:
        environment = self.environment(service)
        words = [*entrypoint(), *(self.here(word) for word in command)]
        program = shutil.which(words[0], path=environment["PATH"])
        assert program, f"{words[0]} is not installed"
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [program, *words[1:]],
                cwd=self._home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_ignore_signals,
            )


def _ignore_signals() -> None:
    """As an init may leave them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The stack on a Postgres of its own that holds what the image of Postgres would have made."""
    with temporary_folder() as folder, embedded_postgres(folder / "postgres", settings=FAST) as postgres:
        image = load_services(_ENV_FILE)["postgres"]["environment"]
        assert image["POSTGRES_USER"] == postgres.user
        postgres.create_database(image["POSTGRES_DB"])
        with postgres.connect() as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(postgres.user), image["POSTGRES_PASSWORD"])
            )
        stack = Stack(postgres, folder)
        try:
            yield stack
        finally:
            stack.kill_what_is_left()


def test_the_stack_delivers_a_contact_and_a_stop_lets_the_run_in_flight_end(stack: Stack) -> None:
    stack.wait_until_healthy("postgres")
    stack.run_to_end("migrate")
    stack.start("code")
    token = stack.new_token()
    stack.start("webserver", "daemon", "api", "brevo-sandbox")
    sandbox = BrevoSandbox(stack.root_of_sandbox)
    sandbox.fault("hold", method="POST", path="/contacts$", times=1)
    with stack.engine("CRM_DATABASE_URL") as contacts, stack.engine("DAGSTER_POSTGRES_URL") as dagster:
        people = People(contacts)
        [contact] = people.add()
        run_id = _trigger(stack.root_of_api, token, str(contact))
        sandbox.wait_for_requests(1, method="POST", path="/contacts$")

        # At once: the request under way has a deadline.
        code = stack.terminate("code")
        with pytest.raises(subprocess.TimeoutExpired):
            code.wait(2)
        sandbox.release()
        stack.wait_for_the_end(code)
        stack.stop("api")
        stack.stop("webserver")
        stack.stop("daemon")

        assert len(sandbox.contacts()) == 1
        assert people.states() == {"synced": 1}
        with dagster.connect() as connection:
            query = sa.text("SELECT status FROM runs WHERE run_id = :run_id")
            assert connection.scalar(query, {"run_id": run_id}) == "SUCCESS"
        stack.run_to_end("migrate")
        assert people.states() == {"synced": 1}, "a second migration changes nothing"
    sandbox.close()
    stack.stop("brevo-sandbox")
    assert not any(map(stack.is_healthy, ["code", "webserver", "api", "brevo-sandbox"]))
    # All else is read-only in a container. Dagster does without the two folders of its telemetry, which is off.
    assert stack.files() <= {"dagster.yaml", "workspace.yaml", "storage", "logs", ".logs_queue"}


def test_the_documented_backup_comes_back_with_all_rights_and_sends_nothing(stack: Stack, tmp_path: Path) -> None:
    stack.run_to_end("migrate")
    backup, restore = _documented("Back up, restore")
    server = {"PGHOST": "127.0.0.1", "PGPORT": stack.here("5432"), "PGPASSWORD": _PASSWORD}
    environment = stack.environment("code") | server

    def shell(script: str) -> None:
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True)

    with stack.engine("CRM_DATABASE_URL") as contacts:
        people = People(contacts)
        people.add(2)
        shell(backup)
        people.add(1)
        contacts.dispose()
        shell(restore)
        stack.run_to_end("migrate")
        assert people.states() == {"queued": 2}
        assert GateKeeper(contacts, "brevo").reserve(1, 10.0) is None
        told = subprocess.run(
            ["crm-pipelines", "gate"], env=stack.environment("code"), capture_output=True, text=True, check=True
        )
        assert "This database was restored or copied" in told.stdout
        assert GateKeeper(contacts, "brevo").open_by_hand().pause_kind == "restored"
        assert GateKeeper(contacts, "brevo").reserve(1, 10.0) is not None


def _documented(section: str) -> list[str]:
    """The shell commands of that section of docs/deployment.md for the container `postgres`, one script per block."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    [body] = re.findall(rf"^## {section}\n(.*?)^## ", text, flags=re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```sh\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE)
    inside = (re.sub(r"docker compose exec -T postgres ", "", block) for block in blocks)
    return [re.sub(r"^docker compose .*$", "", script, flags=re.MULTILINE) for script in inside]


def _to_loopback(match: re.Match[str]) -> str:
    return "@127.0.0.1:" if match[0].startswith("@") else "127.0.0.1"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _trigger(root: str, token: str, contact: str) -> str:
    """The id of the run that the API has had Dagster start."""
    answer = requests.post(
        f"{root}/api/v3/contacts/crm/sync/trigger",
        json={"contact_id": contact, "crm": "brevo"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE,
    )
    told: dict[str, Any] = answer.json()
    assert answer.status_code == 202, told
    assert told["run_url"].endswith(f"/runs/{told['run_id']}"), told
    return str(told["run_id"])
