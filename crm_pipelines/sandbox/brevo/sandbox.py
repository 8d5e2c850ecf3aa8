"""The sandbox of Brevo: one account, and the imports that are under way."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crm_pipelines.sandbox.brevo import persistence
from crm_pipelines.sandbox.brevo.account import Account, Process
from crm_pipelines.sandbox.brevo.answers import ApiError, invalid
from crm_pipelines.sandbox.brevo.attributes import Attribute, attributes_of_new_account
from crm_pipelines.sandbox.brevo.config import SandboxConfig
from crm_pipelines.sandbox.brevo.contacts import find_existing, read_change
from crm_pipelines.sandbox.brevo.imports import process_json, report_csv
from crm_pipelines.sandbox.brevo.limits import RateLimiter
from crm_pipelines.sandbox.brevo.quirks import QUIRKS
from crm_pipelines.sandbox.brevo.routes import route
from crm_pipelines.sandbox.core.answers import Answer, Call, Header, RefusalError, reply
from crm_pipelines.sandbox.core.journal import Entry
from crm_pipelines.sandbox.core.sandbox import Sandbox

_SHOWN_CONTACTS = 100
_SHOWN_PROCESSES = 50
_REFUSALS = {
    "credits": ApiError(402, "not_enough_credits", "Your account does not have enough credits"),
    "permission": ApiError(403, "permission_denied", "You do not have the permission to access this resource"),
    "validation": ApiError(403, "account_under_validation", "Your account is under validation"),
}
_IP_REFUSAL = (
    "We have detected you are using an unrecognised IP address {}. If you performed this action make sure to add the "
    "new IP address in this link: https://app.brevo.com/security/authorised_ips"
)


class Brevo(Sandbox):
    """The account, its rate limits and its imports."""

    name = "Brevo"
    prefix = "/v3"
    package = __package__

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__()
        self._initial = config
        self._imports: dict[asyncio.Task[None], tuple[Process, Iterator[None]]] = {}
        self.reset()

    def reset(self) -> None:
        """Back to a new account with the initial configuration; what is held is dropped."""
        super().reset()
        self._drop_imports()
        self.config: SandboxConfig = self._initial
        self.limiter = RateLimiter(self.config.limits())
        self.account = Account(self.config.language, self._launch)
        self._describe_account()
        self._build_attributes()

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""
        self.config = SandboxConfig.model_validate({**self.config.model_dump(), **given})
        self.limiter = RateLimiter(self.config.limits())
        self._describe_account()
        if given.keys() & {"language", "attributes"}:
            self._build_attributes()

    def close(self) -> None:
        """Let nobody wait any longer; finish the imports, as Brevo would without us."""
        super().close()
        unfinished = list(self._imports.values())
        self._drop_imports()
        for process, steps in unfinished:
            if self.config.import_status == "completed":
                deque(steps, maxlen=0)
            process.status = self.config.import_status

    @property
    def revision(self) -> int:
        """Grows with every change of the account."""
        return self.account.revision

    def key(self, headers: Mapping[bytes, bytes]) -> str:
        """The value of the header api-key."""
        return headers.get(b"api-key", b"").decode("latin-1")

    def describe(self, call: Call) -> dict[str, Any]:
        """`email` and `ext_id` of a body that has them."""
        body = call.json()
        given = body if isinstance(body, dict) else {}
        return {name: given[name] if isinstance(given.get(name), str) else None for name in ("email", "ext_id")}

    def answer(self, call: Call, entry: Entry) -> Answer:
        """What Brevo does and answers."""
        headers: tuple[Header, ...] = ()
        try:
            self._authorize(call)
            bucket = "contacts" if call.path.startswith("/contacts") else "others"
            allowed, headers = self.limiter.take(call.key, bucket, time.monotonic())
            if not allowed:
                raise ApiError(429, "too_many_requests", "Too many requests")
            endpoint, arguments = route(call)
            answer = endpoint(self.account, call, *arguments)
            entry.applied = True
        except RefusalError as error:
            answer = reply(error.status, error.content)
        return Answer(answer.status, answer.body, (*answer.headers, *headers))

    def signature(self) -> Header:
        """Each answer of the API has a number of its own."""
        return (b"sib-request-id", os.urandom(16).hex().encode())

    def trouble(self) -> Any:
        """A refusal in Brevo's form."""
        return {"code": "internal", "message": "Fault"}

    def routes(self) -> list[Route]:
        """The files that tell what an import could not take."""
        return [Route("/reports/{process:int}/{kind}.csv", self._report)]

    def state(self, host: str) -> dict[str, Any]:
        """Contacts, lists, folders, attributes and processes."""
        account = self.account
        return {
            "contacts": [account.as_json(contact) for contact in account.contacts.values()],
            "lists": [
                {"id": group.id, "name": group.name, "folderId": group.folder_id, "contacts": sorted(group.members)}
                for group in account.lists.values()
            ],
            "folders": [{"id": number, "name": name} for number, name in account.folders.items()],
            "attributes": [attribute.as_json() for attribute in account.attributes.values()],
            "processes": [
                {**process_json(process, host), "notification": process.notification}
                for process in account.processes.values()
            ],
        }

    def seed(self, rows: Sequence[Any]) -> list[int]:
        """Store bodies of POST /v3/contacts."""
        numbers: list[int] = []
        for body in rows:
            change = read_change(self.account, body)
            existing = find_existing(self.account, change)
            if self.account.conflicts(change.identifiers, existing):
                raise invalid("A contact to be seeded has an identifier that belongs to another one.")
            if existing is None:
                existing = self.account.create(change)
            else:
                self.account.update(existing, change)
            numbers.append(existing.id)
        return numbers

    def shown(self) -> dict[str, Any]:
        """The newest contacts and processes, lists, attributes and quirks."""
        account = self.account
        contacts = islice(reversed(account.contacts.values()), _SHOWN_CONTACTS)
        return {
            "contacts": [account.as_json(contact) for contact in contacts],
            "organization": account.organization,
            "contact_count": len(account.contacts),
            "lists": account.lists.values(),
            "attributes": account.attributes.values(),
            "processes": list(islice(reversed(account.processes.values()), _SHOWN_PROCESSES)),
            "quirks": QUIRKS,
        }

    def snapshot(self) -> dict[str, Any]:
        """The account for its file. Keys and settings are not kept."""
        return persistence.snapshot(self.account)

    def restore(self, state: dict[str, Any]) -> None:
        """Take the account over from its file."""
        persistence.restore(self.account, state)

    def _authorize(self, call: Call) -> None:
        """Raise what Brevo answers to a missing or dead key, or to an account in trouble."""
        if not call.key:
            raise ApiError(401, "unauthorized", "authentication not found in headers")
        if not self.config.accepts(call.key):
            raise ApiError(401, "unauthorized", "Key not found")
        if self.config.refusal == "ip":
            raise ApiError(401, "unauthorized", _IP_REFUSAL.format(call.client_host))
        if self.config.refusal is not None:
            raise _REFUSALS[self.config.refusal]

    def _describe_account(self) -> None:
        self.account.imports_unblock = self.config.import_unblocks
        self.account.organization, self.account.owner_email = self.config.organization, self.config.owner
        self.account.one_for_each_key = self.config.account_by_key
        self.account.imports_refuse = self.config.import_refuses
        self.account.imports_ignore_false = self.config.import_ignores_false
        self.account.habits = self.config.habits()

    def _build_attributes(self) -> None:
        own = attributes_of_new_account(self.config.language)
        more = {name: Attribute(name, "normal", kind) for name, kind in self.config.attributes.items()}
        self.account.attributes = {**own, **more}
        self.account.revision += 1

    def _drop_imports(self) -> None:
        for task in self._imports:
            task.cancel()
        self._imports.clear()

    def _launch(self, process: Process, steps: Iterator[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._run_import(process, steps))
        self._imports[task] = (process, steps)
        task.add_done_callback(lambda done: self._imports.pop(done, None))

    async def _run_import(self, process: Process, steps: Iterator[None]) -> None:
        process.status = "in_process"
        await asyncio.sleep(self.config.import_seconds)
        if self.config.hold_imports:
            await self.hold()
        if self.config.import_status == "completed":
            for _ in steps:
                await asyncio.sleep(0)
        process.status = self.config.import_status
        self.account.revision += 1

    async def _report(self, request: Request) -> Response:
        """GET /reports/{process}/{kind}.csv."""
        process = self.account.processes.get(request.path_params["process"])
        kind = request.path_params["kind"]
        if process is None or kind not in process.reports:
            return PlainTextResponse("There is no such report.", 404)
        return PlainTextResponse(report_csv(process, kind), media_type="text/csv")
