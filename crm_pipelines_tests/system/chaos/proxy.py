"""A TCP proxy that can fall silent: it takes everything, passes nothing on, and closes nothing."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Passes bytes between 127.0.0.1:`port` and the target until it is told to swallow them."""

    def __init__(self, target: tuple[str, int], listener: socket.socket) -> None:
        self._target = target
        self._listener = listener
        listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._other: dict[socket.socket, socket.socket] = {}
        self._silent: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def swallow(self) -> None:
        """From now on the connections that there are lead nowhere; new ones work."""
        self._silent |= set(self._other)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        for one, other in ((client, server), (server, client)):
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        other = self._other[one]
        try:
            data = one.recv(65536)
            if one in self._silent and data:
                return
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            self._selector.unregister(end)
            end.close()
            del self._other[end]

    def close(self) -> None:
        self._waker.send(b"x")
        self._thread.join()
        for end in (self._listener, self._waker, self._woken, *self._other):
            end.close()


def silent_port() -> socket.socket:
    """A port of this machine that refuses connections, and that nobody else can take, until a proxy listens there."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder


@contextmanager
def proxy_to(host: str, target_port: int, *, at: socket.socket | None = None) -> Iterator[Proxy]:
    """A proxy to `target_port` of the host, at that port of this machine, or at any; the port is free afterwards."""
    proxy = Proxy((host, target_port), at or silent_port())
    try:
        yield proxy
    finally:
        proxy.close()
