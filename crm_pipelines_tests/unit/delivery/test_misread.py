"""Which custom fields lose values for how they are written, whatever the CRM, and what would read them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from crm_pipelines.contacts.fields import TextInUse
from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.delivery.account.formats import Misread, finding, misread
from crm_pipelines.settings import load_settings

NUMBER: Mapping[str, dict[str, Any]] = {
    "brevo": {"name": "UMSATZ", "category": "normal", "type": "float"},
    "hubspot": {"name": "umsatz", "type": "number", "field_type": "number", "read_only": False},
    "mautic": {"name": "umsatz", "type": "number", "published": True, "unique": False},
}
"""What the account has for the custom field."""

TEXTS = [TextInUse("13.528,18", 79), TextInUse("1.234", 200), TextInUse("2.500", 12)]


def mapper(kind: str, rows: Sequence[Mapping[str, Any]] | None, lines: str = "", folder: Path | None = None) -> Mapper:
    """One that knows these attributes of the account; `lines` are those of the mapping file."""
    variables = {}
    if folder is not None:
        (folder / "mapping.toml").write_text(f"[attributes]\n{lines}\n", encoding="utf-8")
        variables[f"{kind.upper()}_MAPPING_FILE"] = str(folder / "mapping.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_DESTINATIONS", kind)
        for name, value in variables.items():
            patch.setenv(name, value)
        found = mapper_of(load_settings(), kind)
    found.know(rows)
    return found


@pytest.mark.parametrize("kind", NUMBER)
def test_a_field_that_is_a_number_at_the_crm_tells_what_it_loses_and_the_format(kind: str) -> None:
    [found] = misread(mapper(kind, [NUMBER[kind]]), {"Umsatz": TEXTS, "Ort": [TextInUse("Berlin 1", 5)]})
    attribute = NUMBER[kind]["name"]
    assert found == Misread(
        field="Umsatz",
        attribute=attribute,
        type=found.type,
        contacts=291,
        left_out=212,
        format="1.234,56",
    )
    told = finding(found, "the mapping file")
    assert (told.ok, told.blocking, told.subject) == (False, False, "Custom field Umsatz")
    assert told.detail == (
        "212 of 291 values are left out; they look like 1.234,56. Put "
        f'`{attribute} = {{ from = "custom_fields.Umsatz", type = "float", format = "1.234,56" }}` '
        "into the mapping file."
    )


@pytest.mark.parametrize("kind", [*NUMBER, "n8n"])
def test_the_line_that_is_told_makes_the_values_arrive(kind: str, tmp_path: Path) -> None:
    rows = [NUMBER[kind]] if kind in NUMBER else None
    name = NUMBER[kind]["name"] if kind in NUMBER else "umsatz"
    line = f'{name} = {{ from = "custom_fields.Umsatz", type = "float" }}'
    [found] = misread(mapper(kind, rows, line, tmp_path), {"Umsatz": TEXTS})
    told = finding(found, "it").detail.split("`")[1]
    mended = mapper(kind, rows, told, tmp_path)
    assert list(misread(mended, {"Umsatz": TEXTS})) == []
    [sent] = [one.value for one in mended.explain({"custom_fields": {"Umsatz": "13.528,18"}}) if one.value is not None]
    assert sent == 13528.18


def test_a_format_that_contradicts_the_values_is_found_too(tmp_path: Path) -> None:
    line = 'UMSATZ = { from = "custom_fields.Umsatz", type = "float", format = "1,234.56" }'
    [found] = misread(mapper("brevo", None, line, tmp_path), {"Umsatz": [TextInUse("13.528,18", 3)]})
    assert (found.left_out, found.format) == (3, "1.234,56")


def test_days_are_told_like_numbers(tmp_path: Path) -> None:
    line = 'SINCE = { from = "custom_fields.Kunde seit", type = "date" }'
    texts = {"Kunde seit": [TextInUse("04/05/2026", 2), TextInUse("23/10/2026", 1)]}
    [found] = misread(mapper("brevo", None, line, tmp_path), texts)
    assert finding(found, "it").detail == (
        "2 of 3 values are left out; they look like DD/MM/YYYY. Put "
        '`SINCE = { from = "custom_fields.Kunde seit", type = "date", format = "DD/MM/YYYY" }` into it.'
    )


def test_where_the_values_prove_no_format_none_is_suggested(tmp_path: Path) -> None:
    line = 'UMSATZ = { from = "custom_fields.Umsatz", type = "float" }'
    [found] = misread(mapper("brevo", None, line, tmp_path), {"Umsatz": [TextInUse("1.234", 1), TextInUse("7", 1)]})
    assert finding(found, "it").detail == (
        "1 of 2 values is left out, and the values do not tell in which format they are written. Correct them, or, if "
        'you know the format, put `UMSATZ = { from = "custom_fields.Umsatz", type = "float", format = … }` into it, '
        'with "1.234,56" or "1 234,56" or "1,234.56".'
    )


def test_a_value_that_no_format_reads_spoils_no_suggestion(tmp_path: Path) -> None:
    line = 'SINCE = { from = "custom_fields.Since", type = "date" }'
    texts = [
        TextInUse("04/05/2026", 2),
        TextInUse("23/10/2026", 1),
        TextInUse("31/02/2026", 1),
        TextInUse("in 2019", 1),
    ]
    [found] = misread(mapper("brevo", None, line, tmp_path), {"Since": texts})
    assert (found.left_out, found.format, found.mendable) == (4, "DD/MM/YYYY", True)


def test_where_no_format_would_help_none_is_asked_for(tmp_path: Path) -> None:
    line = 'SINCE = { from = "custom_fields.Since", type = "date", format = "DD.MM.YYYY" }'
    texts = [TextInUse("16.03.2024", 303), TextInUse("31.02.2026", 1)]
    [found] = misread(mapper("brevo", None, line, tmp_path), {"Since": texts})
    assert finding(found, "it").detail == (
        "1 of 304 values is left out: no format reads it. Correct it; "
        "`crm-pipelines why EMAIL` tells it of one contact."
    )


def test_what_the_account_has_no_attribute_for_is_not_told_as_misread(tmp_path: Path) -> None:
    line = 'SINCE = { from = "custom_fields.Since", type = "date" }'
    known = mapper("brevo", [NUMBER["brevo"]], line, tmp_path)
    assert list(misread(known, {"Since": [TextInUse("16.03.2024", 303)]})) == []
    [found] = misread(known, {"Since": [TextInUse("16.03.2024", 303), TextInUse("04/05/2026", 1)]})
    assert found.left_out == 1


def test_a_field_that_is_a_text_or_of_which_all_arrive_is_not_told(tmp_path: Path) -> None:
    texts = {"Umsatz": TEXTS, "Score": [TextInUse("12,5", 1)]}
    line = 'SCORE = { from = "custom_fields.Score", type = "float" }'
    assert list(misread(mapper("brevo", None, line, tmp_path), texts)) == []
