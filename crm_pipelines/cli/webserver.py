"""The command that serves Dagster's web page."""

from pathlib import Path

import click

from crm_pipelines.cli.local import PORT


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default="workspace.yaml",
    show_default=True,
    help="Dagster's file that says where the code is.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    help="One more name, without port, under which programs reach it. This machine's and that of DAGSTER_UI_URL are "
    "allowed already.",
)
def webserver(host: str, port: int, workspace: Path, allowed_hosts: tuple[str, ...]) -> None:
    """Serve Dagster's web page, until Ctrl-C.

    It has no login. Use it instead of dagster-webserver: with that, any web page that is open in a browser of this
    machine can launch and stop runs. Here only Dagster's own pages, links to them, and programs can.

    \b
    Example:
      crm-pipelines webserver --port 3001
    """
    import logging
    import os

    from crm_pipelines.api.dagster_page import serve
    from crm_pipelines.settings import load_settings

    logging.basicConfig(format="%(asctime)s %(message)s")
    settings = load_settings()
    os.environ["DAGSTER_HOME"] = str(settings.storage.dagster_home.absolute())
    serve(
        host=host,
        port=port,
        workspace=workspace,
        allowed_hosts=allowed_hosts,
        pages_url=settings.channels.dagster_ui_url,
    )
