"""Dagster's web page behind its guard: what a foreign page can have a browser send changes and tells nothing."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import dagster as dg
import pytest
import requests
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from crm_pipelines.api.dagster_page import Guard, names_and_origins
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.patience import PATIENCE

RUN_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
MUTATION = f'mutation {{ deletePipelineRun(runId: "{RUN_ID}") {{ __typename }} }}'
QUERY = "{ version }"
PAGES_URL = "https://dagster.example.com/"


class Dagster:
    """The guarded page at `root`, and whether a mutation has come through."""

    def __init__(self, root: str, instance: dg.DagsterInstance) -> None:
        self.root = root
        self._instance = instance
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def place(self) -> str:
        return self.root.removeprefix("http://")

    @property
    def is_taken_over(self) -> bool:
        return not self._instance.has_run(RUN_ID)

    def make_good(self) -> None:
        if self.is_taken_over:
            self._instance.add_run(dg.DagsterRun("some_job", RUN_ID, status=dg.DagsterRunStatus.SUCCESS))

    def get(self, path: str, **headers: str) -> requests.Response:
        return self._session.get(self.root + path, headers=_spelt(headers), timeout=PATIENCE)

    def post(self, body: str, content_type: str | None, path: str = "/graphql", **headers: str) -> requests.Response:
        typed = {"Content-Type": content_type} if content_type else {}
        return self._session.post(
            self.root + path, data=body.encode(), headers={**typed, **_spelt(headers)}, timeout=PATIENCE
        )

    def ask(self, query: str, **headers: str) -> requests.Response:
        """As its own page and programs do."""
        return self.post(json.dumps({"query": query}), "application/json", **headers)

    def call(self, method: str, path: str) -> requests.Response:
        return self._session.request(method, self.root + path, timeout=PATIENCE)

    def first_message(self, origin: str | None, **headers: str) -> str:
        """What a web socket gets to hear, opened by a page of this origin. Raises InvalidStatus when it is refused."""
        with connect(
            self.root.replace("http", "ws") + "/graphql",
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol("graphql-ws")],
            additional_headers=_spelt(headers),
            proxy=None,
            open_timeout=PATIENCE,
        ) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            return str(json.loads(socket.recv(PATIENCE))["type"])


def _spelt(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture(scope="module")
def _dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    folder = str(tmp_path_factory.mktemp("dagster"))
    hosts, origins = names_and_origins(["webserver"], PAGES_URL)
    with (
        dg.instance_for_test(temp_dir=folder) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
        serving(
            Guard(create_app_from_workspace_process_context(context), hosts=hosts, origins=origins), ws="auto"
        ) as root,
    ):
        yield Dagster(root, instance)


@pytest.fixture
def dagster(_dagster: Dagster) -> Dagster:
    """Dagster's page, with the run that the mutation deletes."""
    _dagster.make_good()
    return _dagster


def test_what_an_image_of_a_foreign_page_fetches_runs_no_query(dagster: Dagster) -> None:
    for path in ("/graphql", "/graphql%0A", "/%67raphql"):
        for accept in ("image/avif,image/webp,*/*;q=0.8", "*/*", ""):
            answer = dagster.get(f"{path}?{urlencode({'query': MUTATION})}", Accept=accept)
            assert answer.status_code == 405, (path, accept)
            assert answer.text == "GraphQL is accepted by POST only."
    assert not dagster.is_taken_over


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; application/json",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "application/jsonp",
        None,
    ],
)
def test_a_form_of_a_foreign_page_runs_no_mutation(dagster: Dagster, content_type: str | None) -> None:
    asked = f"/graphql?{urlencode({'query': MUTATION})}"
    for body, path in ((json.dumps({"query": MUTATION}), "/graphql"), (MUTATION, "/graphql"), ("", asked)):
        assert dagster.post(body, content_type, path).status_code == 415
    assert not dagster.is_taken_over


