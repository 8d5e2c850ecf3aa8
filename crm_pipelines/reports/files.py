"""Where the pages of daily reports are: a file per destination and day, for as long as Dagster keeps the runs."""

import os
from datetime import date
from pathlib import Path

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.settings import Settings


class ReportNotWritten(CrmPipelinesError):
    """The report could not be written into the data folder. Is CRM_PIPELINES_DATA_DIR writable, the disk not full?"""


def path_of(settings: Settings, crm: str, day: date) -> Path:
    """The file of this day's report, whether there is one or not."""
    return _folder(settings) / f"{crm}-{day}.html"


def days_of(settings: Settings, crm: str) -> list[date]:
    """The days of which there is a report, the newest first."""
    found = (_day_of(path, crm) for path in _folder(settings).glob(f"{crm}-*.html"))
    return sorted((day for day in found if day), reverse=True)


def write(path: Path, content: str) -> None:
    """Whole or not at all: somebody may be reading the former one. Raises ReportNotWritten."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except OSError:
        raise ReportNotWritten from None


def forget_before(settings: Settings, crm: str, day: date) -> None:
    """Delete the reports of earlier days. Raises ReportNotWritten."""
    for old in days_of(settings, crm):
        if old < day:
            try:
                path_of(settings, crm, old).unlink(missing_ok=True)
            except OSError:
                raise ReportNotWritten from None


def _folder(settings: Settings) -> Path:
    return settings.storage.crm_pipelines_data_dir / "reports"


def _day_of(path: Path, crm: str) -> date | None:
    """None for the file of another destination, whose name begins with this one's."""
    try:
        return date.fromisoformat(path.stem.removeprefix(f"{crm}-"))
    except ValueError:
        return None
