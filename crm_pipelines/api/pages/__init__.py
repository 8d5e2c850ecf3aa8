"""The status page: for the operator, and for whoever is asked why one contact is not in the CRM.

Rendered on the server, without scripts (but for `/docs`): what a browser shows is what was sent to it.

| module | what it holds |
| --- | --- |
| `overview` | each CRM at a glance, the charts, errors by kind, "retry these" |
| `contacts` | search, the filtered list and its CSV |
| `contact` | one contact: the answers, the story, decisions about it |
| `actions` | what can be decided about a contact, and what comes of it |
| `exporting` | contacts as CSV |
| `reports` | the daily reports |
| `api_document` | `/docs`, the one page with scripts: Swagger UI on the API's document |
| `signing_in`, `session` | sign-in by token, and the protection of forms |
| `rendering` | templates, and errors as pages |
| `charts` | from numbers to the geometry of SVG |
"""

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from crm_pipelines.api.pages import api_document, contact, contacts, overview, reports, signing_in
from crm_pipelines.api.pages.rendering import FOLDER


def install(app: FastAPI) -> None:
    """Add the pages to the application, at its root."""
    for part in (signing_in, overview, contacts, contact, reports, api_document):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
