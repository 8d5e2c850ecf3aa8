"""Serves the sandbox of n8n."""

from pathlib import Path

from starlette.applications import Starlette

from crm_pipelines.sandbox.core import server
from crm_pipelines.sandbox.n8n.config import SandboxConfig
from crm_pipelines.sandbox.n8n.sandbox import N8n


def create_app(state_file: Path | None = None) -> Starlette:
    """The ASGI application. Raises CrmPipelinesError when the state file cannot be used."""
    return server.create_app(N8n(SandboxConfig()), state_file)


def serve(*, port: int, state_file: Path | None = None, reach: server.Reach = server.LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortTakenError, or CrmPipelinesError for the state file."""
    server.serve(N8n(SandboxConfig()), port=port, state_file=state_file, reach=reach)
