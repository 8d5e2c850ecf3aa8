"""Lists page by page: a cursor says where the last page ended, so that nothing is shown twice or left out."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from crm_pipelines.api.errors import ApiError

T = TypeVar("T")
Place = TypeVar("Place")

LONGEST_PAGE = 500


class Page(BaseModel, Generic[T]):
    """A part of a list. `next_cursor` asks for the next part; null: this was the last."""

    items: list[T]
    total: int = Field(description="In the whole list, as it is at present.")
    next_cursor: str | None = Field(description="Send it back as `cursor`.")


class WantedPage(BaseModel):
    """Which part of a list is asked for."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    limit: int = Field(100, ge=1, le=LONGEST_PAGE)
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before.")


def page_of(
    found: Sequence[T], wanted: WantedPage, total: int, place: Callable[[T], tuple[Any, ...]]
) -> dict[str, Any]:
    """What a Page says. `found` is one more than is wanted where the list goes on; `place` is that of an item in it."""
    items = found[: wanted.limit]
    more = len(found) > wanted.limit
    return {"items": items, "total": total, "next_cursor": _cursor_of(place(items[-1])) if more else None}


def _cursor_of(place: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in place]).encode()).decode().rstrip("=")


def place_of(cursor: str | None, first: Place, parse: Callable[..., Place]) -> Place:
    """The place that a cursor stands for; `first` without one. Raises ApiError for what is none of ours."""
    if cursor is None:
        return first
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        parts = json.loads(text)
        if not all(isinstance(part, str) and part.isprintable() and part.isascii() for part in parts):
            raise ValueError
        return parse(*parts)
    except (ValueError, TypeError, RecursionError):
        raise ApiError(422, "invalid_cursor", "The cursor is not of this list. Begin without a cursor.") from None
