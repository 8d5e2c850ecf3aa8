"""Against servers that no library would play: they drip, lie about lengths, and hang."""

import logging
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from crm_pipelines.crms import transport
from crm_pipelines.crms.transport import Answer, HeaderKey, Transport
from crm_pipelines.crms.turns import leave_by
from crm_pipelines_tests.fixtures.deadlines import Deadlines
from crm_pipelines_tests.patience import PATIENCE

KEY = "xkeysib-test"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
DEADLINE = timedelta(seconds=0.2)
LONG = timedelta(seconds=PATIENCE)
Script = Callable[["RawServer", socket.socket], None]


class RawServer:
    """Runs `script` for each connection, in a thread of its own, until it returns."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._wakes = socket.socket()
        self._wakes.bind(("127.0.0.1", 0))
        self._last = self._wakes.getsockname()
        self.stopped = threading.Event()
        self.connections = 0
        self.while_dripping: Callable[[], None] = lambda: None
        self.came_to_an_end = False
        self.received: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}/v3"

    def _accept(self) -> None:
        while True:
            connection, address = self._listener.accept()
            if address == self._last:
                connection.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            served = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with served:
                self._script(self, served)
        except OSError:
            return  # the client hung up

    def read(self, connection: socket.socket) -> bytes:
        """One request; empty when the client has hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return b""
            data += chunk
        self.received.append(data)
        return data

    def drip(self, connection: socket.socket, byte: bytes, times: int) -> None:
        """Again and again, each well within a read time-out; together they outlast every deadline of these tests."""
        for number in range(times):
            connection.sendall(byte)
            if number == 0:
                self.while_dripping()
            if self.stopped.wait(PATIENCE / times):
                return
        self.came_to_an_end = True

    def all_connections(self) -> int:
        """How many there were in all: those, too, that the client has made of late and that wait to be accepted."""
        if not self.stopped.is_set():
            self.stopped.set()
            with self._wakes:  # the last one in the queue
                self._wakes.connect(self._listener.getsockname())
                self._threads[0].join(PATIENCE)
            self._listener.close()
        return self.connections

    def close(self) -> None:
        self.all_connections()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def serve(script: Script, tls: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(script, tls))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Transport]]:
    clients: list[Transport] = []

    def connect(server: RawServer, longest_request: timedelta = LONG) -> Transport:
        clients.append(Transport(server.url, HeaderKey("api-key", KEY), longest_request=longest_request))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def always(answer: bytes) -> Script:
    def script(server: RawServer, connection: socket.socket) -> None:
        while server.read(connection):
            connection.sendall(answer)

    return script


DRIPS = 3000


