"""The daily reports, for who is signed in: files that Dagster writes into the data folder."""

from datetime import date

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from crm_pipelines.api.destinations import Known
from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.pages.rendering import PageRoute, see
from crm_pipelines.api.pages.session import Reader
from crm_pipelines.reports.files import days_of, path_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# It brings its styles and pictures along, and needs nothing else.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'; sandbox"
)


@router.get("/reports/{crm}")
def latest_report(request: Request, _session: Reader, destinations: Known, crm: str) -> Response:
    """Goes on to the newest report."""
    destinations.one(crm)
    days = days_of(request.app.state.settings, crm)
    if not days:
        raise _no_report("There is no report yet. Dagster writes one each day at 05:00 UTC, its job daily_report now.")
    return see(f"/reports/{crm}/{days[0]}")


@router.get("/reports/{crm}/{day}")
def report(request: Request, _session: Reader, destinations: Known, crm: str, day: date) -> Response:
    """The report of that day."""
    destinations.one(crm)
    try:
        text = path_of(request.app.state.settings, crm, day).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _no_report("There is no report for this day, or it was deleted together with old runs.") from None
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})


def _no_report(message: str) -> ApiError:
    return ApiError(404, "report_not_found", message)
