"""`make containers`: says what it will do, does it, and prints one line per check. Exit code 0 only if all hold."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from crm_pipelines_tests.containers.checks import CHECKS, NEEDED, Check
from crm_pipelines_tests.containers.engine import CACHE, FOLDER, docker_answers, own_engine, run_in_namespaces
from crm_pipelines_tests.containers.stack import PROJECT, Stack, documented, image_of_its_own
from crm_pipelines_tests.fixtures.compose import ROOT, load_services

_LONGEST = 90 * 60
"""Seconds after which it gives up."""
_SETTINGS = {
    "POSTGRES_PASSWORD": 'p@ss/w:rd#?&%41 "',
    "POSTGRES_SERVICES_PASSWORD": 'another p@ss/w:rd#?&%41 "',
    "BREVO_API_KEY": "sandbox",
    "BREVO_API_BASE_URL": "http://brevo-sandbox:8085/v3",
    "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "1",
    "COMPOSE_PROFILES": "sandbox",
}
_BEGIN = """Builds the image and starts the stack of docker-compose.yml, checks it, and removes it.
  Engine: {engine}
  It stops and kills containers of its own project, {project}, and no others.
  On two cores with much else to do it took an hour: engine and base images 7 minutes (once), an image 2 to 4 minutes,
  a check up to 8 minutes. It gives up after an hour and a half. Ctrl-C ends it, and what it started.
"""
_OWN = """one of our own, from Debian's archive, with stand-ins for the base images;
    in {cache} (5 GB, which you may delete at any time)"""


@click.command()
@click.option(
    "--engine", type=click.Choice(["any", "own"]), default="any", envvar="CRM_PIPELINES_ENGINE", show_default=True
)
@click.option("--inside", is_flag=True, hidden=True, help="In the namespaces already.")
@click.option("--only", help="Only checks with one of these words, separated by commas, in their names.")
def main(engine: str, inside: bool, only: str | None) -> None:
    """Check the containers. With `own` an engine of our own is used, although this machine's Docker answers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not inside:
        own = engine == "own" or not docker_answers()
        chosen = _OWN.format(cache=CACHE) if own else "this machine's Docker"
        click.echo(_BEGIN.format(engine=chosen, project=PROJECT))
        if own:
            sys.exit(run_in_namespaces(["--inside", *(["--only", only] if only else [])]))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"Not done after {_LONGEST // 60} minutes."))
    signal.alarm(_LONGEST)
    with ExitStack() as stack:
        client = stack.enter_context(own_engine()) if inside else dict(os.environ)
        project = stack.enter_context(_project(client, own=inside))
        sys.exit(_run_all(project, only))


@contextmanager
def _project(client: Mapping[str, str], *, own: bool) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="crm-pipelines-containers-", dir=FOLDER if own else None) as name:
        folder = Path(name)
        folder.chmod(0o755)
        files = [ROOT / "docker-compose.yml", image_of_its_own(folder), *_for_the_build(folder)]
        if not own:
            files.append(_beside_others(folder))
        stack = Stack(client, folder, files, dict(_SETTINGS))
        stack.remove()
        try:
            yield stack
        finally:
            stack.remove()


def _for_the_build(folder: Path) -> list[Path]:
    """What docs/deployment.md says for certificates of one's own, where this machine has any."""
    given = os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE")
    if not given:
        return []
    shutil.copy(given, folder / "ca.pem")
    [pip] = documented("The image", "ini")
    (folder / "pip.conf").write_text(pip.split("proxy =")[0], encoding="utf-8")
    [block] = documented("The image", "yaml")
    override = folder / "build.yml"
    override.write_text(block.replace("./", f"{folder}/"), encoding="utf-8")
    return [override]


def _beside_others(folder: Path) -> Path:
    """On a Docker that others use: any free port."""
    services = load_services(_SETTINGS)
    ports = {
        name: [one.rpartition(":")[2] for one in given["ports"]] for name, given in services.items() if "ports" in given
    }
    lines = [f"  {name}: {{ports: !override ['127.0.0.1::{port}']}}" for name, [port] in ports.items()]
    override = folder / "ports.yml"
    override.write_text("services:\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return override


def _run_all(stack: Stack, only: str | None) -> int:
    """The exit code."""
    chosen = [check for check in CHECKS if not only or any(word in check.__name__ for word in only.split(","))]
    held = 0
    for check in chosen:
        holds = _holds(stack, check)
        held += holds
        if check in NEEDED and not holds:
            break
    click.echo(f"\n{held} of {len(chosen)} hold.")
    return 0 if held == len(chosen) else 1


def _holds(stack: Stack, check: Check) -> bool:
    name = check.__name__.replace("_", " ")
    click.echo(f"{name} ...")
    began = time.monotonic()
    try:
        seen, holds = check(stack), True
    except Exception as error:  # noqa: BLE001  whatever it is, the other checks are still to be made
        seen, holds = f"{type(error).__name__}: {error}", False
    click.echo(f"  {'holds' if holds else 'FAILS'} {time.monotonic() - began:4.0f} s  {seen}")
    return holds


if __name__ == "__main__":
    main()
