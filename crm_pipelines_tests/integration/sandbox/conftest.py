"""A plain HTTP client of the sandbox."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


class Api:
    """Requests to /v3 with a key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["api-key"] = "xkeysib-test"

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        options.setdefault("timeout", PATIENCE)
        return self.session.request(method, f"{self.url}{path}", json=json, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> requests.Response:
        return self("PUT", path, json, **options)

    def get(self, path: str, **query: Any) -> requests.Response:
        return self("GET", path, params=query)

    def delete(self, path: str) -> requests.Response:
        return self("DELETE", path)


@pytest.fixture
def api(brevo_sandbox: BrevoSandbox) -> Iterator[Api]:
    client = Api(brevo_sandbox.url)
    yield client
    client.session.close()
