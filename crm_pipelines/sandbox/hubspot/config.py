"""What control can set."""

from pydantic import Field

from crm_pipelines.sandbox.core.config import CoreConfig
from crm_pipelines.sandbox.hubspot.limits import Limits


class SandboxConfig(CoreConfig):
    """The sandbox's behaviour. A rate limit of 0 is no limit; the defaults are those of a free account."""

    per_ten_seconds: int = Field(100, ge=0, description="Requests in 10 seconds per key, searches apart.")
    per_day: int = Field(250_000, ge=0, description="Requests in a day, of all keys.")
    searches_per_second: int = Field(5, ge=0, description="Searches in a second, of all keys.")
    scopes: list[str] | None = Field(None, description="What the keys may do; null: everything.")
    portal_id: int = Field(
        0,
        ge=0,
        description="What account-info calls the account. 0 says that it is a sandbox; with another number it passes "
        "for a real account.",
    )
    echo_trace_ids: bool = Field(default=True, description="Results of a batch show the objectWriteTraceId.")

    hide_first_result: bool = Field(
        default=False, description="A batch that writes says nothing of the contact that comes first in it."
    )
    refused: dict[str, str] = Field(
        {}, description="By address: a batch that writes the contact refuses it in these words, the others are written."
    )

    def limits(self) -> Limits:
        """The rate limits."""
        return Limits(self.per_ten_seconds, self.per_day, self.searches_per_second)
