"""Tables in a terminal of 80 columns: nothing is cut, and no word of a heading is broken where there is room."""

from collections.abc import Sequence

import pytest

from crm_pipelines.cli.output import cells, print_table, table
from crm_pipelines.vocabulary import STATUS_WORDS

STATUSES = [words.capitalize() for words in STATUS_WORDS.values()]


@pytest.mark.parametrize(
    ("headings", "row"),
    [
        (["CRM", *STATUSES], ["a_destination_with_a_long_name", *("12345" for _ in STATUSES)]),
        (["Name", "Id", "Created (UTC)", "Revoked (UTC)"], ["n" * 70, "f5c0d9e2", *["2026-11-30 14:09"] * 2]),
        (["Field", "Value"], ["source_url", "https://example.com/" + "a" * 200]),
    ],
)
def test_what_does_not_fit_goes_on_in_the_next_line(
    headings: Sequence[str], row: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    filled = table(*headings)
    filled.add_row(*cells(*row))
    print_table(filled)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "…" not in printed
    for letter in set("".join(row)):
        assert printed.count(letter) >= "".join(row).count(letter), letter
    heading = printed.partition("──")[0].split()
    assert sorted(heading) == sorted(" ".join(headings).split())


def test_in_a_narrow_terminal_every_column_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    filled = table("CRM", *STATUSES)
    filled.add_row("brevo", *map(str, range(1, 8)))
    print_table(filled)
    below = capsys.readouterr().out.rpartition("──")[2].split()
    assert "".join(below).strip("brevo") == "1234567"
