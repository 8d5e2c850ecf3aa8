"""What control can set."""

from typing import Literal

from pydantic import Field

from crm_pipelines.sandbox.brevo.attributes import Habits
from crm_pipelines.sandbox.brevo.limits import Limits
from crm_pipelines.sandbox.core.config import CoreConfig


class SandboxConfig(CoreConfig):
    """The sandbox's behaviour. A rate limit of 0 is no limit; the defaults are those of Brevo's general tier."""

    contacts_per_second: int = Field(10, ge=0, description="Requests to /v3/contacts per second and key.")
    contacts_per_hour: int = Field(36_000, ge=0, description="Requests to /v3/contacts per hour and key.")
    others_per_hour: int = Field(100, ge=0, description="Requests to all other paths per hour and key.")
    refusal: Literal["ip", "credits", "permission", "validation"] | None = Field(
        None, description="Refuse every request: for the caller's address, for credits, permission, or validation."
    )
    organization: str | None = Field(
        "crm-pipelines-sandbox",
        description="What GET /account calls the account; null: nothing. The initial name says that it is a sandbox; "
        "with another one it passes for a real account.",
    )
    account_by_key: bool = Field(
        default=False, description="GET /account tells another organization and owner for each key, whatever is set."
    )
    owner: str | None = Field("sandbox@example.com", description="Address of the account's owner; null: none.")
    language: Literal["en", "fr", "it"] = Field("en", description="Of the account: names of its own attributes.")
    attributes: dict[str, Literal["text", "date", "float", "boolean"]] = Field(
        {}, description="Normal attributes of the account besides Brevo's own. Setting it or the language resets both."
    )
    import_seconds: float = Field(0.2, ge=0, description="How long an import is in process before its rows appear.")
    hold_imports: bool = Field(default=False, description="Keep imports in process until they are released.")
    import_status: Literal["completed", "failed", "cancelled"] = Field(
        "completed", description="How imports end; rows appear only if completed."
    )

    import_unblocks: bool = Field(
        default=False, description="Imports take contacts off the block-lists: Brevo does not say that they do not."
    )

    import_refuses: float = Field(
        0, ge=0, le=1, description="Share of the rows of each import that are not taken; one by one they are."
    )

    import_ignores_false: bool = Field(default=False, description="`false` in a row of an import has no effect.")
    category_labels: bool = Field(
        default=False, description="A category attribute takes a label for its number; else a label is dropped."
    )
    keeps_cleared: list[str] = Field([], description='Attributes that an empty text ("") does not clear.')
    refuse_dates: bool = Field(default=False, description="400 for a date that is none; else it is dropped.")
    refuse_transactional: bool = Field(default=False, description="400 for a value of a transactional attribute.")
    refuse_names: str = Field(
        "", description="A regular expression: 400 for a new attribute with such a name.", max_length=200
    )
    drop_words: bool = Field(
        default=False,
        description="A text in an attribute of numbers, or of true and false, is dropped; else it is read.",
    )

    def habits(self) -> Habits:
        """What becomes of values."""
        return Habits(
            takes_labels=self.category_labels,
            keeps_cleared=frozenset(self.keeps_cleared),
            refuses_ill_dates=self.refuse_dates,
            refuses_transactional=self.refuse_transactional,
            refuses_names=self.refuse_names,
            drops_words=self.drop_words,
        )

    def limits(self) -> Limits:
        """The rate limits by bucket."""
        return {
            "contacts": ((self.contacts_per_second, 1), (self.contacts_per_hour, 3600)),
            "others": ((self.others_per_hour, 3600),),
        }
