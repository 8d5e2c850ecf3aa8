"""Whoever is woken by an alert finds its section in the runbook."""

import re
from pathlib import Path

from crm_pipelines.orchestration.watching.findings import SECTIONS

ROOT = Path(__file__).resolve().parents[2]


def test_every_alert_names_a_section_of_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "crm_pipelines").rglob("*.py"))
    named = set(re.findall(r'runbook="([^"]+)"', code))
    named |= set(SECTIONS.values())
    assert len(named) >= 10
    assert named <= sections
