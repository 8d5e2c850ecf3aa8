"""The argument CRM of commands: the name of a destination.

Whether there is such a one, the settings and the database say, where they are at hand.
"""

from typing import TYPE_CHECKING

import click

from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from click.shell_completion import CompletionItem

    from crm_pipelines.settings import Settings


class _Destination(click.ParamType):
    """Any text, in small letters. Completed from the settings."""

    name = "crm"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        return value.strip().casefold()

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002
        from click.shell_completion import CompletionItem

        from crm_pipelines.settings import load_settings

        try:
            names = load_settings().destinations
        except CrmPipelinesError:  # the command itself says it
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete.casefold())]


DESTINATION = _Destination()


def known(settings: "Settings", engine: "sa.Engine", crm: str | None) -> tuple[str, ...]:
    """Each destination that the settings or this database know; only `crm`, if given.

    For what is also done about those that nothing is delivered to any more. Raises UnknownDestination.
    """
    from crm_pipelines.contacts.destinations import known_destinations
    from crm_pipelines.settings import UnknownDestination

    with engine.connect() as connection:
        names = tuple(dict.fromkeys((*known_destinations(connection), *settings.destinations)))
    if crm is None:
        return names
    if crm not in names:
        raise UnknownDestination(
            f"There is no destination named {crm}: there are {', '.join(names)}. CRM_DESTINATIONS names further ones."
        )
    return (crm,)
