"""Tokens of OAuth 2, and who may call at all."""

import base64
from typing import NamedTuple
from urllib.parse import parse_qs
from uuid import uuid4

from crm_pipelines.sandbox.core.answers import Answer, Call, RefusalError, reply
from crm_pipelines.sandbox.mautic.answers import ShortError
from crm_pipelines.sandbox.mautic.config import SandboxConfig

OAUTH_PATH = "/oauth/v2/token"
_BASIC = "Basic "


class _Token(NamedTuple):
    secret: str
    ends: float


class Tokens:
    """The tokens that were issued. `issued` counts them; every `now` is a monotonic time in seconds."""

    def __init__(self) -> None:
        self.issued = 0
        self._tokens: dict[str, _Token] = {}
        self._clients: dict[str, str] = {}

    def revoke(self) -> int:
        """All tokens end at once; returns how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def issue(self, config: SandboxConfig, call: Call, now: float) -> Answer:
        """POST /oauth/v2/token with grant_type=client_credentials, as a form."""
        given = {name: values[-1] for name, values in parse_qs(call.raw_body.decode(errors="replace")).items()}
        if call.method not in ("GET", "POST"):
            raise ShortError(405, "Method Not Allowed", None)
        if given.get("grant_type") is None:
            raise ShortError(400, "Invalid grant_type parameter or parameter missing", "invalid_request")
        secret = given.get("client_secret", "")
        if not given.get("client_id") or not secret or not config.accepts(secret):
            raise ShortError(400, "The client credentials are invalid", "invalid_client")
        if given["grant_type"] != "client_credentials":
            raise ShortError(400, "The grant type is unauthorized for this client_id", "unauthorized_client")
        token = uuid4().hex
        self._tokens[token] = _Token(secret, now + config.token_seconds)
        self._clients[token] = given["client_id"]
        self.issued += 1
        content = {"access_token": token, "expires_in": config.token_seconds, "token_type": "bearer", "scope": ""}
        return reply(200, content)

    def client_of(self, token: str) -> str:
        """The id of the client to which it was issued, also after its end; of what was never issued, that itself."""
        return self._clients.get(token, token)

    def check(self, config: SandboxConfig, authorization: str, now: float) -> None:
        """Let the call pass, or raise RefusalError 401 or 403."""
        if authorization.startswith(_BASIC):
            _check_basic(config, authorization.removeprefix(_BASIC))
            return
        if not authorization:
            raise _unauthorized("API authorization denied.", "access_denied")
        token = self._tokens.get(authorization)
        if token is None or not config.accepts(token.secret):
            raise _unauthorized("The access token provided is invalid.", "invalid_grant")
        if now >= token.ends:
            raise _unauthorized("The access token provided has expired.", "invalid_grant")


def read_authorization(header: str) -> str:
    """A bearer token, the whole of basic authorization, or ""."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "basic":
        return f"{_BASIC}{rest.strip()}"
    return rest.strip() if scheme.lower() == "bearer" else ""


def _check_basic(config: SandboxConfig, encoded: str) -> None:
    if not config.basic_auth:
        message = (
            "Basic Auth disabled. You need to enable HTTP basic auth in the API settings of Mautic's Configuration."
        )
        raise ShortError(403, message, "access_denied")
    try:
        password = base64.b64decode(encoded).decode().partition(":")[2]
    except ValueError:
        password = ""
    if not password or not config.accepts(password):
        raise _unauthorized("Authorization denied, invalid credentials.", "access_denied")


def _unauthorized(message: str, kind: str) -> RefusalError:
    return ShortError(401, message, kind)
