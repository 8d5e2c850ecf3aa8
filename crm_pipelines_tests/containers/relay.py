"""A company's proxy that opens TLS with certificates of its own, and behind it Brevo: the sandbox on loopback.

`python relay.py CERTIFICATE KEY`, in a container of our image. It needs nothing but Python.
"""

import http.client
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SANDBOX = ("127.0.0.1", 8085)
_PORT = 3128


class Forwarder(BaseHTTPRequestHandler):
    """Inside the tunnel: passes each request on, and its answer back."""

    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        onward = http.client.HTTPConnection(*_SANDBOX)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        onward.request(self.command, self.path, body, headers)
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = forward  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing: paths hold addresses."""


class Proxy(BaseHTTPRequestHandler):
    """Takes CONNECT and nothing else, and prints where to."""

    context: ssl.SSLContext

    def do_CONNECT(self) -> None:
        print("CONNECT", self.path, flush=True)  # noqa: T201
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        try:
            with self.context.wrap_socket(self.connection, server_side=True) as opened:
                Forwarder(opened, self.client_address, self.server)
        except OSError:  # the other side is gone, or trusts other certificates
            return

    def log_message(self, *_: object) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Proxy.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    Proxy.context.load_cert_chain(*sys.argv[1:])
    ThreadingHTTPServer(("0.0.0.0", _PORT), Proxy).serve_forever()
