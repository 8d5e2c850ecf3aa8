"""Serves the sandbox of HubSpot."""

from pathlib import Path

from starlette.applications import Starlette

from crm_pipelines.sandbox.core import server
from crm_pipelines.sandbox.hubspot.config import SandboxConfig
from crm_pipelines.sandbox.hubspot.sandbox import HubSpot


def create_app(state_file: Path | None = None) -> Starlette:
    """The ASGI application. Raises CrmPipelinesError when the state file cannot be used."""
    return server.create_app(HubSpot(SandboxConfig()), state_file)


def serve(*, port: int, state_file: Path | None = None, reach: server.Reach = server.LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortTakenError, or CrmPipelinesError for the state file."""
    server.serve(HubSpot(SandboxConfig()), port=port, state_file=state_file, reach=reach)
