"""The status page on a real server, with this test's database and the sandbox behind it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import sqlalchemy as sa
import uvicorn

from crm_pipelines.api.app import UVICORN, create_app
from crm_pipelines.contacts.tokens import create_token
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

_SECONDS = 60


class Visitor:
    """Somebody with a browser: keeps cookies, sends the key of the form that they see."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.session = requests.Session()
        self._form_key = ""

    def get(self, path: str) -> requests.Response:
        return self._seen(self.session.get(self.root + path, timeout=_SECONDS))

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
            self.session.post(self.root + path, data=data, headers=headers, timeout=_SECONDS, allow_redirects=follow)
        )

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


@contextmanager
def served(engine: sa.Engine) -> Iterator[str]:
    """The root URL of the application on this database."""
    config = uvicorn.Config(create_app(engine, load_settings()), log_config=None, **UVICORN)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from here on connections wait for the server, so nobody has to wait for it to be up
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_SECONDS)


@pytest.fixture
def site(brevo_environment: BrevoSandbox, engine: sa.Engine) -> Iterator[Site]:
    with served(engine) as root:
        yield Site(root, engine)


@pytest.fixture
def operator(site: Site) -> Visitor:
    """Somebody who may do everything, signed in."""
    return site.visitor(site.token)
