"""What a soak prints in the end: by sixths of the time, and what grows."""

from dataclasses import replace

from benchmarks.soak import Minute, growth, parts

QUIET = Minute(
    at=0.0,
    faults=(),
    runs=0,
    failed=0,
    delivered=0,
    p50=1.0,
    p99=2.0,
    oldest=3.0,
    claim=4.0,
    dead=5,
    tables=6.0,
    indexes=7.0,
    worker=8.0,
    sandbox=9.0,
)


def minutes(many: int) -> list[Minute]:
    return [replace(QUIET, at=float(n), runs=10 * n, failed=n, delivered=100 * n) for n in range(1, many + 1)]


def test_each_sixth_counts_what_happened_in_it_and_shows_the_worst() -> None:
    given = minutes(60)
    given[11] = replace(given[11], faults=("CRM down", "worker killed"), p99=70.0, p50=70.0, dead=5000)
    rows = parts(given)
    assert [row[0] for row in rows] == ["0–10", "10–20", "20–30", "30–40", "40–50", "50–60"]
    assert [row[1:5] for row in rows] == [("2" if n == 1 else "0", "100", "10", "1,000") for n in range(6)]
    assert rows[0][5:] == QUIET.sizes
    assert rows[1][5:] == replace(QUIET, p99=70.0, dead=5000).sizes


def test_a_short_soak_has_fewer_parts_and_no_growth() -> None:
    assert [row[0] for row in parts(minutes(2))] == ["0–1", "1–2"]
    assert parts([]) == []
    assert growth(minutes(2)) == []


def test_what_grows_in_the_last_third_is_named() -> None:
    given = minutes(60)
    assert growth(given) == []
    given[-1] = replace(given[-1], tables=30.0)
    assert growth(given) == ["It grows: tables from 6 to 30 in the last third."]
