"""The argument CRM of commands: the name of a destination.

Whether there is such a one, the settings and the database say, where they are at hand.
"""

from typing import TYPE_CHECKING

import click

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.vocabulary import counted

if TYPE_CHECKING:
    import sqlalchemy as sa
    from click.shell_completion import CompletionItem

    from crm_pipelines.settings import Settings


class _Destination(click.ParamType):  # type: ignore[type-arg]  # which click 8.1 does not take
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


def selectable(settings: "Settings", engine: "sa.Engine", name: str) -> str:
    """As `require_destination`; says on stderr where it is somebody else, with other settings, who delivers."""
    from crm_pipelines.delivery.account.selectable import require_destination

    name = require_destination(settings, engine, name)
    if name not in settings.destinations:
        told = f"{name} is not among the destinations of these settings ({', '.join(settings.destinations)}). What is "
        click.echo(f"{told}selected for it waits for a crm-pipelines with that destination.", err=True)
    return name


def waiting_for_nobody(settings: "Settings", engine: "sa.Engine") -> dict[str, str]:
    """A sentence for each destination that contacts are selected for though nobody delivers to it, by its name."""
    from crm_pipelines.destinations.registered import waiting_for_nobody as count

    with engine.connect() as connection:
        found = count(connection, [name for name in settings.destinations if settings.delivers_to(name)])
    return {
        name: f"{counted(contacts, 'contact')} {'is' if contacts == 1 else 'are'} selected for {name}, and nobody "
        f"delivers {'it' if contacts == 1 else 'them'}. {settings.why_not(name)} "
        f"To take them back: `crm-pipelines contacts unselect {name} --where-status Selected` (`Queued`, `Processing`)."
        for name, contacts in found.items()
    }
