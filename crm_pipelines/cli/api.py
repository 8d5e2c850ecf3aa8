"""Commands for the HTTP API: serve it, and say who may use it."""

import logging
import signal
from contextlib import suppress

import click

from crm_pipelines.cli.database import contacts_engine
from crm_pipelines.cli.local import API_PORT
from crm_pipelines.cli.output import cells, print_json, print_table, table
from crm_pipelines.errors import CrmPipelinesError, UsageError

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - only compared with


class ExtraMissing(CrmPipelinesError):
    """The API is not installed: `pip install 'crm-pipelines[api]'`."""


class NoToken(UsageError):
    """Without a token the API is served on this machine only: make one with `crm-pipelines tokens create NAME`."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=API_PORT, show_default=True)
def api(host: str, port: int) -> None:
    """Serve the HTTP API and the status page, until Ctrl-C.

    Every request needs a token. Beyond this machine it is served only once there is one.

    \b
    Examples:
      crm-pipelines api
      crm-pipelines api --host 0.0.0.0 --port 8080
    """
    try:
        import uvicorn

        from crm_pipelines.api.app import UVICORN, create_app
    except ModuleNotFoundError as error:
        raise ExtraMissing from error
    from crm_pipelines.access.tokens import any_token
    from crm_pipelines.local.databases import point_dagster_at
    from crm_pipelines.local.processes import free_port_or_explain, loopback_listeners

    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("crm_pipelines.api").setLevel(logging.INFO)
    with contacts_engine() as (settings, engine):
        point_dagster_at(settings, engine.url)
        if not any_token(engine):
            if host not in _LOOPBACK:
                raise NoToken
            click.echo(
                "There is no token yet, so every request is refused: `crm-pipelines tokens create NAME`.", err=True
            )
        if host in _LOOPBACK | _EVERYWHERE:
            free_port_or_explain(port, "the HTTP API", "--port")
        app = create_app(engine, settings)
        # Browsers try ::1 first for a name in .localhost: nobody else may answer there.
        sockets = loopback_listeners(port, "the HTTP API", "--port") if host == "127.0.0.1" else None
        # uvicorn hands the signal on when it has stopped: SIGTERM is then an orderly end, as Ctrl-C is.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(app, host=host, port=port, **UVICORN)).run(sockets=sockets)


@click.group()
def tokens() -> None:
    """Who may use the HTTP API."""


@tokens.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(["read", "write"]), multiple=True, default=["read"], show_default=True
)
@click.option("--expires", "days", type=click.IntRange(1, 3650), metavar="DAYS", help="Refuse it after so many days.")
def create(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token and print it; it is shown this once. NAME says who uses it.

    \b
    Examples:
      crm-pipelines tokens create monitor
      crm-pipelines tokens create web-app --scope read --scope write
      crm-pipelines tokens create grace --expires 30
    """
    from crm_pipelines.access.tokens import create_token

    with contacts_engine() as (_, engine):
        token = create_token(engine, name, scopes, days=days)
    click.echo("Keep it: it cannot be shown again.", err=True)
    click.echo(token)


_TIMES = {
    "Created (UTC)": "created_at",
    "Last used (UTC)": "last_used_at",
    "Expires (UTC)": "expires_at",
    "Revoked (UTC)": "revoked_at",
}


@tokens.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show all tokens, without their secrets.

    \b
    Example:
      crm-pipelines tokens list
    """
    from dataclasses import asdict

    from crm_pipelines.access.tokens import list_tokens

    with contacts_engine() as (_, engine):
        found = list_tokens(engine)
    if as_json:
        print_json([asdict(token) for token in found])
        return
    # A time that no token has takes no room from the others.
    times = {
        title: field
        for title, field in _TIMES.items()
        if field == "created_at" or any(getattr(token, field) for token in found)
    }
    shown = table("Name", "Id", "Scopes", *times)
    for token in found:
        moments = [getattr(token, field) for field in times.values()]
        shown.add_row(
            *cells(
                token.name,
                token.id,
                ", ".join(token.scopes),
                *(f"{moment:%Y-%m-%d %H:%M}" if moment else None for moment in moments),
            )
        )
    print_table(shown)


@tokens.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Refuse the token of this NAME (or id) from now on.

    \b
    Example:
      crm-pipelines tokens revoke monitor
    """
    from crm_pipelines.access.tokens import revoke_token

    with contacts_engine() as (_, engine):
        revoke_token(engine, name)
    click.echo(f"The token {name} is revoked.")
