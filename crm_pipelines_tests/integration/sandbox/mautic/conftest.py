"""A plain HTTP client of Mautic's sandbox, with a token."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.patience import PATIENCE

SECRET = "a client's secret"
CONTACTS, SEGMENTS, FIELDS = "/api/contacts", "/api/segments", "/api/fields/contact"


class Client:
    """Requests with a token, which is bought with the first of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self._token = ""

    def buy(self, **given: str) -> requests.Response:
        """Ask for a token."""
        form = {"grant_type": "client_credentials", "client_id": "1_id", "client_secret": SECRET, **given}
        return self.session.post(f"{self.url}/oauth/v2/token", data=form, timeout=PATIENCE)

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        if not self._token:
            self._token = self.buy().json()["access_token"]
        headers = options.pop("headers", {"Authorization": f"Bearer {self._token}"})
        return self.session.request(
            method, f"{self.url}{path}", json=json, headers=headers, timeout=PATIENCE, **options
        )

    def get(self, path: str, **query: Any) -> requests.Response:
        return self("GET", path, params=query)

    def post(self, path: str, json: Any = None) -> requests.Response:
        return self("POST", path, json)

    def patch(self, path: str, json: Any = None) -> requests.Response:
        return self("PATCH", path, json)

    def put(self, path: str, json: Any = None) -> requests.Response:
        return self("PUT", path, json)

    def delete(self, path: str) -> requests.Response:
        return self("DELETE", path)

    def create(self, email: str | None = None, **values: Any) -> int:
        """A new contact; returns its id."""
        answer = self.post(f"{CONTACTS}/new", {"email": email, **values})
        assert answer.status_code == 201, answer.text
        identifier: int = answer.json()["contact"]["id"]
        return identifier

    def upsert(self, *rows: dict[str, Any]) -> dict[str, Any]:
        """A batch/new; returns its answer."""
        answer = self.post(f"{CONTACTS}/batch/new", list(rows))
        assert answer.status_code == 201, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def values(self, identifier: int) -> dict[str, Any]:
        """What a contact has, by alias."""
        answer = self.get(f"{CONTACTS}/{identifier}")
        assert answer.status_code == 200, answer.text
        values: dict[str, Any] = answer.json()["contact"]["fields"]["all"]
        return {alias: value for alias, value in values.items() if value is not None}

    def define(self, alias: str, kind: str, **more: Any) -> dict[str, Any]:
        """A new field; returns it."""
        answer = self.post(f"{FIELDS}/new", {"label": alias, "alias": alias, "type": kind, **more})
        assert answer.status_code in (201, 202), answer.text
        field: dict[str, Any] = answer.json()["field"]
        return field

    def segment(self, name: str = "News", **more: Any) -> int:
        """A new segment; returns its id."""
        identifier: int = self.post(f"{SEGMENTS}/new", {"name": name, **more}).json()["list"]["id"]
        return identifier


@pytest.fixture
def client(mautic_sandbox: MauticSandbox) -> Iterator[Client]:
    client = Client(mautic_sandbox.url)
    yield client
    client.session.close()


def where(col: str, expr: str, val: str) -> dict[str, str]:
    """One condition of a query."""
    return {"where[0][col]": col, "where[0][expr]": expr, "where[0][val]": val}


def error(answer: requests.Response) -> dict[str, Any]:
    """The one error that an answer tells."""
    (told,) = answer.json()["errors"]
    assert told["code"] == answer.status_code
    content: dict[str, Any] = told
    return content
