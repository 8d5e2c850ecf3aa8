"""Makes the pictures of one installation, all of one moment: docs/images.

Starts `crm-pipelines up` with the sandbox in a folder of its own, and delivers 300 made-up people. Their times
are moved back over a day, so that the charts have one. Then some are refused, some meet an outage, and some wait. Needs
Chromium; takes some minutes.
"""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from crm_pipelines.database import migrating
from crm_pipelines.database.connecting import create_engine
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines.local.processes import free_port
from crm_pipelines_tests.fixtures.dagster_pages import DagsterPages
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.projects import ForeignProject
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, sandbox_server
from crm_pipelines_tests.patience import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
_PROGRAM = Path(sys.executable).with_name("crm-pipelines")
_FIRST = ("Ada", "Björn", "Chloé", "Dilek", "Emil", "Fátima", "Grace", "Hedy", "Ines", "Jürgen", "Katharina", "Luca")
_LAST = ("Almeida", "Brandt", "Costa", "Dubois", "Eriksson", "Fischer", "García", "Horváth", "Ivanova", "Jansen")
_REFUSED = {"code": "invalid_parameter", "message": "email is not valid"}
_MOVE_BACK = """
UPDATE crm_attempts SET started_at = started_at - d.back, finished_at = finished_at - d.back
  FROM (SELECT contact_id AS id, (abs(hashtext(contact_id::text)) % 1380 + 20) * interval '1 minute' AS back
          FROM crm_syncs) d WHERE contact_id = d.id;
INSERT INTO crm_queue_depths (crm, at, due, waiting, claimed)
SELECT 'brevo', date_trunc('minute', now()) - n * interval '10 minutes', (50 + 45 * sin(n / 7.0))::int, 4, 2
  FROM generate_series(1, 143) n ON CONFLICT DO NOTHING;
"""


