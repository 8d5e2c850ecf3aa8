"""Mautic's API as one pair of credentials opens it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote_plus

from crm_pipelines.crms import api
from crm_pipelines.crms.answers import json_object, with_advice
from crm_pipelines.crms.mautic.outcomes import advice_for, classify
from crm_pipelines.crms.mautic.tokens import AccessToken, Tokens
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings import MauticSettings

T = TypeVar("T")
Row = dict[str, Any]

LONGEST_REQUEST = timedelta(seconds=45)
"""Mautic saves the contacts of a request one by one. With the 15 s within which it begins it is inside a lease."""

# More than are asked for may be found: Mautic keeps no address unique.
_MOST_ROWS = "1000"
# Characters of a query; servers refuse a first line of more than 8 KB.
_LONGEST_QUERY = 6000


class MauticApi(api.Api):
    """See `crm_pipelines.crms.api.Api`. Before a request a token is got, if there is none; once more after 401."""

    def __init__(
        self, base_url: str, *, client_id: str, client_secret: str, destination: str, longest_request: timedelta
    ) -> None:
        self._bearer = AccessToken()
        advice = advice_for(destination)
        seconds = longest_request.total_seconds()
        transport = Transport(base_url, self._bearer, longest_request=longest_request, read_seconds=seconds)
        super().__init__(
            transport,
            classify,
            destination=destination,
            label=MauticSettings.label,
            advice=advice,
            secrets=(client_secret,),
        )
        self.secrets = (client_secret,)
        self._tokens = Tokens(
            base_url,
            bearer=self._bearer,
            client_id=client_id,
            client_secret=client_secret,
            advice=advice,
            longest_request=longest_request,
        )

    def carry(
        self, may_go: Callable[[], bool], send: Callable[[], tuple[Outcome, T]], /
    ) -> tuple[Outcome, T | None] | None:
        """See `batching.Carry`: first a token, if there is none; and once again with another one, if it is refused."""
        fresh = renewed = False
        while may_go():
            signed = None if fresh else self._tokens.obtain()
            if signed is not None:
                if signed.result is not Result.SYNCED:
                    return signed, None
                fresh = True
                continue
            token = self._bearer.token
            done = send()
            if renewed or done[0].kind != "credentials":
                return done
            self._tokens.refused(token)
            fresh, renewed = False, True
        return None

    def ask(
        self, method: str, path: str, turn: Turn, *, hide: tuple[str, ...] = (), **sent: Any
    ) -> tuple[Outcome, Answer | None]:
        """As `Api.ask`, with a turn for each request that it takes."""

        def may_go() -> bool:
            turn()
            return True

        done = self.carry(may_go, lambda: self.once(method, path, hide=hide, **sent))
        assert done is not None
        return done

    def once(self, method: str, path: str, *, hide: tuple[str, ...] = (), **sent: Any) -> tuple[Outcome, Answer | None]:
        """This one request, which had its turn, with the token that there is."""
        token = self._bearer.token
        outcome, answer = super().ask(method, path, _at_once, hide=(token, *hide) if token else hide, **sent)
        if outcome.kind == "timeout":
            outcome = replace(outcome, message=with_advice(outcome.message or "", self.advice["timeout"]))
        return outcome, answer

    def contacts_where(
        self, column: str, values: Sequence[str], *, hide: tuple[str, ...] = ()
    ) -> tuple[Outcome, list[Row]]:
        """The contacts of which `column` is one of these, all fields of each.

        By `in`, also for one: it takes entities back that Mautic makes of quotes and ampersands in a query, `eq` does
        not (CommonRepository, buildWhereClauseFromArray).
        """
        outcome, answer = self.once("GET", "/api/contacts", hide=hide, params=where(column, values))
        return self.contacts_in(outcome, answer)

    def contacts_in(self, outcome: Outcome, answer: Answer | None) -> tuple[Outcome, list[Row]]:
        """The contacts of an answer about several. Without a total it is no answer of Mautic's."""
        body = json_object(answer) or {}
        if outcome.result is not Result.SYNCED:
            return outcome, []
        if "total" not in body or not isinstance(body.get("contacts"), dict | list):
            return self.foreign(outcome), []
        return outcome, [one for one in listed(body["contacts"]).values() if isinstance(one, dict)]

    def of_the_segment(self, outcome: Outcome) -> Outcome:
        """The same refusal, where the request was about the segment of the settings."""
        about_it = outcome.http_status in {400, 403, 404} and outcome.kind not in {"account", "outage"}
        if not about_it:
            return outcome
        said = outcome.message or ""
        for advice in (self.advice["request"], self.advice["permission"]):
            said = said.removesuffix(advice).rstrip()
        message = with_advice(said, self.advice["list"])
        return replace(outcome, result=Result.REFUSED, kind=SETTINGS, message=message)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
        self._tokens.close()


def where(column: str, values: Sequence[str]) -> Mapping[str, str]:
    """The query for contacts of which `column` is one of `values`, none of which holds a comma or a quotation mark."""
    return {
        "where[0][col]": column,
        "where[0][expr]": "in",
        "where[0][val]": ",".join(values),
        "limit": _MOST_ROWS,
        "orderBy": "id",
    }


def short_enough(contacts: Sequence[Sendable], values_of: Callable[[Sendable], Sequence[str]]) -> list[list[Sendable]]:
    """The contacts in groups of which each may be asked for in one query."""
    groups: list[list[Sendable]] = []
    length = 0
    for one in contacts:
        size = sum(len(quote_plus(f"{value},")) for value in values_of(one))
        if not groups or length + size > _LONGEST_QUERY:
            groups.append([])
            length = 0
        groups[-1].append(one)
        length += size
    return groups


def listed(found: Any) -> dict[str, Any]:
    """A PHP array in JSON by its keys: a list where these are 0, 1, 2 …, an object where one of them is missing."""
    if isinstance(found, dict):
        return found
    return {str(number): one for number, one in enumerate(found)} if isinstance(found, list) else {}


def _at_once() -> None:
    """The turn was waited for before."""
