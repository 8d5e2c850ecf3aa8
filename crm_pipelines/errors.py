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
