"""How HubSpot's API reads a request, and how it refuses one."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from crm_pipelines.sandbox.core.answers import Call, RefusalError

MOST_INPUTS = 100


class ApiError(RefusalError):
    """A refusal in HubSpot's words. `errors` are its details, `context` maps names to lists of texts."""

    def __init__(
        self,
        status: int,
        message: str,
        category: str,
        *,
        subcategory: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, list[str]] | None = None,
    ) -> None:
        self.category = category
        self.errors = list(errors)
        self.context = dict(context or {})
        content: dict[str, Any] = {
            "status": "error",
            "message": message,
            "correlationId": str(uuid.uuid4()),
            "category": category,
        }
        if subcategory:
            content["subCategory"] = subcategory
        if self.errors:
            content["errors"] = self.errors
        if self.context:
            content["context"] = self.context
        super().__init__(status, message, content)

    def as_row(self, **context: list[str]) -> dict[str, Any]:
        """The same among the errors of a batch."""
        return {
            "status": "error",
            "category": self.category,
            "message": str(self),
            "context": {**self.context, **context},
            "errors": self.errors,
            "links": {},
        }


def invalid(message: str, **context: list[str]) -> ApiError:
    """The usual 400."""
    return ApiError(400, message, "VALIDATION_ERROR", context=context)


def not_found(message: str = "resource not found", **context: list[str]) -> ApiError:
    """The usual 404."""
    return ApiError(404, message, "OBJECT_NOT_FOUND", context=context)


def taken(contact_id: int) -> ApiError:
    """409: the address belongs to that contact."""
    return ApiError(409, f"Contact already exists. Existing ID: {contact_id}", "CONFLICT")


def missing_scopes(scopes: Sequence[str]) -> ApiError:
    """403: the key may not do this; any one of the scopes would do."""
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return ApiError(
        403, "This app hasn't been granted all required scopes to make this call.", "MISSING_SCOPES", errors=[detail]
    )


def read_body(call: Call) -> dict[str, Any]:
    """The body as a JSON object, or ApiError 400."""
    body = call.json()
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object is expected")
    return body


def read_inputs(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs of a batch, 1 to 100 objects, or ApiError 400."""
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(row, dict) for row in inputs):
        raise invalid("Invalid input JSON: inputs should be an array of objects, and not empty")
    if len(inputs) > MOST_INPUTS:
        raise invalid(f"The maximum number of inputs supported in a batch request for objects is {MOST_INPUTS}")
    return inputs


def read_text(body: Mapping[str, Any], field: str) -> str:
    """A text that must be there, or ApiError 400."""
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise invalid(f"Invalid input JSON: some required fields were not set: [{field}]")
    return value


def read_texts(body: Mapping[str, Any], field: str) -> list[str]:
    """A list of texts, which may be missing, or ApiError 400."""
    values = body.get(field) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise invalid(f"Invalid input JSON: {field} should be an array of strings")
    return values


def read_number(call: Call, field: str, default: int, maximum: int) -> int:
    """A number of the query between 0 and `maximum`, or ApiError 400."""
    text = call.query().get(field, [str(default)])[-1]
    if not text.isdecimal() or len(text) > 18 or int(text) > maximum:
        raise invalid(f"Invalid {field}: a number up to {maximum} is expected")
    return int(text)


def read_names(call: Call, field: str) -> list[str]:
    """Values of a query field that is repeated or separated by commas."""
    return [name for value in call.query().get(field, []) for name in value.split(",") if name]


def wants_archived(call: Call) -> bool:
    """Whether the query asks for what was archived."""
    return call.query().get("archived", ["false"])[-1] == "true"
