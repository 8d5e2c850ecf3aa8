"""A comparison with others: what each program did and says, and what the CRM's stand-in holds afterwards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from rich.console import Console

if TYPE_CHECKING:
    from benchmarks.report import Report
    from benchmarks.setting import Stage

Row = tuple[str, ...]

HEAD = (
    "program",
    "contacts",
    "contacts/s",
    "its CPU, ms per contact",
    "Postgres' CPU, ms per contact",
    "requests per 1,000 contacts",
    "refused for rate (429)",
    "says it delivered",
    "at the CRM as they should be",
)
REFUSALS_HEAD = ("program", "contacts", "says it delivered", "at the CRM as they should be")
PROMISES_HEAD = ("program", "retries", "killed in the middle", "consent, block-list", "proof", "ledger")
DRT_LEDGER = "of runs, and if switched on of contacts that failed; of all contacts with its state in Postgres"
DRT_RETRIES = (
    "two more tries of a request, 1 s and 2 s apart, or as Retry-After says; then its contacts count as failed"
)
DRT_KILLED = (
    "the next run sends everybody again (mode `full`), or everybody since the last run that ended (`incremental`)"
)
DRT_CONSENT = "none: the query has to leave people out"

_VALUES = sa.text("""
    SELECT email, name, id::text AS id, split_part(name, ' ', 1) AS first_name, split_part(name, ' ', 2) AS last_name,
           phone_number AS phone, ltrim(phone_number, '+') AS sms FROM crm_contacts""")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`tables`: head and rows of each."""

    about: str
    tables: Sequence[tuple[Row, Sequence[Row]]]

    @property
    def markdown(self) -> str:
        """What stands below the heading of its section."""
        return f"{self.about}\n\n" + "\n".join(map(_table, self.tables))


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A program that is done. CPU in seconds. None: not told apart.

    `refused`: answers 429. `said`: contacts delivered, as it says. `right`: contacts that the CRM holds as it should.
    """

    program: str
    contacts: int
    seconds: float
    requests: int
    refused: int
    cpu: float | None = None
    postgres: float | None = None
    said: int | None = None
    right: int | None = None

    @property
    def rate(self) -> float:
        return self.contacts / self.seconds


def passed(program: str, contacts: int, run: Mapping[str, Any], log: Sequence[Any], said: int, right: int) -> Passed:
    """By the figures of its process, and the stand-in's log of requests."""
    return Passed(
        program=program,
        contacts=contacts,
        seconds=run["seconds"],
        requests=len(log),
        refused=sum(entry["status"] == 429 for entry in log),
        cpu=run["cpu_seconds"],
        postgres=run["cpu_of_others"]["Postgres"],
        said=said,
        right=right,
    )


def row(one: Passed) -> Row:
    """Its figures below HEAD."""

    def each(seconds: float | None) -> str:
        return "not told apart" if seconds is None else f"{1000 * seconds / one.contacts:.2f}"

    def number(count: int | None) -> str:
        return "not told apart" if count is None else f"{count:,}"

    return (
        one.program,
        f"{one.contacts:,}",
        f"{one.rate:,.0f}",
        each(one.cpu),
        each(one.postgres),
        f"{1000 * one.requests / one.contacts:,.1f}",
        f"{one.refused:,}",
        number(one.said),
        number(one.right),
    )


def missing(program: str) -> Row:
    """The row of a program that could not be had."""
    return (program, "missing", *[""] * (len(HEAD) - 2))


def wanted(there: "Stage", attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Values by address and attribute as the CRM is to have them: `attributes` names the column of each."""
    engine = sa.create_engine(there.url)
    try:
        with engine.connect() as connection:
            contacts = connection.execute(_VALUES).mappings().all()
    finally:
        engine.dispose()
    return {one["email"]: {name: one[column] for name, column in attributes.items()} for one in contacts}


def as_they_should_be(held: Iterable[tuple[str, Mapping[str, Any]]], values: Mapping[str, Mapping[str, str]]) -> int:
    """How many of the contacts that are wanted are held, each once, with these values. Others may be there.

    `held`: address and values of each.
    """
    by_address: dict[str, list[Mapping[str, Any]]] = {}
    for email, has in held:
        by_address.setdefault(email, []).append(has)
    return sum(
        len(found := by_address.get(email, [])) == 1 and found[0].items() >= each.items()
        for email, each in values.items()
    )


def show(report: "Report") -> None:
    """On the terminal: the comparisons as they stand in docs/benchmarks.md, and the figures of their own."""
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for title, one in report.comparisons.items():
        console.print(f"## {title}\n\n{one.markdown}")
    for row in report.rows:
        console.print(f"{row.what}: {row.figure}; {row.method}")


def _table(table: tuple[Row, Sequence[Row]]) -> str:
    head, rows = table
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))
