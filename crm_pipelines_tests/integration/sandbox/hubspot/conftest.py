"""A plain HTTP client of HubSpot's sandbox. Whatever it is answered under /crm is judged by HubSpot's own models."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.hubspot_models import complaints_about_answer, operation
from crm_pipelines_tests.patience import PATIENCE

TOKEN = "pat-na1-test"
CONTACTS = "/crm/v3/objects/contacts"
PROPERTIES = "/crm/v3/properties/contacts"


class Hub:
    """Requests with a token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        options.setdefault("timeout", PATIENCE)
        answer = self.session.request(method, f"{self.url}{path}", json=json, **options)
        if operation(method, path) and answer.status_code not in (401, 405, 429):
            content = answer.json() if answer.content else None
            found = complaints_about_answer(method, urlsplit(path).path, answer.status_code, content)
            assert found == [], f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def get(self, path: str, **query: Any) -> requests.Response:
        return self("GET", path, params=query)

    def post(self, path: str, json: Any = None, **query: Any) -> requests.Response:
        return self("POST", path, json, params=query)

    def put(self, path: str, json: Any = None) -> requests.Response:
        return self("PUT", path, json)

    def patch(self, path: str, json: Any = None, **query: Any) -> requests.Response:
        return self("PATCH", path, json, params=query)

    def delete(self, path: str) -> requests.Response:
        return self("DELETE", path)

    def batch(self, action: str, *inputs: dict[str, Any], **more: Any) -> requests.Response:
        return self.post(f"{CONTACTS}/batch/{action}", {"inputs": list(inputs), **more})

    def create(self, email: str, **properties: str) -> str:
        """A new contact; returns its id."""
        answer = self.post(CONTACTS, {"properties": {"email": email, **properties}})
        assert answer.status_code == 201, answer.text
        identifier: str = answer.json()["id"]
        return identifier

    def properties(self, identifier: str, *names: str) -> dict[str, str | None]:
        """What a contact has, by property."""
        answer = self.get(f"{CONTACTS}/{identifier}", properties=",".join(names))
        assert answer.status_code == 200, answer.text
        properties: dict[str, str | None] = answer.json()["properties"]
        return {name: properties[name] for name in names}


@pytest.fixture
def hub(hubspot_sandbox: HubSpotSandbox) -> Iterator[Hub]:
    client = Hub(hubspot_sandbox.url)
    yield client
    client.session.close()


def by_email(email: str, trace: str | None = None, /, **properties: str) -> dict[str, Any]:
    """An input of an upsert."""
    given: dict[str, Any] = {"id": email, "idProperty": "email", "properties": properties}
    return given if trace is None else {**given, "objectWriteTraceId": trace}


def by_id(identifier: str, trace: str | None = None, /, **properties: str) -> dict[str, Any]:
    """An input of an update."""
    given: dict[str, Any] = {"id": identifier, "properties": properties}
    return given if trace is None else {**given, "objectWriteTraceId": trace}
