"""Serves the sandbox of Brevo."""

from pathlib import Path

from starlette.applications import Starlette

from crm_pipelines.sandbox.brevo.config import SandboxConfig
from crm_pipelines.sandbox.brevo.sandbox import Brevo
from crm_pipelines.sandbox.core import server


def create_app(state_file: Path | None = None) -> Starlette:
    """The ASGI application. Raises CrmPipelinesError when the state file cannot be used."""
    return server.create_app(Brevo(SandboxConfig()), state_file)


def serve(*, port: int, state_file: Path | None = None, reach: server.Reach = server.LOOPBACK) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortTakenError, or CrmPipelinesError for the state file."""
    server.serve(Brevo(SandboxConfig()), port=port, state_file=state_file, reach=reach)
