"""The daily reports on the status page."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from crm_pipelines.reports.files import days_of, path_of, write
from crm_pipelines.settings import Settings
from crm_pipelines_tests.fixtures.api import Served
from crm_pipelines_tests.integration.pages.conftest import Site, Visitor


@pytest.fixture
def settings(_served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Those of the page, with a data folder of its own."""
    state = _served.app.state
    storage = state.settings.storage.model_copy(update={"crm_pipelines_data_dir": tmp_path})
    settings = replace(state.settings, storage=storage)
    with monkeypatch.context() as patch:
        patch.setattr(state, "settings", settings, raising=False)
        patch.setattr(state, "destinations", replace(state.destinations, settings=settings), raising=False)
        yield settings


def test_the_overview_links_to_the_newest_report_once_there_is_one(operator: Visitor, settings: Settings) -> None:
    assert "/reports/" not in operator.get("/").text
    nothing = operator.get("/reports/brevo")
    assert nothing.status_code == 404
    assert "There is no report yet." in nothing.text
    for day in (date(2026, 11, 29), date(2026, 11, 30)):
        write(path_of(settings, "brevo", day), f"<h1>Report of {day}</h1>")
    assert days_of(settings, "brevo") == [date(2026, 11, 30), date(2026, 11, 29)]
    overview = operator.get("/").text
    assert '<a href="/reports/brevo">The daily report of Brevo</a>' in overview
    assert "of 2026-11-30; 2 kept" in overview
    newest = operator.get("/reports/brevo")
    assert newest.url.endswith("/reports/brevo/2026-11-30")
    assert newest.text == "<h1>Report of 2026-11-30</h1>"
    assert "script" not in newest.headers["Content-Security-Policy"]
    assert "sandbox" in newest.headers["Content-Security-Policy"]
    assert operator.get("/reports/brevo/2026-11-28").status_code == 404


def test_who_is_not_signed_in_sees_no_report_and_no_other_file_is_given_out(
    site: Site, operator: Visitor, settings: Settings
) -> None:
    write(path_of(settings, "brevo", date(2026, 11, 30)), "<h1>Report</h1>")
    write(path_of(settings, "brevo", date(2026, 11, 30)).with_name("secret.html"), "secret")
    assert "Report</h1>" not in site.visitor().get("/reports/brevo/2026-11-30").text
    for path in ("/reports/brevo/secret", "/reports/salesforce", "/reports/..%2Freports/2026-11-30"):
        answer = operator.get(path)
        assert answer.status_code in {404, 422}, path
        assert "secret" not in answer.text
