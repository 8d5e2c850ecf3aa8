"""The destinations that a request may name: all that are known to look at, those that are delivered to to queue for."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request

from crm_pipelines.api.errors import invalid
from crm_pipelines.delivery.account.selectable import require_destination
from crm_pipelines.delivery.standings import why_not
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import known_destinations
from crm_pipelines.settings import Settings


@dataclass(frozen=True)
class Destinations:
    """Of one application."""

    engine: sa.Engine
    settings: Settings

    def known(self) -> tuple[str, ...]:
        """All that the settings or the database name, those of the settings first."""
        with self.engine.connect() as connection:
            return tuple(dict.fromkeys((*self.settings.destinations, *known_destinations(connection))))

    def one(self, name: str | None) -> str:
        """The one that a request names, or the first of the settings. Raises ApiError for a name that nobody knows."""
        if name is None:
            return next(iter(self.settings.destinations))
        if name not in self.settings.destinations and name not in self.known():
            raise invalid([{"field": "crm", "problem": self.settings.why_not(name)}])
        return name

    def several(self, names: Collection[str]) -> list[str]:
        """As one(), each once, and in one order, so that two requests never wait for each other in a ring."""
        return sorted({self.one(name) for name in names})

    def why_not(self, name: str) -> str | None:
        """Why nothing is delivered there; None where somebody delivers, if only one with other settings than these."""
        return why_not(self.engine, self.settings, GateKeeper(self.engine, name).read())

    def admit(self, action: str, names: Collection[str]) -> None:
        """To select asks for somebody who delivers there: raises UnknownDestination before anything is written.

        To take back does not: contacts may have been selected for what is not set up any more.
        """
        if action == "select":
            for name in names:
                require_destination(self.settings, self.engine, name)


def _destinations(request: Request) -> Destinations:
    found: Destinations = request.app.state.destinations
    return found


Known = Annotated[Destinations, Depends(_destinations)]
