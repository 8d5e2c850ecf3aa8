"""The command line of a sandbox: `--port N [--state FILE]`."""

from collections.abc import Callable
from pathlib import Path

import click

from crm_pipelines.errors import CrmPipelinesError


def program(name: str, serve: Callable[..., None]) -> click.Command:
    """The command that serves the sandbox of the CRM with this name."""

    @click.command(help=f"Serve the local stand-in for {name}'s API on 127.0.0.1.")
    @click.option("--port", type=click.IntRange(0, 65535), required=True, help="0: any free port.")
    @click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep the account in this file.")
    def main(port: int, state: Path | None) -> None:
        try:
            serve(port=port, state_file=state)
        except CrmPipelinesError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(error.exit_code) from None

    return main
