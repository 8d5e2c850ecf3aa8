"""`python -m crm_pipelines_tests.chaos --crm hubspot --seconds 120 --seed 7`: a storm (see storm.py), judged."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import click

from crm_pipelines.database import migrating
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines_tests.ends import ENDS
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.fixtures.sandbox import sandbox_server
from crm_pipelines_tests.storm import Findings, Storm

_BEGIN, _END = "<!-- made by {} -->", "<!-- end -->"


def command(crm: str) -> str:
    """What makes the table."""
    return "make chaos" if crm == "brevo" else f"make chaos CRM={crm}"


def table(findings: Findings, crm: str) -> str:
    """What was tried and what came of it, for docs/reliability.md."""
    lines = [
        f"`{command(crm)}` of {datetime.now(UTC):%Y-%m-%d}, {findings.seconds:.0f} s, seed {findings.seed}.",
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


def write_table(document: Path, findings: Findings, crm: str) -> None:
    """Replace what stands between the two marks."""
    begin = _BEGIN.format(command(crm))
    head, _, rest = document.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(_END)
    document.write_text(f"{head}{begin}\n{table(findings, crm)}{_END}{tail}", encoding="utf-8")


@click.command()
@click.option("--crm", type=click.Choice(sorted(ENDS)), default="brevo", show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=120, show_default=True)
@click.option("--seed", type=int, help="Default: a new one, which is printed.")
@click.option("--contacts", type=click.IntRange(8, 5000), default=150, show_default=True)
@click.option("--write", type=click.Path(path_type=Path, exists=True), help="Write the table into this document.")
def main(crm: str, seconds: float, seed: int | None, contacts: int, write: Path | None) -> None:
    """Let a storm pass over the pipeline and judge what is left; exit code 1 when anything was lost."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    with (
        temporary_folder() as folder,
        embedded_postgres(folder / "postgres", settings=FAST) as server,
        sandbox_server(crm) as root,
        sandbox_server(crm) as other_root,
    ):
        server.create_database("contacts")
        url = server.url("contacts")
        migrating.upgrade(url)
        end, other = ENDS[crm](root), ENDS[crm](other_root)
        findings = Storm(url, end, folder, seed=seed, contacts=contacts, other=other).run(seconds)
        end.sandbox.close()
        other.sandbox.close()
    click.echo(table(findings, crm))
    for sentence in findings.violations:
        click.echo(sentence, err=True)
    if findings.violations:
        raise SystemExit(1)
    if write is not None:
        write_table(write, findings, crm)


if __name__ == "__main__":
    main()
