"""`python -m crm_pipelines_tests.chaos --seconds 120 --seed 7`: a storm (see storm.py), judged and written down."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import click

from crm_pipelines.database import migrating
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, sandbox_server
from crm_pipelines_tests.storm import Findings, Storm

_BEGIN, _END = "<!-- made by make chaos -->", "<!-- end -->"


def table(findings: Findings) -> str:
    """What was tried and what came of it, for docs/reliability.md."""
    lines = [
        f"`make chaos` of {datetime.now(UTC):%Y-%m-%d}, {findings.seconds:.0f} s, seed {findings.seed}.",
        "",
        "| tried | how often |",
        "| --- | ---: |",
        *(f"| {what} | {count:,} |" for what, count in sorted(findings.tried.items())),
        "",
        "| came to | |",
        "| --- | ---: |",
        *(f"| {what} | {count:,} |" for what, count in findings.came_to.items()),
        f"| contacts hit by a request that was frozen on its way (not promised) | {findings.late} |",
        f"| **contacts lost, stuck, with older data, or back on a list they left** | **{len(findings.violations)}** |",
    ]
    return "\n".join(lines) + "\n"


def write_table(document: Path, findings: Findings) -> None:
    """Replace what stands between the two marks."""
    head, _, rest = document.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    document.write_text(f"{head}{_BEGIN}\n{table(findings)}{_END}{tail}", encoding="utf-8")


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=120, show_default=True)
@click.option("--seed", type=int, help="Default: a new one, which is printed.")
@click.option("--contacts", type=click.IntRange(8, 5000), default=150, show_default=True)
@click.option("--write", type=click.Path(path_type=Path, exists=True), help="Write the table into this document.")
def main(seconds: float, seed: int | None, contacts: int, write: Path | None) -> None:
    """Let a storm pass over the pipeline and judge what is left; exit code 1 when anything was lost."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    with (
        temporary_folder() as folder,
        embedded_postgres(folder / "postgres", settings=FAST) as server,
        sandbox_server() as root,
        sandbox_server() as other_root,
    ):
        server.create_database("contacts")
        url = server.url("contacts")
        migrating.upgrade(url)
        sandbox, other = BrevoSandbox(root), BrevoSandbox(other_root)
        for one in (sandbox, other):
            one.reset()
        findings = Storm(url, sandbox, folder, seed=seed, contacts=contacts, other=other).run(seconds)
        sandbox.close()
        other.close()
    click.echo(table(findings))
    for sentence in findings.violations:
        click.echo(sentence, err=True)
    if findings.violations:
        raise SystemExit(1)
    if write is not None:
        write_table(write, findings)


if __name__ == "__main__":
    main()
