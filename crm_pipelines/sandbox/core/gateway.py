"""The way of a request to the API: read, log, fault, what the CRM does, answer."""

import asyncio
import hashlib
import os
import socket
import struct
from contextlib import suppress
from functools import lru_cache

from starlette.types import Receive, Scope, Send

from crm_pipelines.sandbox.core.answers import Answer, Call
from crm_pipelines.sandbox.core.faults import Fault, made_up_answer
from crm_pipelines.sandbox.core.journal import Entry
from crm_pipelines.sandbox.core.sandbox import Sandbox, pause

# Blanks before JSON are legal: a body of one line takes long enough to arrive to be called slow.
_SLOW_PADDING = b" " * 1024


class Gateway:
    """The ASGI application under the prefix of the API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        full_path = scope["path"]
        entry = Entry(scope["method"], full_path, scope["query_string"].decode("latin-1"))
        call = await _read_call(self.sandbox, scope, headers, receive)
        if call is None:
            return
        entry.about = self.sandbox.describe(call)
        entry.key = fingerprint(self.sandbox.sender(call.key))
        entry.user_agent = headers.get(b"user-agent", b"").decode("latin-1")
        entry.client_port = scope["client"][1]
        self.sandbox.journal.arrive(entry, b"" if self.sandbox.has_key_in_body(call) else call.raw_body)
        exchange = _Exchange(self.sandbox, call, entry, scope, receive, send)
        fault = self.sandbox.faults.take(call, full_path) if self.sandbox.faults.rules else None
        await pause(self.sandbox.config.latency_seconds)
        try:
            if fault is None:
                await exchange.send(exchange.process())
            else:
                entry.fault = fault.action
                await exchange.suffer(fault)
        except _DroppedError:
            await exchange.reset()


class _DroppedError(Exception):
    """There was a reset since the request arrived: it must have no effect any more."""


class _Exchange:
    """One request on its way."""

    def __init__(self, sandbox: Sandbox, call: Call, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        self._sandbox = sandbox
        self._epoch = sandbox.epoch
        self._call = call
        self._entry = entry
        self._scope = scope
        self._receive = receive
        self._send = send

    def _check_epoch(self) -> None:
        if self._sandbox.epoch != self._epoch:
            raise _DroppedError

    def process(self) -> Answer:
        """What the API does and answers without any fault."""
        self._check_epoch()
        return self._sandbox.answer(self._call, self._entry)

    async def suffer(self, fault: Fault) -> None:
        """Do what the fault says."""
        if fault.action != "slow_body":
            await pause(fault.seconds)
        if fault.action == "hold":
            await self._sandbox.hold()
        if fault.action in ("hold", "latency", "hold_after", "slow_body"):
            answer = self.process()
            if fault.action == "hold_after":
                await self._sandbox.hold()
                self._check_epoch()
            return await self.send(answer, drip_seconds=fault.seconds if fault.action == "slow_body" else None)
        if fault.processes:
            self.process()
        if fault.action.startswith("timeout"):
            return await self._vanish()
        if fault.action.startswith("reset"):
            return await self.reset()
        return await self.send(made_up_answer(fault, self._sandbox.trouble()))

    async def send(self, answer: Answer, drip_seconds: float | None = None) -> None:
        """Answer; with a pause after every byte when there is one."""
        body = answer.body
        status = answer.status
        if drip_seconds is not None:
            body = _SLOW_PADDING + (body or b"{}")
            status = 200 if status == 204 else status
        headers = [*answer.headers, self._sandbox.signature()]
        if status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))
        else:
            headers = [header for header in headers if header[0] != b"content-type"]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        while drip_seconds is not None and len(body) > 1:
            await self._send({"type": "http.response.body", "body": body[:1], "more_body": True})
            body = body[1:]
            if await self._hung_up_within(drip_seconds):
                self._sandbox.journal.finish(self._entry, None)
                return
            self._check_epoch()
        await self._send({"type": "http.response.body", "body": body})
        self._sandbox.journal.finish(self._entry, status)

    async def reset(self) -> None:
        """Break the connection off with TCP RST."""
        transport = self._scope["state"]["transport"]
        connection = transport.get_extra_info("socket")
        # An error: the client was faster.
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self._vanish()

    async def _hung_up_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return bool((await self._receive())["type"] == "http.disconnect")
        except TimeoutError:
            return False

    async def _vanish(self) -> None:
        """Never answer: wait until the client hangs up."""
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        finally:
            self._sandbox.journal.finish(self._entry, None)


@lru_cache(maxsize=1024)
def fingerprint(key: str) -> str | None:
    """Tells keys apart without telling them."""
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else None


async def _read_call(sandbox: Sandbox, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Call | None:
    """The whole request, or None when the client hung up before its end."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return Call(
        scope["method"],
        scope["path"].removeprefix(sandbox.prefix),
        scope["query_string"].decode("latin-1"),
        b"".join(chunks),
        host=headers.get(b"host", b"").decode("latin-1"),
        client_host=scope["client"][0],
        key=sandbox.key(headers),
        headers=headers,
    )
