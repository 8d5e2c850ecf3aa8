"""The command line `crm-pipelines`.

| module | commands |
| --- | --- |
| `importing` | `contacts import` |
| `contacts` | `contacts select`, `unselect`, `twins`; `retry` |
| `status` | `status` |
| `suppressions` | `suppress`, `unsuppress`, `suppressions list` |
| `why` | `why` |
| `syncing` | `sync` |
| `delivery` | `check`, `provision` |
| `watching` | `alerts test`, `health` |
| `api` | `api`, `tokens create`, `list`, `revoke` |
| `webserver` | `webserver` |
| `gates` | `gate`, `gate open`, `gate close` |
| `local` | `db upgrade`, `url`, `psql`, `dump`, `restore`, `restored`; `sandbox`, `up`, `demo` |

The modules import what is heavy inside their functions, so that `--help` answers at once.
"""

import errno
import sys

import click

from crm_pipelines.cli import (
    api,
    contacts,
    delivery,
    gates,
    local,
    status,
    suppressions,
    syncing,
    watching,
    webserver,
    why,
)
from crm_pipelines.errors import CrmPipelinesError

_INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


_COMMANDS = [
    *(contacts.contacts, status.status, contacts.retry),
    *(suppressions.suppress, suppressions.unsuppress, suppressions.suppressions),
    *(why.why, syncing.sync, delivery.check, delivery.provision, watching.alerts, watching.health),
    *(api.api, api.tokens, webserver.webserver, gates.gate, local.db, local.sandbox, local.up, local.demo),
]


@click.group(commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="crm-pipelines")
def cli() -> None:
    """Deliver contacts from Postgres to a CRM, and see what became of each.

    In a command, CRM is the name of a destination: brevo, or another name in CRM_DESTINATIONS. The words that commands
    use are explained in docs/glossary.md.
    """


def main() -> None:
    """Run the command of sys.argv and exit: 0 done, 1 the work failed or a check did not pass, 2 wrong usage."""
    try:
        sys.exit(cli.main(prog_name="crm-pipelines", standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except CrmPipelinesError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # A folder that is a file, or belongs to somebody else; a disk that is full, which may be that of our output.
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        click.echo(f"Error: {error.filename or 'The output'} cannot be used: {error.strerror}.", err=True)
        sys.exit(1)
