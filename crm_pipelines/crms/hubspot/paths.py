"""Where HubSpot's endpoints are: with the version in front (/crm/v3/objects) or behind (/crm/objects/2026-03)."""

from typing import NamedTuple


class Paths(NamedTuple):
    """The endpoints of one version."""

    version: str

    def contacts(self, what: str) -> str:
        """Such as `batch/upsert`."""
        return self._crm("objects", f"/contacts/{what}")

    @property
    def all_contacts(self) -> str:
        """Pages of contacts."""
        return self._crm("objects", "/contacts")

    def properties(self, name: str = "") -> str:
        """All properties of contacts, or one."""
        return self._crm("properties", f"/contacts{f'/{name}' if name else ''}")

    def list(self, list_id: int) -> str:
        """A list."""
        return self._crm("lists", f"/{list_id}")

    def members(self, list_id: int) -> str:
        """Where members are added to a list."""
        return f"{self.list(list_id)}/memberships/add"

    @property
    def account(self) -> str:
        """The account itself."""
        return f"/account-info/{self.version}/details"

    @property
    def scopes(self) -> str:
        """What a key may do. Of no version that the settings name."""
        return "/oauth/v2/private-apps/get/access-token-info"

    def _crm(self, room: str, rest: str) -> str:
        return (
            f"/crm/{self.version}/{room}{rest}" if self.version.startswith("v") else f"/crm/{room}/{self.version}{rest}"
        )
