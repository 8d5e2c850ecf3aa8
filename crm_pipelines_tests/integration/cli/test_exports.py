"""Exports of other programs, as they come, through the dry run and the import."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa

from crm_pipelines_tests.integration.cli.conftest import Run
from crm_pipelines_tests.integration.files.test_import_forecast import ALIKE

_PEOPLE = [("ada@example.com", "Ada", "Lovelace", "+44 20 7946 0018"), ("jose@example.org", "José", "Muñoz Gómez", "")]


def as_csv(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], *, encoding: str = "utf-8", delimiter: str = ","
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def columns(text: str) -> list[str]:
    return [title for line in text.splitlines() for title in line.strip().split(",") if title]


_GOOGLE = columns(
    """First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Last Name,Name Prefix,Name Suffix,Nickname,File As,
    Organization Name,Organization Title,Organization Department,Birthday,Notes,Photo,Labels,E-mail 1 - Label,
    E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value"""
)
_OUTLOOK = columns(
    """Anrede,Vorname,Weitere Vornamen,Nachname,Suffix,Firma,Abteilung,Position,Straße geschäftlich,Ort geschäftlich,
    Telefon geschäftlich,Mobiltelefon,E-Mail-Adresse,E-Mail-Typ,E-Mail: Angezeigter Name,Geburtstag,Notizen"""
)
_HUBSPOT = columns(
    """Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Last Activity Date,Lead Status,
    Marketing contact status,Associated Company"""
)
_BREVO = columns("CONTACT ID,EMAIL,LASTNAME,FIRSTNAME,SMS,ADDED_TIME,MODIFIED_TIME")


def google(folder: Path) -> Path:
    rows = [
        [first, "", last, *[""] * 12, "* myContacts", "* Work", email, "Mobile" if phone else "", phone]
        for email, first, last, phone in _PEOPLE
    ]
    return as_csv(folder / "contacts.csv", _GOOGLE, rows)


def outlook(folder: Path) -> Path:
    rows = [
        ["", first, "", last, *[""] * 7, phone, email, "SMTP", f"{first} {last} ({email})", "0.0.00", ""]
        for email, first, last, phone in _PEOPLE
    ]
    return as_csv(folder / "Kontakte.csv", _OUTLOOK, rows, encoding="cp1252", delimiter=";")


def hubspot(folder: Path) -> Path:
    rows = [
        [str(101 + n), first, last, email, phone, "Grace (grace@example.net)", "2026-03-01 09:30", "NEW", "", "Acme"]
        for n, (email, first, last, phone) in enumerate(_PEOPLE)
    ]
    return as_csv(folder / "hubspot-crm-exports-all-contacts-2026-03-02.csv", _HUBSPOT, rows, encoding="utf-8-sig")


def brevo(folder: Path) -> Path:
    rows = [
        [str(n + 1), email, last, first, phone.replace(" ", "").lstrip("+"), *["02-03-2026 10:00:00"] * 2]
        for n, (email, first, last, phone) in enumerate(_PEOPLE)
    ]
    return as_csv(folder / "contact_export.csv", _BREVO, rows, delimiter=";")


def sheet(folder: Path) -> Path:
    """By hand: a title, an empty row, and then the table."""
    book = openpyxl.Workbook()
    table = book.active
    table.title = "Messe 2026"
    for row in (["Gäste der Messe"], [], ["E-Mail", "Vorname", "Nachname", "Telefon"]):
        table.append(row)
    for email, first, last, phone in _PEOPLE:
        table.append([email, first, last, phone or None])
    path = folder / "gäste.xlsx"
    book.save(path)
    return path


@pytest.mark.parametrize("export", [google, outlook, hubspot, brevo, sheet], ids=lambda export: export.__name__)
def test_an_export_comes_in_as_its_dry_run_says(
    run: Run, engine: sa.Engine, tmp_path: Path, export: Callable[[Path], Path]
) -> None:
    file = str(export(tmp_path))
    shown = run("contacts", "import", file, "--dry-run", "--select", "brevo", COLUMNS="80")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "2 rows: 2 would be added." in shown.stdout
    forecast = document(run("contacts", "import", file, "--dry-run", "--select", "brevo", "--json").stdout)
    report = document(run("contacts", "import", file, "--select", "brevo", "--json").stdout)
    assert {name: forecast[name] for name in ALIKE} == {name: report[name] for name in ALIKE}
    assert (report["added"], report["rejected"], report["selected"]) == (2, 0, {"brevo": 2})
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT email, name, phone_number FROM crm_contacts ORDER BY email"))
        people = [(email, name, "".join(filter(str.isdigit, phone or ""))) for email, name, phone in rows]
    assert people == [
        ("ada@example.com", "Ada Lovelace", "442079460018"),
        ("jose@example.org", "José Muñoz Gómez", ""),
    ]
    again = document(run("contacts", "import", file, "--json").stdout)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 2)


def document(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed
