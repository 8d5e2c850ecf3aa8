"""HubSpot's own words on what its API takes and answers, read out of its Python client.

HubSpot's OpenAPI documents are "proprietary and not licensed for external use" (the README of
HubSpot/HubSpot-public-api-spec-collection), so there is no copy of them here. hubspot-api-client (Apache-2.0) is
generated from them: its operations name the bodies and the answers of each status, its models the fields, their types,
which of them must be there, and which words they may have.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import hubspot.crm.contacts
import hubspot.crm.lists
import hubspot.crm.properties

PACKAGES: Mapping[str, ModuleType] = {
    "objects": hubspot.crm.contacts,
    "properties": hubspot.crm.properties,
    "lists": hubspot.crm.lists,
}
_DATED = re.compile(r"^/crm/(objects|properties|lists)/\d{4}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")
_PLAIN: Mapping[str, type] = {"str": str, "bool": bool, "object": object}


class Operation(NamedTuple):
    """`body`: the type of the request's body, None where it has none. `answers`: that of the answer, by status."""

    package: ModuleType
    body: str | None
    answers: Mapping[int, str]


def complaints_about_request(method: str, path: str, body: Any) -> list[str]:
    """What is wrong with a request, in sentences; [] for nothing. The path is one of /crm/v3 or of a dated version."""
    found = operation(method, path)
    if found is None:
        return [f"HubSpot has no {method} {path}"]
    if found.body is None:
        return [] if body is None else ["there should be no body"]
    return complaints(found.package, found.body, body)


def complaints_about_answer(method: str, path: str, status: int, body: Any) -> list[str]:
    """The same of an answer. Where a property has no value, null will do: so says the guide."""
    found = operation(method, path)
    if found is None:
        return [f"HubSpot has no {method} {path}"]
    if status >= 400:
        # The client reads no "status" of an error, though all have it.
        return complaints(found.package, "Error", {name: value for name, value in body.items() if name != "status"})
    if not found.answers:
        return [] if (status, body) == (204, None) else [f"status {status}, where there should be no content"]
    if status not in found.answers:
        return [f"status {status}, where there should be one of {sorted(found.answers)}"]
    return complaints(found.package, found.answers[status], body, nulls=True)


def operation(method: str, path: str) -> Operation | None:
    """The operation of HubSpot's that this is."""
    path = _DATED.sub(r"/crm/v3/\1", path).rstrip("/")
    return next((one for (verb, pattern), one in _operations() if verb == method and pattern.fullmatch(path)), None)


def complaints(package: ModuleType, kind: str, value: Any, where: str = "", *, nulls: bool = False) -> list[str]:
    """What keeps a JSON value from being of a kind, as the client names it: `list[Model]`, `dict[str, str]`."""
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        inner = (complaints(package, match[1], one, f"{where}[{at}]", nulls=nulls) for at, one in enumerate(value))
        return [complaint for some in inner for complaint in some]
    if match := re.fullmatch(r"dict\[str, ?(.+)\]", kind):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        rows = ((name, one) for name, one in value.items() if not (nulls and one is None))
        inner = (complaints(package, match[1], one, f"{where}.{name}", nulls=nulls) for name, one in rows)
        return [complaint for some in inner for complaint in some]
    if kind == "int":
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "datetime":
        fits = isinstance(value, str) and _TIME.fullmatch(value) is not None
    elif kind in _PLAIN:
        fits = isinstance(value, _PLAIN[kind])
    else:
        return list(_of_model(package, getattr(package, kind), value, where, nulls=nulls))
    return [] if fits else [f"{where} is no {kind}: {value!r}"]


def _of_model(package: ModuleType, model: Any, value: Any, where: str, *, nulls: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    for name in value.keys() - set(model.attribute_map.values()):
        yield f"{where}.{name} is unknown to {model.__name__}"
    blank = object.__new__(model)
    blank.local_vars_configuration = _strict(package)
    for attribute, name in model.attribute_map.items():
        given = value.get(name)
        try:
            # The models' own setters say what must be there, and which words there are.
            setattr(blank, attribute, given)
        except ValueError as error:
            yield f"{where}.{name}: {error}"
            continue
        if given is not None:
            yield from complaints(package, model.openapi_types[attribute], given, f"{where}.{name}", nulls=nulls)


@cache
def _strict(package: ModuleType) -> Any:
    configuration = package.Configuration()
    configuration.client_side_validation = True  # off in the client as it comes
    return configuration


@cache
def _operations() -> list[tuple[tuple[str, re.Pattern[str]], Operation]]:
    """Those with the fewest variables in their path come first."""
    found = [one for package in PACKAGES.values() for one in _operations_of(package)]
    found.sort(key=lambda one: one[1].count("{"))
    return [((verb, _pattern(path)), described) for verb, path, described in found]


def _operations_of(package: ModuleType) -> Iterator[tuple[str, str, Operation]]:
    classes = [one for name, one in vars(package).items() if inspect.isclass(one) and name.endswith("Api")]
    for api in classes:
        for name, method in inspect.getmembers(api, inspect.isfunction):
            if name.endswith("_with_http_info"):
                yield _operation_of(package, api, method)


def _operation_of(package: ModuleType, api: Any, method: Any) -> tuple[str, str, Operation]:
    parameters = [name for name in inspect.signature(method).parameters if name not in {"self", "kwargs"}]
    types = dict(re.findall(r":type (\w+): (.+)", method.__doc__ or ""))
    path, verb, body, answers = method(api(_Recorder(package)), *map(_Named, parameters))
    return verb, path, Operation(package, types[body.name] if body is not None else None, answers)


class _Named:
    """Stands for the argument of this name."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Recorder:
    """In the place of the client's HTTP: gives back what a method wants to ask."""

    client_side_validation = True

    def __init__(self, package: ModuleType) -> None:
        self._real = package.ApiClient()
        self.select_header_accept = self._real.select_header_accept

    def select_header_content_type(self, *_: Any) -> str:
        return "application/json"

    def call_api(self, path: str, verb: str, *_: Any, **asked: Any) -> tuple[str, str, Any, Mapping[int, str]]:
        return path, verb, asked["body"], asked["response_types_map"]


def _pattern(path: str) -> re.Pattern[str]:
    kinds = path.replace("{objectType}", "contacts").rstrip("/")
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", kinds))))