def test_a_foreign_form_reports_nothing_of_an_asset(dagster: Dagster) -> None:
    for kind in ("materialization", "observation", "check"):
        assert dagster.post("{}", "text/plain", f"/report_asset_{kind}/brevo/contacts").status_code == 415
    assert dagster.post("{}", "application/json", "/report_asset_materialization/brevo/contacts").ok


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "localhost:1:1", "[::1", "@localhost"]
)
def test_a_name_that_somebody_else_points_here_shows_and_changes_nothing(dagster: Dagster, host: str) -> None:
    assert dagster.ask(MUTATION, Host=host).status_code == 421
    for path in ("/", "/server_info", "/logs/a.out", "/static/nothing", "/graphql"):
        assert dagster.get(path, Host=host, Accept="text/html").status_code == 421
    with pytest.raises(InvalidStatus, match="403"):
        dagster.first_message(None, Host=host or "x")
    assert not dagster.is_taken_over


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://[", "http://127.0.0.1:1", "http://localhost", "", "file://", "http://"],
)
def test_a_page_of_another_origin_is_refused_and_so_is_its_web_socket(dagster: Dagster, origin: str) -> None:
    assert dagster.ask(MUTATION, Origin=origin).status_code == 403
    assert dagster.get("/", Origin=origin).status_code == 403
    if origin:
        with pytest.raises(InvalidStatus, match="403"):
            dagster.first_message(origin)
    assert not dagster.is_taken_over


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_may_link_to_dagster_and_neither_embed_it_nor_fetch_from_it(dagster: Dagster, site: str) -> None:
    navigation = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Accept": "text/html"}
    assert dagster.get("/runs/1", Sec_Fetch_Dest="document", **navigation).ok
    assert dagster.get("/runs/1", Sec_Fetch_Dest="iframe", **navigation).status_code == 403
    for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("cors", "empty")):
        answer = dagster.get("/server_info", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode, Sec_Fetch_Dest=dest)
        assert answer.status_code == 403
    form = {**navigation, "Sec_Fetch_Dest": "document"}
    assert dagster.ask(MUTATION, **form).status_code == 403
    with pytest.raises(InvalidStatus, match="403"):
        dagster.first_message(None, Sec_Fetch_Site=site, Sec_Fetch_Mode="websocket")
    assert not dagster.is_taken_over


def test_no_other_page_may_show_it_in_a_frame_or_read_it(dagster: Dagster) -> None:
    for path in ("/", "/graphql", "/server_info"):
        headers = dagster.get(path, Accept="text/html").headers
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "script-src 'nonce-" in dagster.get("/").headers["Content-Security-Policy"], "Dagster's own is still there"


def test_methods_that_dagsters_page_never_uses_are_refused(dagster: Dagster) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert dagster.call(method, "/graphql").status_code == 405


def test_its_own_page_and_programs_are_let_in_under_every_name_of_its_own(dagster: Dagster) -> None:
    port = dagster.place.rpartition(":")[2]
    own = [(host, f"http://{host}") for host in (dagster.place, f"localhost:{port}", f"LOCALHOST:{port}", "[::1]:1")]
    behind_a_proxy = [
        ("dagster.example.com", "https://dagster.example.com"),
        ("dagster.example.com", "https://dagster.example.com:443"),
        ("webserver:3000", "https://dagster.example.com"),
    ]
    for host, origin in own + behind_a_proxy:
        assert dagster.ask(QUERY, Host=host).ok, "a program names no origin"
        assert dagster.ask(QUERY, Host=host, Origin=origin, Sec_Fetch_Site="same-origin").ok, (host, origin)
    assert dagster.post(json.dumps({"query": QUERY}), "application/json; charset=utf-8").ok
    assert dagster.first_message(dagster.root, Sec_Fetch_Site="same-origin") == "connection_ack"
    assert dagster.first_message(None) == "connection_ack"
    assert "GraphiQL" in dagster.get("/graphql", Accept="text/html,*/*").text
    dagster.ask(MUTATION)
    assert dagster.is_taken_over, "as the mutation of the attacks would have"


@pytest.mark.browser
def test_a_real_browser_on_a_foreign_page_is_of_no_use_to_it(dagster: Dagster, page: Page) -> None:
    """A page of another port of this machine: to browsers the same site, so that even cookies would go along."""
    attack = f"""<iframe name="sink"></iframe>
        <form id="form" action="{dagster.root}/graphql" method="post" enctype="text/plain" target="sink">
        <input name='{{"query": "{MUTATION.replace('"', "&#92;&quot;")}", "x": "' value='"}}'></form>
        <script>
        const done = (async () => {{
          const query = {json.dumps(MUTATION)}
          const image = new Image()
          const failed = new Promise(then => {{ image.onerror = image.onload = then }})
          image.src = "{dagster.root}/graphql?query=" + encodeURIComponent(query)
          await failed
          const sent = new Promise(then => {{ document.querySelector("iframe").onload = then }})
          document.getElementById("form").submit()
          await sent
          await fetch("{dagster.root}/graphql", {{method: "POST", mode: "no-cors", body: JSON.stringify({{query}}),
            headers: {{"Content-Type": "text/plain; application/json"}}}}).catch(() => 0)
          const socket = new WebSocket("ws://{dagster.place}/graphql", "graphql-ws")
          return await new Promise(then => {{
            socket.onopen = () => then("opened")
            socket.onerror = () => then("refused")
          }})
        }})()
        </script>"""
    foreign = Starlette(routes=[Route("/", lambda _: HTMLResponse(attack))])
    with serving(foreign) as root:
        page.goto(root)
        assert (page.evaluate("done"), dagster.is_taken_over) == ("refused", False)
