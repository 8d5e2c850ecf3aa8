"""HTTP for CRM clients: pooled connections, and a deadline that holds whatever the server does.

A read time-out of `requests` starts again with every byte; a server that drips one byte every few seconds holds a
request for hours, and its contact beyond its lease. So each request has a total deadline: when it passes, the
socket is shut down under the reader.
"""

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError
from urllib3.poolmanager import ProxyManager

from crm_pipelines.crms.turns import leaving

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
LONGEST_REQUEST = timedelta(seconds=20)
LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes that are read of one answer. The largest that is asked for, a CRM's list of attributes, is far below."""

LONGEST_LARGE_REQUEST = timedelta(seconds=60)
LARGEST_LARGE_ANSWER = 32 * 1024 * 1024
"""Bytes of a page of a thousand contacts: enough for 30 KB of each."""

# Firewalls and NAT gateways forget idle connections after some minutes without telling; a request on such a
# connection would wait for its time-out.
LONGEST_IDLE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer; header names in lower case; `body` cut at LARGEST_ANSWER bytes."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Deadline:
    """Shuts the watched socket down when the time is over; after that, nothing more is sent for this request."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connected: socket.socket) -> None:
        """Raises TimeoutError when the time is over already."""
        with self._lock:
            # By the clock too: in a process that stood still, the timer's thread may wake up after this one.
            self.expired = self.expired or time.monotonic() >= self._ends_at
            if self.expired:
                raise TimeoutError("the request's total deadline has passed")
            self._forget()
            # A descriptor of our own: TLS replaces the socket object, http.client closes its own before the body is
            # read to its end, and the number of a closed descriptor may be somebody else's. Its family, given here for
            # form, does not matter for shutting down.
            self._socket = socket.fromfd(connected.fileno(), socket.AF_INET, socket.SOCK_STREAM)

    def end(self) -> None:
        """The request is over."""
        self._timer.cancel()
        with self._lock:
            self._forget()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                with suppress(OSError):  # the server was faster
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Current(threading.local):
    deadline: _Deadline | None = None


_current = _Current()


@contextmanager
def _deadline(seconds: float) -> Iterator[_Deadline]:
    _current.deadline = deadline = _Deadline(seconds)
    try:
        yield deadline
    finally:
        _current.deadline = None
        deadline.end()


def _not_of_our_requests(_record: logging.LogRecord) -> bool:
    """Drops what the HTTP libraries would log of a request of ours, at any level: a path may hold an address.

    What is worth knowing of a request is in what the caller makes of its answer. Requests of others go on being logged.
    """
    return _current.deadline is None


def _hush_libraries() -> None:
    # A filter holds for its own logger only, not for those below it.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"urllib3", "requests"}:
            logging.getLogger(name).addFilter(_not_of_our_requests)


class _Watched(HTTPConnection):
    """A connection whose socket is under the deadline of the request that uses it, and which leaves in its turn."""

    _used_at = 0.0
    _is_first = False

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        try:
            self._watch(connected)
        except TimeoutError as error:
            connected.close()
            raise ConnectTimeoutError(self, str(error)) from error
        return connected

    def _watch(self, connected: socket.socket) -> None:
        self._used_at = time.monotonic()
        if _current.deadline is not None:
            _current.deadline.watch(connected)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()  # before the first bytes, which are then a request's own
        else:
            self._watch(self.sock)
        self._is_first = True
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if not self._is_first:
            return super().send(data)
        self._is_first = False
        with leaving():
            return super().send(data)

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self._used_at < LONGEST_IDLE_SECONDS and super().is_connected


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._use_watched(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        if type(manager) is ProxyManager:  # a SOCKS manager has pools of its own, which know the way through it
            self._use_watched(manager)
        return manager

    @staticmethod
    def _use_watched(manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class HeaderKey(AuthBase):
    """Sends the key in a header. As `auth` of a session it also keeps a `.netrc` from adding credentials of its own."""

    def __init__(self, header: str, key: str) -> None:
        self._header, self._key = header, key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._key
        return request


class Transport:
    """Requests to one API. Safe to use from several threads.

    `requests` does not promise that a Session may be shared by threads (its cookies, its redirects); its adapter stands
    on urllib3's pool, which may. So every thread has its own session, and all share one adapter and its connections.
    """

    def __init__(
        self,
        base_url: str,
        auth: AuthBase,
        *,
        longest_request: timedelta = LONGEST_REQUEST,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._base_url = base_url
        self._read_seconds = read_seconds
        self._auth = auth
        self._seconds = longest_request.total_seconds()
        # No retries here: what may be tried again is for the queue to decide.
        self._adapter = _WatchedAdapter(pool_maxsize=64, max_retries=0)
        self._threads = threading.local()
        _hush_libraries()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        large: bool = False,
    ) -> Answer:
        """One request with a body from `json`, or `data` as it is; no redirects followed.

        Raises requests.RequestException, requests.Timeout among them. `data` is called JSON unless `auth` sets another
        Content-Type. `large`: a body or an answer of several megabytes, to which LONGEST_LARGE_REQUEST and
        LARGEST_LARGE_ANSWER apply. `headers` are those of this request alone.

        Nothing is sent once the deadline has passed. Only the look-up of the host's name can make the call itself last
        longer: the system gives no way to interrupt it.
        """
        sent: dict[str, Any] = {"params": params, "json": json, "headers": dict(headers or {})}
        if data is not None:
            sent["data"] = data
            sent["headers"].setdefault("Content-Type", "application/json")
        seconds = LONGEST_LARGE_REQUEST.total_seconds() if large else self._seconds
        largest = LARGEST_LARGE_ANSWER if large else LARGEST_ANSWER
        with _deadline(seconds) as deadline:
            try:
                answer = self._exchange(method, path, sent, seconds, largest)
            except requests.RequestException as error:
                if deadline.expired:
                    raise requests.ReadTimeout("the request's total deadline has passed") from error
                raise
            if deadline.expired:  # an end of the stream that we made ourselves is no end of an answer
                raise requests.ReadTimeout("the request's total deadline has passed")
            return answer

    def _exchange(self, method: str, path: str, sent: dict[str, Any], seconds: float, largest: int) -> Answer:
        with self._session().request(
            method,
            self._base_url + path,
            stream=True,
            allow_redirects=False,
            timeout=(min(CONNECT_SECONDS, seconds), min(self._read_seconds, seconds)),
            **sent,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(64 * 1024):
                body += chunk
                if len(body) >= largest:
                    break
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status_code, headers=headers, body=bytes(body[:largest]))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.auth = self._auth
            session.headers.update(
                {
                    # A bare name and version is a bot's to isbot, by which n8n's option "Ignore Bots" goes.
                    "User-Agent": f"crm-pipelines/{version('crm-pipelines')} (delivers contacts)",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",  # answers are short, and compressed ones can be bombs
                }
            )
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
            # HTTPS_PROXY and REQUESTS_CA_BUNDLE are how companies reach the world; a loopback address needs neither.
            session.trust_env = not is_loopback(self._base_url)
            session.mount("http://", self._adapter)
            session.mount("https://", self._adapter)
        return session

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()


def is_inside(url: str) -> bool:
    """Whether the URL leads to this machine or its network, whatever name it has there.

    A name that is known to the proxy only counts as outside.
    """
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return is_loopback(url)
    return not all(_is_public(str(address[0])) for *_, address in found)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
