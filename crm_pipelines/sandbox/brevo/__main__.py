"""`python -m crm_pipelines.sandbox.brevo --port N [--state FILE]`."""

from pathlib import Path

import click

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.sandbox.brevo.server import serve


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="0: any free port.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="Keep the account in this file.")
def main(port: int, state: Path | None) -> None:
    """Serve the local stand-in for Brevo's API on 127.0.0.1."""
    try:
        serve(port=port, state_file=state)
    except CrmPipelinesError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
