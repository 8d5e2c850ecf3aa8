"""No test is red by chance."""

import re
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
_ABSENCE = re.compile(r"""["']([0-9A-Fa-f]{1,6})["'] not in """)


def test_no_test_asks_for_the_absence_of_what_a_random_uuid_or_token_may_hold() -> None:
    found = [
        f"{path.relative_to(_TESTS)}: {number}: {match[1]}"
        for path in sorted(_TESTS.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := _ABSENCE.search(line))
    ]
    assert found == []
