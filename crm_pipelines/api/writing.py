"""A write: one transaction with its line in the audit log, and done once however often it is sent."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from crm_pipelines.access import api_writes
from crm_pipelines.access.api_writes import KeptAnswer
from crm_pipelines.access.tokens import Bearer
from crm_pipelines.api.access import Writer
from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.models import ContactOut
from crm_pipelines.contacts import records


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a write came to. Its answer is `answer` or, if that is None, `contact` as it then is, if any.

    `contacts` (how many it changed), `crms` and `contact_ids` go into the audit log.
    """

    answer: BaseModel | None = None
    contact: UUID | None = None
    status: int = 200
    contacts: int
    crms: Sequence[str] = ()
    contact_ids: Sequence[UUID] = ()


@dataclass(frozen=True, kw_only=True)
class Write:
    """A request that writes, and who makes it."""

    engine: sa.Engine
    identity: Bearer
    request_id: str
    key: str | None
    fingerprint: bytes

    def once(self, action: str, work: Callable[[sa.Connection], Written]) -> Response:
        """Do `work` in one transaction; if a request with the same key was answered within a day, say that again.

        An error undoes everything, and its key may be used again. Raises ApiError for a key that came with something
        else.
        """
        with self.engine.begin() as connection:
            if self.key is not None:
                kept = api_writes.claim_key(connection, self.identity.token_id, self.key, self.fingerprint)
                if kept is not None:
                    return self._again(connection, kept)
            written = work(connection)
            api_writes.record(
                connection,
                token_id=self.identity.token_id,
                request_id=self.request_id,
                action=action,
                contacts=written.contacts,
                crms=written.crms,
                contact_ids=written.contact_ids,
            )
            answer = None if written.answer is None else written.answer.model_dump(mode="json")
            if self.key is not None:
                self._keep(connection, written.status, answer, written.contact)
            return _response(connection, written.status, answer, written.contact)

    def amend(self, answer: BaseModel, *, status: int) -> None:
        """Keep this answer instead, after the transaction: it tells what was done outside the database."""
        if self.key is not None:
            with self.engine.begin() as connection:
                self._keep(connection, status, answer.model_dump(mode="json"), None)

    def _keep(self, connection: sa.Connection, status: int, answer: Any, contact: UUID | None) -> None:
        assert self.key is not None
        api_writes.keep(connection, self.identity.token_id, self.key, status=status, answer=answer, contact_id=contact)

    def _again(self, connection: sa.Connection, kept: KeptAnswer) -> Response:
        if kept.fingerprint != self.fingerprint:
            raise ApiError(
                422,
                "idempotency_key_reused",
                "Another request came with this Idempotency-Key. Every request needs its own.",
            )
        response = _response(connection, kept.status, kept.answer, kept.contact_id)
        response.headers["Idempotency-Replayed"] = "true"
        return response


def _response(connection: sa.Connection, status: int, answer: Any, contact: UUID | None) -> Response:
    if answer is None and contact is None:
        return Response(status_code=status)
    if contact is not None:
        answer = ContactOut.model_validate(asdict(records.read(connection, contact))).model_dump(mode="json")
    return JSONResponse(answer, status_code=status)


async def _write(
    request: Request,
    identity: Writer,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Your own name for this write, such as a UUID. Sent again with the same body within a day, it "
            "changes nothing and gets the same answer.",
        ),
    ] = None,
) -> Write:
    hashed = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), request.url.query.encode(), await request.body()):
        hashed.update(len(part).to_bytes(8) + part)
    return Write(
        engine=request.app.state.engine,
        identity=identity,
        request_id=request.state.request_id,
        key=idempotency_key,
        fingerprint=hashed.digest(),
    )


Writing = Annotated[Write, Depends(_write)]
