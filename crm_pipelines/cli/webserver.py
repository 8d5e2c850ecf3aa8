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
    help="A name, without port, under which programs reach it, beside this machine's and that of DAGSTER_UI_URL.",
)
def webserver(host: str, port: int, workspace: Path, allowed_hosts: tuple[str, ...]) -> None:
    """Serve Dagster's web page, until Ctrl-C.

    It has no login. This takes the place of dagster-webserver, which lets any web page that is open in a browser of
    this machine launch and stop runs; here only its own pages, links to it, and programs get in.

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
