"""What is aimed at on a machine of two processors, and whether what was measured reaches it."""

from collections.abc import Mapping
from dataclasses import dataclass

NOT_MEASURED = "not measured this time"
ONLY_WITH_A_MILLION = "only measured with `--million`"
MET = "met"
MISSED = "**not met**"

_RATIOS = "Ratios"
_LIMITS = "The CRM's limit"
_MEMORY = "Memory"
_FIXED = "Fixed costs"


@dataclass(frozen=True, kw_only=True)
class Target:
    """At least so much of `figure`, a row of the report, or at most. `million`: only measured with --million."""

    group: str
    what: str
    figure: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    million: bool = False

    @property
    def aim(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:,g} {self.unit}"
        return f"at most {self.at_most:,g} {self.unit}"

    def verdict(self, figures: Mapping[str, float], *, with_a_million: bool) -> tuple[str, str]:
        """What was measured, and what that means."""
        measured = figures.get(self.figure)
        if measured is None:
            return "–", NOT_MEASURED if with_a_million or not self.million else ONLY_WITH_A_MILLION
        met = (self.at_least is None or measured >= self.at_least) and (
            self.at_most is None or measured <= self.at_most
        )
        return f"{measured:,.4g}", MET if met else MISSED


def summary(figures: Mapping[str, float], *, with_a_million: bool) -> str:
    """How many are met, in a few words."""
    verdicts = [one.verdict(figures, with_a_million=with_a_million)[1] for one in TARGETS]
    met, missed = verdicts.count(MET), verdicts.count(MISSED)
    unknown = len(verdicts) - met - missed
    return f"{met} of {len(verdicts)} targets met, {missed} not met, {unknown} not measured"


TARGETS = (
    Target(
        group=_RATIOS,
        what="100,000 in bulk, each seen at the CRM, against the floor: time",
        figure="Wall time against the floor, 100,000 contacts",
        unit="times",
        at_most=1.6,
    ),
    Target(
        group=_RATIOS,
        what="The same: CPU, Postgres' included",
        figure="CPU against the floor, 100,000 contacts",
        unit="times",
        at_most=2,
    ),
    Target(
        group=_RATIOS,
        what="1,000,000 in bulk, each seen at the CRM, against the floor: time",
        figure="Wall time against the floor, 1,000,000 contacts",
        unit="times",
        at_most=1.6,
        million=True,
    ),
    Target(
        group=_RATIOS,
        what="The same: CPU, Postgres' included",
        figure="CPU against the floor, 1,000,000 contacts",
        unit="times",
        at_most=2,
        million=True,
    ),
    Target(
        group=_RATIOS,
        what="One by one, an answer taking 100 ms, against a simple loop",
        figure="Ratio at 100 ms",
        unit="times as fast",
        at_least=20,
    ),
    Target(
        group=_RATIOS,
        what="A run with 0.1 % of its rows refused against one without",
        figure="0.1 % of the rows refused",
        unit="times as long",
        at_most=1.1,
    ),
    Target(
        group=_RATIOS,
        what="The same, 1 %",
        figure="1 % of the rows refused",
        unit="times as long",
        at_most=1.25,
    ),
    Target(
        group=_RATIOS,
        what="Rate once it is back after a fault, against before: the worst of five faults",
        figure="Recovery, the worst of five faults",
        unit="%",
        at_least=90,
    ),
    Target(
        group=_RATIOS,
        what="Deliveries beside a transaction that stays open for two minutes, against without",
        figure="Run after run, beside an open transaction",
        unit="%",
        at_least=80,
    ),
    Target(
        group=_LIMITS,
        what="Use of a limit of 10 requests/s",
        figure="Rate at a limit of 10 requests/s",
        unit="% over a minute",
        at_least=95,
    ),
    Target(
        group=_LIMITS,
        what="Answers that refuse for rate meanwhile",
        figure="Refused for rate (429) meanwhile",
        unit="answers",
        at_most=0,
    ),
    Target(
        group=_LIMITS,
        what="Use of the limit by rows that are sent one by one since they were refused",
        figure="Refused rows, one by one",
        unit="%",
        at_least=90,
    ),
    Target(
        group=_MEMORY,
        what="Memory for 1,000,000 against that for 100,000",
        figure="Memory at 1,000,000 against 100,000",
        unit="times",
        at_most=1.5,
        million=True,
    ),
    Target(
        group=_MEMORY,
        what="Peak memory of the run's process at 1,000,000",
        figure="In bulk, 1,000,000 contacts: peak memory",
        unit="MB",
        at_most=400,
        million=True,
    ),
    Target(
        group=_FIXED,
        what="Fixed cost of a run with 10 contacts",
        figure="Fixed cost beyond Dagster's own",
        unit="s beyond Dagster's own",
        at_most=2,
    ),
    Target(
        group=_FIXED,
        what="CPU for one contact, one by one: a fifth of what a simple scheduler spent",
        figure="CPU of the run's process",
        unit="ms",
        at_most=5.4,
    ),
)
