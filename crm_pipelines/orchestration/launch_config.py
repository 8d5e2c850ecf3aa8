"""Launch config that makes no sense is refused when it is launched, in sentences: no run of it is made.

Dagster's page looks at names and types while one types, and no further. What a config class does not take it would tell
from within a run that has begun, with the value, which may be somebody's address. A job's config mapping is asked
before there is a run, by whoever launches.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import dagster as dg
from pydantic import ValidationError

from crm_pipelines.crms import normalize

_VALUE_ERROR = "Value error, "


class _Making(Protocol):
    def __call__(self, *, config: dg.ConfigMapping | None) -> dg.JobDefinition: ...


def checked(make: _Making, configs: Mapping[str, type[dg.Config]]) -> dg.JobDefinition:
    """The job that `make` makes, with the config class of each op that has one; the form in the page stays as it is."""
    plain = make(config=None)

    def check(given: dict[str, Any]) -> dict[str, Any]:
        problems = [problem for op, config in configs.items() for problem in _problems(config, given, op)]
        if problems:
            raise dg.DagsterInvalidConfigError(" ".join(problems), [], None)  # type: ignore[no-untyped-call]
        return given

    schema = plain.run_config_schema.run_config_schema_type
    return make(config=dg.ConfigMapping(config_fn=check, config_schema=schema))


def _problems(config: type[dg.Config], given: Mapping[str, Any], op: str) -> list[str]:
    """Without the values: they may be personal data, and the page keeps what it is told."""
    try:
        config(**given["ops"][op]["config"])
    except ValidationError as error:
        return [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix(_VALUE_ERROR)}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    return []


def valid_ids(given: Sequence[str]) -> Sequence[str]:
    """For a validator of a config class."""
    example = "123e4567-e89b-12d3-a456-426614174000"
    return _all(given, UUID, f"expected ids as in column id of contacts, such as {example}.")


def valid_addresses(given: Sequence[str]) -> Sequence[str]:
    """For a validator of a config class."""
    return _all(given, normalize.address, "expected e-mail addresses, such as ada@example.com; one of them is none.")


def _all(given: Sequence[str], read: Callable[[str], object], expected: str) -> Sequence[str]:
    try:
        if all(read(one) for one in given):
            return given
    except ValueError:
        pass
    raise ValueError(expected)


def not_blank(given: str | None) -> str | None:
    """For a validator of a config class."""
    if given is not None and not given.strip():
        raise ValueError("expected a name; leave the line out for none.")
    return given
