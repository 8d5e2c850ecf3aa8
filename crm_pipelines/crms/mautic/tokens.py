"""The access token of one account: OAuth 2, client credentials (Mautic: POST /oauth/v2/token).

One token serves all threads, and one thread at a time asks for another one: before the old one ends, and when it was
refused. There is no refresh token. Mautic does not count these requests in its rate limit, which is that of /api; they
take a turn all the same, like every request (see `MauticApi`), so that nothing is asked while the gate is closed and no
request begins later than its lease allows.
"""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

import requests
from requests.auth import AuthBase

from crm_pipelines.crms import answers
from crm_pipelines.crms.mautic.outcomes import classify
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.transport import Transport
from crm_pipelines.settings import MauticSettings

PATH = "/oauth/v2/token"

_LIFETIME = 3600.0  # seconds, where an answer does not tell (`expires_in`)
_LONGEST = 86_400.0  # seconds for which a token is used, whatever an answer tells
_LONGEST_MARGIN = 60.0  # seconds before its end from which on a token is no longer used
_MARGIN = 0.1  # of its lifetime, where that is less


class AccessToken(AuthBase):
    """Sends the token that there is. As `auth` of a session it also keeps a `.netrc` from adding credentials."""

    def __init__(self) -> None:
        self.token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class _Form(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return request


class Tokens:
    """Gets tokens and puts them into `bearer`."""

    def __init__(
        self,
        base_url: str,
        *,
        bearer: AccessToken,
        client_id: str,
        client_secret: str,
        advice: Mapping[str, str],
        longest_request: timedelta,
    ) -> None:
        self._transport = Transport(base_url, _Form(), longest_request=longest_request)
        self._bearer = bearer
        self._client_id, self._client_secret = client_id, client_secret
        self._advice = advice
        self._lock = threading.Lock()
        self._good_until = 0.0

    def obtain(self) -> Outcome | None:
        """None: there is a token, and nothing was waited for. Else what it came to; SYNCED: there is one now."""
        if self._is_good():
            return None
        with self._lock:
            return Outcome(result=Result.SYNCED) if self._is_good() else self._ask()

    def refused(self, token: str) -> None:
        """This one is not used any more, though its time is not over: it was revoked, say."""
        with self._lock:
            if self._bearer.token == token:
                self._good_until = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _is_good(self) -> bool:
        return time.monotonic() < self._good_until

    def _ask(self) -> Outcome:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        asked_at = time.monotonic()
        try:
            answer = self._transport.request("POST", PATH, data=urlencode(form).encode())
        except requests.RequestException as error:
            return answers.classify_exception(error, self._advice, MauticSettings.label)
        outcome = classify(answer, hide=(self._client_secret,), advice=self._advice, for_token=True)
        if outcome.result is not Result.SYNCED:
            return outcome
        given = answers.json_object(answer) or {}
        token, lifetime = given.get("access_token"), given.get("expires_in")
        if not isinstance(token, str) or not (token.isascii() and token.isprintable() and token.strip()):
            return answers.foreign(outcome, self._advice, MauticSettings.label)
        seconds = float(min(lifetime, _LONGEST)) if isinstance(lifetime, int | float) and lifetime > 0 else _LIFETIME
        self._bearer.token = token
        self._good_until = asked_at + seconds - min(_LONGEST_MARGIN, _MARGIN * seconds)
        return outcome
