"""What we use of Dagster without it being public is listed: it is what a new version may break."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_lists_the_private_modules_of_dagster_that_the_code_uses_and_no_other() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "crm_pipelines").rglob("*.py"))
    page = (ROOT / "docs" / "component.md").read_text(encoding="utf-8")
    pattern = r"dagster\._[a-z]\w*(?:\.[a-z]\w*)*"
    assert set(re.findall(pattern, page)) == set(re.findall(pattern, code))