class Installation:
    """`crm-pipelines up`, and the commands beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._dagster, self._sandbox, self._api = free_port(), free_port(), free_port()
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "CRM_POSTGRES_BIN") if name in os.environ}
        self._of_up = kept | {
            "CRM_PIPELINES_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder / "home"),
            "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "30",  # so that what waits still does when its picture is taken
        }
        self._beside = self._of_up | {"BREVO_API_KEY": "sandbox", "BREVO_API_BASE_URL": f"{self.sandbox}/v3"}

    @property
    def dagster(self) -> str:
        return f"http://127.0.0.1:{self._dagster}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self._sandbox}"

    @property
    def status_page(self) -> str:
        return f"http://127.0.0.1:{self._api}"

    @property
    def token(self) -> str:
        return (self.folder / "data" / "api-token").read_text(encoding="utf-8").strip()

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        home = self.folder / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        said = self.folder / "up.txt"
        ports = ["--port", self._dagster, "--api-port", self._api, "--sandbox-port", self._sandbox]
        with said.open("wb") as terminal:
            process = subprocess.Popen(  # noqa: S603
                [_PROGRAM, "up", *map(str, ports)], env=self._of_up, cwd=ROOT, stdout=terminal, stderr=terminal
            )
        try:
            wait_until(lambda: self._is_ready(process, said), "up is ready")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()

    @staticmethod
    def _is_ready(process: subprocess.Popen[bytes], said: Path) -> bool:
        text = said.read_text(encoding="utf-8")
        if process.poll() is not None:
            sys.exit(text)
        return "Stop: Ctrl-C" in text

    def run(self, *command: str, check: bool = True, given: str | None = None) -> str:
        done = subprocess.run(  # noqa: S603
            [_PROGRAM, *command], env=self._beside, cwd=ROOT, check=check, input=given, capture_output=True, text=True
        )
        return done.stdout

    def bring_in(self, people: list[dict[str, str]]) -> None:
        file = self.folder / "people.csv"
        with file.open("w", encoding="utf-8", newline="") as text:
            rows = csv.DictWriter(text, list(people[0]))
            rows.writeheader()
            rows.writerows(people)
        self.run("contacts", "import", str(file), "--select", "brevo")

    def told(self, *faults: dict[str, Any]) -> None:
        """From now on the sandbox makes these faults, and no others."""
        requests.delete(f"{self.sandbox}/_sandbox/faults", timeout=10)
        requests.post(f"{self.sandbox}/_sandbox/faults", json=list(faults), timeout=10).raise_for_status()

    def contact(self, email: str) -> str:
        return f"{self.status_page}/contacts/{json.loads(self.run('why', email, '--json'))['id']}"


def people(numbers: range) -> list[dict[str, str]]:
    found = []
    for number in numbers:
        first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
        found.append(
            {
                "Email": f"person{number:03}@example.com",
                "First name": first,
                "Last name": last,
                "Phone": f"+49 30 901820{number:03}",
                "Company": ("Acme", "Umbrella Books", "Blue Bakery")[number % 3],
                "Plan": ("free", "pro")[number % 2],
            }
        )
    return found


def play_a_day(installation: Installation) -> None:
    run = installation.run
    installation.bring_in(people(range(280)))
    run("provision", "brevo")
    run("sync", "brevo")
    run("db", "psql", "--", "-q", "-c", _MOVE_BACK)
    refused = [f"person{number}@example.com" for number in (281, 287, 293, 299)]
    away = [f"person{number}@example.com" for number in (282, 288, 294, 300, 305, 306)]
    installation.told(
        *({"action": "status", "status": 400, "email": email, "body": _REFUSED} for email in refused),
        *({"action": "status", "status": 503, "email": email, "body": {"message": "maintenance"}} for email in away),
    )
    installation.bring_in(people(range(280, 310)))
    run("sync", "brevo", check=False)
    installation.told()
    run("suppress", *(f"person{number:03}@example.com" for number in (10, 11, 12)), "--reason", "asked us to stop")
    installation.bring_in([{**one, "Plan": "team"} for one in people(range(20, 46))])


def signed_in(browser: Browser, installation: Installation, *, dark: bool = False) -> Page:
    page = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark" if dark else "light"
    ).new_page()
    page.goto(f"{installation.status_page}/sign-in")
    page.get_by_label("Token").fill(installation.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{installation.status_page}/")
    return page


def keep(page: Page, name: str, *, height: int | None = None) -> None:
    """The whole page, or its upper part of `height` pixels."""
    path = IMAGES / f"{name}.png"
    if height is None:
        page.screenshot(path=path, full_page=True)
    else:
        page.set_viewport_size({"width": 1280, "height": height})
        page.screenshot(path=path)
    click.echo(path.relative_to(ROOT))


def of_the_status_page(browser: Browser, installation: Installation) -> None:
    light, dark = signed_in(browser, installation), signed_in(browser, installation, dark=True)
    for page, name in ((light, "status-light"), (dark, "status-dark")):
        page.goto(installation.status_page)
        keep(page, name)
    light.goto(installation.contact("person001@example.com"))
    light.get_by_role("button", name="Compare with Brevo now").click()
    light.get_by_role("heading", name="What Brevo holds now").wait_for()
    keep(light, "contact-light")
    dark.goto(installation.contact("person281@example.com"))
    keep(dark, "contact-dark")
    light.goto(installation.sandbox)
    keep(light, "sandbox", height=800)


def of_dagster(browser: Browser, installation: Installation, pages: DagsterPages) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    delivering = next(one for one in reversed(pages.runs()) if "crm-pipelines/sync" in one["tags"])
    shown = (
        ("run", f"/runs/{delivering['runId']}", "RUN_SUCCESS", 1000),
        ("checks", "/assets/brevo/contacts?view=checks", "attempts_succeed", 900),
        ("automation", "/automation", "brevo_sync_schedule", 740),
    )
    for name, path, seen, height in shown:
        page.goto(f"{installation.dagster}{path}")
        page.get_by_text(seen).first.wait_for()
        page.wait_for_load_state("networkidle")
        keep(page, name, height=height)
    page.goto(f"{installation.dagster}/assets/brevo/contacts")
    page.get_by_role("button", name="Plots").click()
    page.get_by_text("attempts_24h").first.wait_for()
    keep(page, "asset", height=900)


def of_the_report(browser: Browser, installation: Installation, pages: DagsterPages) -> None:
    run = pages.launch_job("daily_report", "brevo__daily_report")
    pages.wait(run, "SUCCESS")
    report = max((installation.folder / "data" / "reports").glob("*.html"))
    page = browser.new_context(viewport={"width": 1000, "height": 800}).new_page()
    page.goto(report.as_uri())
    page.screenshot(path=IMAGES / "report.png")


def of_a_foreign_project(browser: Browser, folder: Path) -> None:
    """A shop's Dagster in which our component stands twice, once it has delivered what the shop brought in."""
    with (
        embedded_postgres(folder / "postgres") as server,
        sandbox_server() as brevo,
        sandbox_server() as brevo_eu,
    ):
        server.create_database("contacts")
        migrating.upgrade(server.url("contacts"))
        BrevoSandbox(brevo_eu).configure(organization="60c1d2e3f4a5b6c7d8e9fa0b")
        os.environ |= {
            "CRM_DATABASE_URL": server.url("contacts"),
            "CRM_DESTINATIONS": "brevo,brevo_eu:brevo",
            **{f"{name}_API_KEY": "sandbox" for name in ("BREVO", "BREVO_EU")},
            "BREVO_API_BASE_URL": f"{brevo}/v3",
            "BREVO_EU_API_BASE_URL": f"{brevo_eu}/v3",
        }
        project = ForeignProject(folder)
        for name in ("brevo", "brevo_eu"):
            project.component(name, f"{{destination: {name}, upstream: [customers]}}")
        engine = create_engine(server.url("contacts"))
        with project.pages() as url:
            project.materialize("orders", "customers")
            for name in ("brevo", "brevo_eu"):
                waiting = People(engine, name)
                wait_until(lambda at=waiting: at.states() == {"synced": 3}, f"{name} is delivered", poll_seconds=1)
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(f"{url}/assets/customers?view=lineage&lineageScope=downstream&lineageDepth=3")
            page.get_by_text("Hide navigation").click()
            page.reload()  # the graph fits itself to the wider page
            page.get_by_text("queue").first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(3000)  # the colours come last, and no text with them
            keep(page, "foreign-project", height=800)
        engine.dispose()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(folder))
        with installation.up(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            pages = DagsterPages(installation.dagster)
            play_a_day(installation)
            of_the_status_page(browser, installation)
            of_dagster(browser, installation, pages)
            of_the_report(browser, installation, pages)
            pages.close()
            of_a_foreign_project(browser, Path(folder))
            browser.close()


if __name__ == "__main__":
    main()
