"""What control can set."""

from pydantic import Field

from crm_pipelines.sandbox.core.config import CoreConfig


class SandboxConfig(CoreConfig):
    """The sandbox's behaviour. `keys` and `revoked_keys` are client secrets: tokens bought with a revoked one end too.

    The defaults are those of Mautic 5, with the API switched on.
    """

    api_enabled: bool = Field(default=True, description="Off: every call is refused with 403, and no token is issued.")
    basic_auth: bool = Field(default=False, description="User name and password are accepted, too.")
    token_seconds: int = Field(3600, ge=0, description="How long a token is good for.")
    permissions: list[str] | None = Field(
        None, description="What the user behind the token may do, lead:leads:create and the like; null: everything."
    )
    per_hour: int = Field(0, ge=0, description="Calls in an hour per token; 0: no limit, as Mautic comes.")
    page_limit: int = Field(30, ge=1, description="How many rows a list has, unless the call says how many.")
    batch_limit: int = Field(200, ge=1, description="How many contacts a batch may have.")
    background_fields: bool = Field(
        default=False, description="New fields wait, without a column, for the cron command (POST /_sandbox/cron)."
    )
    checks_unique: bool = Field(
        default=True,
        description="An address that another contact has is refused with 422, as Mautic 5 does. Off: an edit merges "
        "the two contacts, as Mautic 4 did.",
    )
    length_limit: int = Field(
        0, ge=0, le=191, description="Of texts, choices, web and e-mail addresses: 64 in a fresh 5.1. 0: only 191."
    )
    version: str = Field(
        "5.1.1-sandbox",
        pattern=r"^[0-9.]+(-sandbox)?$",
        description="What Mautic-Version says. Without `-sandbox`: as if it were no sandbox.",
    )
    dies_after_rows: int = Field(
        0, ge=0, description="The next batch ends with 500 after so many contacts, which stay saved. 0: it does not."
    )
    hide_first_result: bool = Field(
        default=False, description="Nothing is said of a batch's first contact, which Mautic does not do."
    )
    refused: dict[str, str] = Field(
        {}, description="By address: a write of the contact is refused in these words, the others are written."
    )
