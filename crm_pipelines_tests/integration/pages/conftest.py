"""The status page on a real server, with a database of its own and the sandbox behind it."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
import requests
import sqlalchemy as sa

from crm_pipelines.access.tokens import create_token
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.api import Served, api_settings, served_on_own_database
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


class Visitor:
    """Somebody with a browser: keeps cookies, sends the key of the form that they see."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.session = requests.Session()
        self._form_key = ""

    def get(self, path: str) -> requests.Response:
        return self._seen(self.session.get(self.root + path, timeout=PATIENCE))

    def send(
        self,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        *,
        follow: bool = True,
    ) -> requests.Response:
        """Send a form with the key of the last page seen."""
        data = {"form_key": self._form_key, **(form or {})}
        return self._seen(
            self.session.post(self.root + path, data=data, headers=headers, timeout=PATIENCE, allow_redirects=follow)
        )

    def decide(self, contact: UUID, action: str, crm: str = "brevo") -> requests.Response:
        """Look at what a decision about a contact would do, and press the button, if there is one."""
        seen = re.search(r'name="offer" value="([^"]+)"', self.get(f"/contacts/{contact}/{action}?crm={crm}").text)
        return self.send(f"/contacts/{contact}/{action}", {"crm": crm, "offer": seen[1] if seen else ""})

    def sign_in(self, token: str) -> requests.Response:
        return self.send("/sign-in", {"token": token})

    def _seen(self, response: requests.Response) -> requests.Response:
        found = re.search(r'name="form_key" value="([0-9a-f]+)"', response.text)
        self._form_key = found[1] if found else self._form_key
        return response


class Site:
    """The running page, and tokens for it."""

    def __init__(self, root: str, engine: sa.Engine) -> None:
        self.root = root
        self.token = create_token(engine, "operator", ("read", "write"))
        self.reading_token = create_token(engine, "monitor", ("read",))

    def visitor(self, token: str | None = None) -> Visitor:
        """Signed in with the token, if one is given."""
        visitor = Visitor(self.root)
        if token:
            assert visitor.sign_in(token).ok
        return visitor


@pytest.fixture(scope="module")
def _served(postgres_server: EmbeddedPostgres, _template: str, brevo_sandbox_server: str) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BREVO_API_KEY", API_KEY)
        environment.setenv("BREVO_API_BASE_URL", f"{brevo_sandbox_server}/v3")
        settings = api_settings()
    with served_on_own_database(postgres_server, _template, settings) as served:
        yield served


@pytest.fixture
def engine(_served: Served) -> sa.Engine:
    """An engine on the database behind the page, which is empty."""
    _served.begin_anew()
    return _served.engine


@pytest.fixture
def site(_served: Served, engine: sa.Engine, brevo_sandbox: BrevoSandbox, still_minute: None) -> Site:
    """The page on an empty database; its server is that of the module."""
    return Site(_served.root, engine)


@pytest.fixture
def operator(site: Site) -> Visitor:
    """Somebody who may do everything, signed in."""
    return site.visitor(site.token)
