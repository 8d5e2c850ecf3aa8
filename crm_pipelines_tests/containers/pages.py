"""What is checked of Dagster's pages, the HTTP API and the status page."""

import json
import re

import requests

from crm_pipelines_tests.containers.stack import Stack, documented
from crm_pipelines_tests.patience import PATIENCE

_JSON = {"Content-Type": "application/json"}
_QUERY = json.dumps({"query": "{ version }"})


def the_pages_refuse_foreign_pages(stack: Stack) -> str:
    root = stack.port("webserver", 3000)

    def ask(**headers: str) -> int:
        spelt = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(f"{root}/graphql", _QUERY, headers=_JSON | spelt, timeout=PATIENCE).status_code

    assert ask() == 200
    assert ask(Origin="https://foreign.example") == 403
    assert ask(Host="foreign.example") == 421
    assert ask(Content_Type="text/plain") == 415
    assert requests.get(f"{root}/graphql", {"query": "{ version }"}, timeout=PATIENCE).status_code == 405
    assert _socket_status(root, Origin="https://foreign.example") == 403
    inside = """
import urllib.error, urllib.request
def ask(**headers):
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request("http://webserver:3000/graphql", b'{"query": "{ version }"}', headers)
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code
print(ask(), ask(Origin="https://foreign.example"), ask(Host="foreign.example"))
"""
    told = stack.inside("code", "python", "-c", inside).stdout.split()
    assert told == ["200", "403", "421"], told
    return "403, 405, 415, 421; from inside, too"


def token_api_and_status_page_work(stack: Stack) -> str:
    make, start = documented("The HTTP API")[0].splitlines()
    [token] = re.findall(r"\bcrmp_\S+", stack.shell(make))
    stack.shell(start)
    root = stack.port("api", 8000)
    bearer = {"Authorization": f"Bearer {token}"}
    path = f"{root}/api/v3/crm/status/summary"
    codes = [requests.get(path, headers=headers, timeout=PATIENCE).status_code for headers in ({}, bearer)]
    page = requests.get(f"{root}/", timeout=PATIENCE)
    assert codes == [401, 200], codes
    assert page.status_code == 200, page.status_code
    assert "text/html" in page.headers["Content-Type"]
    host = stack.inspect("api")["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostIp"]
    assert host == "127.0.0.1"
    return "401 without a token, 200 with it; the status page answers"


def _socket_status(root: str, **headers: str) -> int:
    """The HTTP status with which a web socket is refused, or 101."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(root.replace("http", "ws") + "/graphql", additional_headers=headers, proxy=None):
            return 101
    except InvalidStatus as error:
        return int(error.response.status_code)
