"""The one form in which the API answers errors: a stable code, a sentence, and what belongs to it.

`{"error": {"code": "contact_not_found", "message": "…", "details": …, "request_id": "…"}}`
"""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from crm_pipelines.contacts.records import AddressTaken
from crm_pipelines.contacts.story import ContactUnknown
from crm_pipelines.database.connection_problems import DatabaseUnreachable, connection_problem
from crm_pipelines.database.migrating import SchemaOutdated
from crm_pipelines.database.retrying import is_passing
from crm_pipelines.errors import UsageError
from crm_pipelines.settings import UnknownDestination

LARGEST_BODY = 5_000_000
"""Bytes of a request: a hundred thousand ids."""

_log = logging.getLogger("crm_pipelines.api")
_QUERY_CANCELED = "57014"
_RETRY_SECONDS = 5


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable: for programs.", examples=["contact_not_found"])
    message: str = Field(description="A sentence for people.", examples=["There is no contact with this id."])
    details: Any = Field(None, description="More about the error, such as the fields that are wrong.")
    request_id: str = Field(description="The same as in the header X-Request-ID and in the log.")


class ErrorEnvelope(BaseModel):
    """Every answer of 400 and above has this form."""

    error: ErrorBody


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, code: str, message: str, *, details: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})


_FORESEEN: tuple[type[Exception], ...] = (
    ApiError,
    RequestValidationError,
    HTTPException,
    AddressTaken,
    ContactUnknown,
    UsageError,
    DatabaseUnreachable,
    SchemaOutdated,
    sa.exc.TimeoutError,
    sa.exc.DBAPIError,
)


_OF_THE_ROUTER = {
    404: "There is nothing at this address. /docs shows what the API has.",
    405: "This address does not answer this method. The header Allow names those that it answers.",
}


def envelope(error: ApiError, request_id: str) -> JSONResponse:
    """The error as an answer."""
    body = ErrorBody(code=error.code, message=error.message, details=error.details, request_id=request_id)
    content = ErrorEnvelope(error=body).model_dump(mode="json")
    return JSONResponse(content, status_code=error.status, headers=error.headers)


def as_api_error(error: Exception) -> ApiError | None:
    """The answer for an error that other rooms raise; None for one that nobody foresaw."""
    match error:
        case ApiError():
            return error
        case RequestValidationError():
            return _validation(error)
        case HTTPException(status_code=413):
            return ApiError(413, "body_too_large", error.detail)
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            message = _OF_THE_ROUTER.get(error.status_code, f"{phrase}.")
            return ApiError(error.status_code, phrase.lower().replace(" ", "_"), message, headers=error.headers or {})
        case ContactUnknown():
            return ApiError(404, "contact_not_found", "There is no such contact.")
        case AddressTaken():
            holder = {"contact_id": str(error.contact_id) if error.contact_id else None}
            return ApiError(409, "address_taken", str(error), details=holder)
        case UnknownDestination():
            return ApiError(409, "crm_not_configured", str(error))
        case UsageError():
            return ApiError(422, "invalid_request", str(error))
        case DatabaseUnreachable() | SchemaOutdated() | sa.exc.TimeoutError():
            return _database_unavailable()
        case sa.exc.DBAPIError() if is_passing(error) or getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            return _database_unavailable()
        case _:
            return None


def install(app: FastAPI, as_page: Callable[[Request, ApiError], Response]) -> None:
    """Let `app` answer what is foreseen in the one form; the perimeter does the same for all else.

    Somebody with a browser who has come to an address where nothing is gets a page, by `as_page`.
    """

    async def answer(request: Request, error: Exception) -> Response:
        foreseen = as_api_error(error)
        if foreseen is None:
            raise error
        if isinstance(error, sa.exc.DBAPIError) and (
            problem := connection_problem(error, request.app.state.engine.url)
        ):
            _log.error("%s %s", request.state.request_id, problem)
        if foreseen.status == 405:
            # Starlette names the methods of the first route only that has this path.
            foreseen.headers["Allow"] = ", ".join(_methods_of(request))
        if isinstance(error, HTTPException) and "text/html" in request.headers.get("accept", ""):
            return as_page(request, foreseen)
        return envelope(foreseen, request.state.request_id)

    for kind in _FORESEEN:
        app.add_exception_handler(kind, answer)


def _methods_of(request: Request) -> list[str]:
    routes = request.app.router.routes
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _database_unavailable() -> ApiError:
    return ApiError(
        503,
        "database_unavailable",
        "The contacts database does not answer at the moment. Nothing was changed; try again.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


def _validation(error: RequestValidationError) -> ApiError:
    """Says where and what, never the value: it may be an address."""
    problems = [
        {
            "field": ".".join(str(part) for part in problem["loc"]),
            "problem": problem["msg"].removeprefix("Value error, "),
        }
        for problem in error.errors()
    ]
    kinds = {(problem["type"], *problem["loc"]) for problem in error.errors()}
    if any(kind[0] == "json_invalid" for kind in kinds):
        return ApiError(400, "malformed_json", "The body is not valid JSON.", details=problems)
    if ("model_attributes_type", "body") in kinds:
        return ApiError(
            422, "validation_failed", "Send a JSON object, with `Content-Type: application/json`.", details=problems
        )
    return invalid(problems)


def invalid(problems: list[dict[str, str]]) -> ApiError:
    """The answer to what cannot be used; each problem has a `field` and says the `problem`."""
    return ApiError(422, "validation_failed", "Something in the request cannot be used; see details.", details=problems)
