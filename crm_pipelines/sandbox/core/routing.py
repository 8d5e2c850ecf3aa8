"""Finds the endpoint for a path."""

import re
from collections.abc import Callable, Mapping, Sequence

from crm_pipelines.sandbox.core.answers import Answer

Endpoint = Callable[..., Answer]
"""Takes the account, the call, and the parts of the path that its pattern has in brackets."""


class Routes:
    """Pairs of a path (a regular expression, matched in full) and its endpoints by method; the first match counts."""

    def __init__(self, routes: Sequence[tuple[str, Mapping[str, Endpoint]]]) -> None:
        self._exact = {path: methods for path, methods in routes if "(" not in path}
        self._patterns = [(re.compile(path), methods) for path, methods in routes if "(" in path]

    def find(self, path: str) -> tuple[Mapping[str, Endpoint], tuple[str, ...]] | None:
        """The endpoints of a path and the arguments in it, or None."""
        if methods := self._exact.get(path):
            return methods, ()
        for pattern, methods in self._patterns:
            if match := pattern.fullmatch(path):
                return methods, match.groups()
        return None
