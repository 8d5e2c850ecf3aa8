"""The way of a request to the API: read, log, fault, key, rate limit, endpoint, answer."""

import asyncio
import hashlib
import os
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from starlette.types import Receive, Scope, Send

from crm_pipelines.sandbox.brevo import contacts, groups, imports, schema
from crm_pipelines.sandbox.brevo.answers import Answer, ApiError, Call, Header, reply
from crm_pipelines.sandbox.brevo.faults import Fault, made_up_answer
from crm_pipelines.sandbox.brevo.journal import Entry
from crm_pipelines.sandbox.brevo.sandbox import Sandbox, pause

Endpoint = Callable[..., Answer]

_ROUTES: list[tuple[str, dict[str, Endpoint]]] = [
    ("/contacts", {"POST": contacts.create_contact, "GET": contacts.list_contacts}),
    ("/contacts/batch", {"POST": contacts.update_batch}),
    ("/contacts/import", {"POST": imports.import_contacts}),
    ("/contacts/attributes", {"GET": schema.list_attributes}),
    (
        r"/contacts/attributes/([^/]+)/([^/]+)",
        {"POST": schema.create_attribute, "PUT": schema.update_attribute, "DELETE": schema.delete_attribute},
    ),
    (r"/contacts/attributes/multiple-choice/([^/]+)/([^/]+)", {"DELETE": schema.delete_option}),
    ("/contacts/lists", {"GET": groups.list_lists, "POST": groups.create_list}),
    (
        r"/contacts/lists/(\d{1,18})",
        {"GET": groups.read_list, "PUT": groups.update_list, "DELETE": groups.delete_list},
    ),
    (r"/contacts/lists/(\d{1,18})/contacts", {"GET": groups.list_contacts_of_list}),
    (r"/contacts/lists/(\d{1,18})/contacts/add", {"POST": groups.add_to_list}),
    (r"/contacts/lists/(\d{1,18})/contacts/remove", {"POST": groups.remove_from_list}),
    ("/contacts/folders", {"GET": groups.list_folders, "POST": groups.create_folder}),
    (
        r"/contacts/folders/(\d{1,18})",
        {"GET": groups.read_folder, "PUT": groups.update_folder, "DELETE": groups.delete_folder},
    ),
    (r"/contacts/folders/(\d{1,18})/lists", {"GET": groups.list_lists_of_folder}),
    ("/processes", {"GET": imports.list_processes}),
    (r"/processes/(\d{1,18})", {"GET": imports.read_process}),
    ("/account", {"GET": schema.read_account}),
    (
        "/contacts/(.+)",
        {"GET": contacts.read_contact, "PUT": contacts.update_contact, "DELETE": contacts.delete_contact},
    ),
]
_EXACT = {path: methods for path, methods in _ROUTES if "(" not in path}
_PATTERNS = [(re.compile(path), methods) for path, methods in _ROUTES if "(" in path]

_REFUSALS = {
    "credits": ApiError(402, "not_enough_credits", "Your account does not have enough credits"),
    "permission": ApiError(403, "permission_denied", "You do not have the permission to access this resource"),
    "validation": ApiError(403, "account_under_validation", "Your account is under validation"),
}
_IP_REFUSAL = (
    "We have detected you are using an unrecognised IP address {}. If you performed this action make sure to add the "
    "new IP address in this link: https://app.brevo.com/security/authorised_ips"
)
# Blanks before JSON are legal: a body of one line takes long enough to arrive to be called slow.
_SLOW_PADDING = b" " * 1024


class Gateway:
    """The ASGI application under /v3."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        full_path = scope["path"]
        entry = Entry(scope["method"], full_path, scope["query_string"].decode("latin-1"))
        call = await _read_call(scope, headers, receive)
        if call is None:
            return
        key = call.key
        _describe(entry, call, key, headers, scope)
        self.sandbox.journal.arrive(entry, call.raw_body)
        exchange = _Exchange(self.sandbox, call, key, entry, scope, receive, send)
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

    def __init__(
        self, sandbox: Sandbox, call: Call, key: str, entry: Entry, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._sandbox = sandbox
        self._epoch = sandbox.epoch
        self._call = call
        self._key = key
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
        headers: tuple[Header, ...] = ()
        try:
            _authorize(self._sandbox, self._call, self._key)
            bucket = "contacts" if self._call.path.startswith("/contacts") else "others"
            allowed, headers = self._sandbox.limiter.take(self._key, bucket, time.monotonic())
            if not allowed:
                raise ApiError(429, "too_many_requests", "Too many requests")
            endpoint, arguments = _route(self._call)
            answer = endpoint(self._sandbox.account, self._call, *arguments)
            self._entry.applied = True
        except ApiError as error:
            answer = reply(error.status, error.content)
        return Answer(answer.status, answer.body, (*answer.headers, *headers))

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
        return await self.send(made_up_answer(fault))

    async def send(self, answer: Answer, drip_seconds: float | None = None) -> None:
        """Answer; with a pause after every byte when there is one."""
        body = answer.body
        status = answer.status
        if drip_seconds is not None:
            body = _SLOW_PADDING + (body or b"{}")
            status = 200 if status == 204 else status
        headers = [*answer.headers, (b"sib-request-id", os.urandom(16).hex().encode())]
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


async def _read_call(scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Call | None:
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
        scope["path"].removeprefix("/v3"),
        scope["query_string"].decode("latin-1"),
        b"".join(chunks),
        host=headers.get(b"host", b"").decode("latin-1"),
        client_host=scope["client"][0],
        key=headers.get(b"api-key", b"").decode("latin-1"),
    )


def _describe(entry: Entry, call: Call, key: str, headers: dict[bytes, bytes], scope: Scope) -> None:
    body: Any = call.json()
    if isinstance(body, dict):
        entry.email = body["email"] if isinstance(body.get("email"), str) else None
        entry.ext_id = body["ext_id"] if isinstance(body.get("ext_id"), str) else None
    entry.key = fingerprint(key)
    entry.user_agent = headers.get(b"user-agent", b"").decode("latin-1")
    entry.client_port = scope["client"][1]


def _authorize(sandbox: Sandbox, call: Call, key: str) -> None:
    """Raise what Brevo answers to a missing or dead key, or to an account in trouble."""
    config = sandbox.config
    if not key:
        raise ApiError(401, "unauthorized", "authentication not found in headers")
    if key in config.revoked_keys or (config.keys is not None and key not in config.keys):
        raise ApiError(401, "unauthorized", "Key not found")
    if config.refusal == "ip":
        raise ApiError(401, "unauthorized", _IP_REFUSAL.format(call.client_host))
    if config.refusal is not None:
        raise _REFUSALS[config.refusal]


def _route(call: Call) -> tuple[Endpoint, tuple[str, ...]]:
    """The endpoint and its arguments from the path, or ApiError 404 or 405."""
    methods: dict[str, Endpoint] | None = _EXACT.get(call.path)
    arguments: tuple[str, ...] = ()
    if methods is None:
        for pattern, candidates in _PATTERNS:
            if match := pattern.fullmatch(call.path):
                methods, arguments = candidates, match.groups()
                break
    if methods is None:
        raise ApiError(404, "document_not_found", "The sandbox does not know this path")
    if call.method not in methods:
        raise ApiError(405, "method_not_allowed", "Method not allowed")
    return methods[call.method], arguments
