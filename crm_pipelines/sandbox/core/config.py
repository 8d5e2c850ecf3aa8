"""What control can set, of every sandbox."""

from pydantic import BaseModel, ConfigDict, Field


class CoreConfig(BaseModel):
    """The behaviour that all sandboxes have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: list[str] | None = Field(None, description="The only keys that are accepted; null: any.")
    revoked_keys: list[str] = Field([], description="Keys that are refused.")
    latency_seconds: float = Field(0, ge=0, description="Pause before every answer of the API.")

    def accepts(self, key: str) -> bool:
        """Whether this key opens the account."""
        return key not in self.revoked_keys and (self.keys is None or key in self.keys)
