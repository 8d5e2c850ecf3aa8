"""The API's document as a page on which requests can be tried: Swagger UI, from this host alone.

Nobody need be signed in: the document holds no secret, and a request that is tried takes a token as any other does, not
the cookie of the status page.
"""

from fastapi import APIRouter, Request, Response

from crm_pipelines.api.pages.rendering import PageRoute, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def api_document(request: Request) -> Response:
    """Every request of the API, with a form to try it."""
    response = page("api.html", request, document=request.app.openapi_url)
    response.headers["Content-Security-Policy"] = _POLICY
    return response
