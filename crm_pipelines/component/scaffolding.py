"""What `dg scaffold defs crm_pipelines.CrmSyncComponent NAME` writes."""

from typing import Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field


class ScaffoldParams(BaseModel):
    """What may be said on the command line."""

    destination: str = Field("brevo", description="Name of the destination, such as brevo or hubspot.")
    upstream: str | None = Field(None, description="Key of an asset that fills the table of contacts.")


class CrmSyncScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a `defs.yaml`, or a `component.py`."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """All have a default."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Named after nothing but what was said."""
        given = request.params
        attributes: dict[str, Any] = {"destination": given.destination}
        if given.upstream:
            attributes["upstream"] = [given.upstream]
        scaffold_component(request, attributes)
