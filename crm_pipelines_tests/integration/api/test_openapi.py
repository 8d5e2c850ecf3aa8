"""The OpenAPI document: what it says is what is done, whatever is sent."""

import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from crm_pipelines.api.access import Authenticator
from crm_pipelines.settings import N8nSettings
from crm_pipelines_tests.fixtures.api import ENOUGH, Api
from crm_pipelines_tests.patience import LONGEST_TEST, PATIENCE

# Left out: the schema cannot say which cursors, addresses and keys are good, so `positive_data_acceptance` blames what
# is right.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]


def test_generated_requests_meet_no_server_error_and_only_what_is_documented(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the health of a Dagster that is not there would count as a server error.
    api.app.state.open_instance = nullcontext
    monkeypatch.setattr("crm_pipelines.api.status.health", lambda *_: [])
    api.app.state.authenticator = Authenticator(api.engine, requests_per_minute=ENOUGH, failures_per_minute=ENOUGH)
    # The one token that is sent opens the webhook, too, which knows the contact of its example.
    told_by_n8n = N8nSettings(
        webhook_url=SecretStr("https://n8n.example.com/x"), webhook_secret=SecretStr(api.token or "")
    )
    settings = api.app.state.settings
    destinations = {**settings.destinations, "n8n": told_by_n8n}
    monkeypatch.setattr(api.app.state, "settings", replace(settings, destinations=destinations), raising=False)
    api.people.add(3)
    api.people.add(id="3fa85f64-5717-4562-b3fc-2c963f66afa6")
    ended = subprocess.run(
        [
            *(Path(sys.executable).parent / "schemathesis", "run", f"{api.url}/openapi.json"),
            *("-H", f"Authorization: Bearer {api.token}", f"--checks={','.join(CHECKS)}"),
            *("--phases=examples,coverage,fuzzing", "--max-examples=8", "--seed=1", "--no-shrink"),
            # A busy machine is no failure of the API.
            *(f"--request-timeout={PATIENCE}", "--suppress-health-check=all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONGEST_TEST,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert int(re.findall(r"(\d+) generated", ended.stdout)[0]) > 1000


def test_every_operation_is_documented_with_its_errors_and_every_body_with_an_example(api: Api) -> None:
    document = api.session.get(f"{api.url}/openapi.json", timeout=PATIENCE).json()
    schemas = document["components"]["schemas"]
    paths = document["paths"].items()
    operations = [(f"{method} {path}", one) for path, methods in paths for method, one in methods.items()]
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    for name, operation in operations:
        assert operation["description"], name
        assert {"401", "403", "422", "429", "503"} <= set(operation["responses"]), name
        if "requestBody" in operation:
            [content] = operation["requestBody"]["content"].values()
            assert schemas[content["schema"]["$ref"].rpartition("/")[2]]["examples"], name
