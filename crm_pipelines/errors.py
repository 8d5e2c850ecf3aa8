"""The errors that a user may see.

Each message is one sentence or two: what went wrong, where, and what to do. A subclass whose text never varies
carries it as its docstring.
"""

import inspect


class CrmPipelinesError(Exception):
    """crm-pipelines could not do what was asked."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or type(self).__name__))


class UsageError(CrmPipelinesError):
    """The command was not understood; see --help."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting has a value that cannot be used."""


def interruption_behind(error: BaseException | None) -> BaseException | None:
    """What interrupted the work, a stop signal say, if all that is seen of it is this error.

    Signals are raised between any two instructions, also within a library, which may then stumble over what it has not
    finished: SQLAlchemy and psycopg do.
    """
    while isinstance(error, Exception):
        error = error.__context__
    return error
