"""One POST, with a deadline and without redirects, whose errors never name the URL."""

import re
from collections.abc import Mapping
from datetime import timedelta

import requests
from requests.auth import AuthBase

from crm_pipelines.alerts.channels.base import ChannelFailed
from crm_pipelines.crms.transport import Transport

LONGEST = timedelta(seconds=10)

# Slack's reasons, such as invalid_payload or no_service, are words like these; anything else might quote the URL.
_WORD = re.compile(r"[a-z_]{2,40}")


class Headers(AuthBase):
    """Adds headers when the body is known. As `auth` of a session it also keeps a `.netrc` out."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Raises ChannelFailed unless the answer's status is 2xx."""
    transport = Transport(url, Headers(headers), longest_request=LONGEST)
    try:
        answer = transport.request("POST", "", data=body)
    except requests.Timeout:
        raise ChannelFailed(f"No answer within {LONGEST.total_seconds():.0f} s.") from None
    except requests.exceptions.SSLError:
        raise ChannelFailed("No trusted connection: its certificate is not accepted.") from None
    except requests.ConnectionError:
        raise ChannelFailed("No connection.") from None
    except requests.RequestException as error:
        raise ChannelFailed(f"The request could not be made ({type(error).__name__}).") from None
    finally:
        transport.close()
    if 300 <= answer.status < 400:
        raise ChannelFailed(f"It answered with HTTP status {answer.status}, a redirect, which is not followed.")
    if not 200 <= answer.status < 300:
        said = answer.body[:100].decode(errors="replace").strip()
        raise ChannelFailed(
            f"It answered with HTTP status {answer.status}{f' ({said})' if _WORD.fullmatch(said) else ''}."
        )