def drips_headers(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ")
    server.drip(connection, b"y", DRIPS)
    connection.sendall(b"\r\n\r\n{}")


def drips_body(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % DRIPS)
    server.drip(connection, b" ", DRIPS)


def drips_until_closed(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")
    server.drip(connection, b" ", DRIPS)


def hangs(server: RawServer, connection: socket.socket) -> None:
    server.read(connection)
    server.drip(connection, b"", 3)


def expect_timeout(client: Transport, server: RawServer) -> None:
    """While the server still makes it wait."""
    with pytest.raises(requests.Timeout):
        client.request("POST", "/contacts", json={})
    assert not server.came_to_an_end


@pytest.mark.parametrize("script", [drips_headers, drips_body, drips_until_closed, hangs])
def test_the_deadline_holds_whatever_the_server_does(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], script: Script
) -> None:
    server = serve(script)
    expect_timeout(connect(server, DEADLINE), server)
    assert server.all_connections() <= 1


@pytest.mark.parametrize("script", [drips_headers, drips_body, hangs])
def test_the_deadline_holds_under_tls(
    serve: Callable[..., RawServer],
    connect: Callable[..., Transport],
    script: Script,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deadlines: Deadlines,
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl for a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(transport, "is_loopback", lambda url: False)
    server = serve(script, tls)
    server.while_dripping = deadlines.pass_now  # the handshake is done: the deadline meets the encrypted stream
    expect_timeout(connect(server), server)
    assert server.all_connections() == 1


def test_the_deadline_ends_with_its_request(serve: Callable[..., RawServer], connect: Callable[..., Transport]) -> None:
    server = serve(always(OK))
    client = connect(server)
    client.request("GET", "/account")
    for timer in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        timer.join(PATIENCE)
        assert not timer.is_alive()
    client.request("GET", "/account")
    assert server.all_connections() == 1


def test_the_deadline_holds_on_a_connection_that_was_used_before(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], deadlines: Deadlines
) -> None:
    def script(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(OK)
        drips_headers(server, connection)

    server = serve(script)
    server.while_dripping = deadlines.pass_now
    client = connect(server)
    client.request("GET", "/account")
    expect_timeout(client, server)
    assert server.all_connections() == 1


def test_requests_keep_their_connection_also_across_threads(
    serve: Callable[..., RawServer], connect: Callable[..., Transport]
) -> None:
    server = serve(always(OK))
    client = connect(server)
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(client.request, "GET", "/account").result()
    assert server.all_connections() == 1


def test_an_idle_connection_is_not_trusted(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(always(OK))
    client = connect(server)
    client.request("GET", "/account")
    monkeypatch.setattr(transport, "LONGEST_IDLE_SECONDS", 0.0)
    client.request("GET", "/account")
    assert server.all_connections() == 2


def test_many_threads_get_their_own_answers(serve: Callable[..., RawServer], connect: Callable[..., Transport]) -> None:
    def echo(server: RawServer, connection: socket.socket) -> None:
        while request := server.read(connection):
            path = request.split()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    client = connect(serve(echo))
    with ThreadPoolExecutor(16) as pool:
        answers: list[Answer] = list(pool.map(lambda n: client.request("GET", f"/{n}"), range(300)))
    assert [answer.body for answer in answers] == [b"/v3/%d" % n for n in range(300)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_broken_answer_is_an_exception_of_requests(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], answer: bytes
) -> None:
    def script(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(answer)

    server = serve(script)
    with pytest.raises(requests.RequestException):
        connect(server).request("POST", "/contacts", json={})
    assert server.all_connections() == 1


def test_no_server_is_an_exception_of_requests() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        client = Transport(f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/v3", HeaderKey("api-key", KEY))
        with pytest.raises(requests.ConnectionError):
            client.request("GET", "/account")
        client.close()


def test_an_answer_is_read_up_to_a_size(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 100_000)

    def endless(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stopped.is_set():
            connection.sendall(b"x" * 65536)

    assert len(connect(serve(endless)).request("GET", "/account").body) == 100_000


def test_a_redirect_is_not_followed_and_takes_no_key_along(
    serve: Callable[..., RawServer], connect: Callable[..., Transport]
) -> None:
    elsewhere = serve(always(OK))
    server = serve(always(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % elsewhere.url.encode()))
    assert connect(server).request("GET", "/account").status == 302
    assert elsewhere.all_connections() == 0


def test_the_key_is_in_its_header_only_and_netrc_adds_nothing(
    serve: Callable[..., RawServer],
    connect: Callable[..., Transport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(transport, "is_loopback", lambda url: False)  # a loopback address ignores the environment
    server = serve(always(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"))
    client = connect(server)
    client.request("GET", "/contacts", params={"limit": "1"})
    client.request("GET", "/contacts", params={"limit": "1"})
    for request in server.received:
        head = request.decode().lower()
        assert head.startswith("get /v3/contacts?limit=1 http/1.1\r\n")
        assert head.count(KEY) == 1
        assert f"api-key: {KEY}" in head
        assert re.search(r"user-agent: crm-pipelines/[0-9.]+ \(", head), "a name and a version alone are a bot's to n8n"
        assert "authorization" not in head
        assert "cookie" not in head


def test_a_proxy_of_the_environment_is_used_but_not_for_a_loopback_address(
    serve: Callable[..., RawServer], connect: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(always(OK)), serve(always(OK))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v3"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    connect(server).request("GET", "/account")
    assert (proxy.connections, server.connections) == (0, 1)
    monkeypatch.setattr(transport, "is_loopback", lambda url: False)
    connect(server).request("GET", "/account")
    assert (proxy.connections, server.connections) == (1, 1)


def test_the_deadline_holds_behind_a_proxy(
    serve: Callable[..., RawServer],
    connect: Callable[..., Transport],
    monkeypatch: pytest.MonkeyPatch,
    deadlines: Deadlines,
) -> None:
    proxy = serve(drips_headers)
    proxy.while_dripping = deadlines.pass_now
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v3"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transport, "is_loopback", lambda url: False)
    expect_timeout(connect(proxy), proxy)


BAD_HEADER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header at all\r\n\r\n{}"


@pytest.mark.parametrize("answer", [OK, BAD_HEADER, b"garbage\r\n\r\n", b""])
def test_no_library_logs_a_path_of_ours_at_any_level(
    serve: Callable[..., RawServer],
    connect: Callable[..., Transport],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
) -> None:
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("urllib3", "requests"))]:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)

    def script(server: RawServer, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(answer)

    server = serve(script)
    client = connect(server)
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):  # also on a connection that the server has closed
            with suppress(requests.RequestException):
                client.request("GET", "/contacts/ada%40example.com", params={"identifierType": "email_id"})
        assert server.received
        assert [record.name for record in caplog.records if record.name.startswith(("urllib3", "requests"))] == []
        requests.get(f"{server.url}/of/others", timeout=PATIENCE) if answer == OK else None
    assert "ada%40" not in caplog.text
    assert "ada@" not in caplog.text
    assert ("/of/others" in caplog.text) == (answer == OK)


class Doorkeeper:
    """Notes what had arrived at the server when a request was about to leave, and whether its bytes then left."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        self.arrived_before: list[int] = []
        self.let_out = 0

    @contextmanager
    def leave(self) -> Iterator[None]:
        self.arrived_before.append(len(self._server.received))
        yield
        self.let_out += 1


def test_a_request_that_has_its_turn_leaves_as_told(
    serve: Callable[..., RawServer], connect: Callable[..., Transport]
) -> None:
    server = serve(always(OK))
    client = connect(server)
    door = Doorkeeper(server)
    for number in range(2):
        leave_by(door.leave)
        client.request("POST", "/contacts", json={"email": "a@example.com"})
        assert door.let_out == number + 1
    assert door.arrived_before == [0, 1]


def test_only_the_first_request_after_a_turn_leaves_as_told(
    serve: Callable[..., RawServer], connect: Callable[..., Transport]
) -> None:
    server = serve(always(OK))
    client = connect(server)
    door = Doorkeeper(server)
    leave_by(door.leave)
    for _ in range(3):
        client.request("GET", "/account")
    assert door.let_out == 1


def test_a_request_that_finds_no_server_has_not_left() -> None:
    asked: list[str] = []

    def leave() -> AbstractContextManager[None]:
        asked.append("to leave")
        return nullcontext()

    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        client = Transport(f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/v3", HeaderKey("api-key", KEY))
        leave_by(leave)
        with pytest.raises(requests.ConnectionError):
            client.request("GET", "/account")
        client.close()
    assert asked == []
