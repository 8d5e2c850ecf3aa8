"""CPU seconds of a fixed piece of work, by which the figures of two machines can be compared. Takes ten seconds.

Whatever else the machine does makes it longer by the clock, and less so in CPU time.
"""

import hashlib
import time

from benchmarks.report import Report
from benchmarks.setting import Stage, stage

_LOOPS = 10_000_000
_HASHES = 2_000_000
_ROWS = 1_000_000
_QUERY = """
    SELECT count(*) FROM (SELECT n % 1000 AS part, sum(n), max(md5(n::text)) AS latest
                            FROM generate_series(1, 1000000) n GROUP BY 1 ORDER BY latest) AS parts"""


def part(there: Stage, report: Report) -> None:
    report.calibration = line(there)


def line(there: Stage) -> str:
    """For the head of the report."""
    python, sha256, postgres = loop(), hashes(), query(there)
    return (
        f"{python:.2f} s of CPU for {_LOOPS:,} rounds of a loop in Python, {sha256:.2f} s for {_HASHES:,} SHA-256, "
        f"{postgres:.2f} s for {_ROWS:,} rows summed up by Postgres"
    )


def loop() -> float:
    """Plain Python."""
    started, total = time.process_time(), 0
    for number in range(_LOOPS):
        total = (total * 31 + number) % 1_000_003
    return time.process_time() - started


def hashes() -> float:
    started, digest = time.process_time(), b""
    for _ in range(_HASHES):
        digest = hashlib.sha256(digest).digest()
    return time.process_time() - started


def query(there: Stage) -> float:
    """The server's processes, those in the background too."""
    started = there.cpu_seconds()["Postgres"]
    there.scalar(_QUERY)
    return there.cpu_seconds()["Postgres"] - started


def main() -> None:
    with stage(ends_at=time.monotonic() + 120) as there:
        print(f"Calibration: {line(there)}.")  # noqa: T201


if __name__ == "__main__":
    main()
