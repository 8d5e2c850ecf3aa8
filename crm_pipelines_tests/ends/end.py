"""What a storm and the checker need to know of a kind."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.fixtures.sandbox import RunningSandbox

Row = dict[str, Any]

LIST = 2
"""Whoever is delivered is put on this list."""


class End(Protocol):
    """One account of a kind at its sandbox.

    `imports`: many contacts may be imported at once. `tells_leavers`: the CRM tells who has left a list, so that nobody
    is put back even if it was not known here that they were ever on it. `trouble`: faults of the sandbox, for any of
    its requests; `updates` is what a fault has to match to befall those that change contacts. `mapper`
    goes by the shipped mapping.
    """

    crm: ClassVar[str]
    imports: ClassVar[bool]
    tells_leavers: ClassVar[bool]
    key_form: ClassVar[str]
    trouble: ClassVar[Sequence[Mapping[str, Any]]]
    updates: ClassVar[Mapping[str, Any]]
    sandbox: RunningSandbox
    mapper: Mapper

    @abstractmethod
    def set_up(self, account: str) -> None:
        """All that is mapped has a place, the list is there, and the account has this name: `one` or `another`."""

    def variables(self, key: str) -> dict[str, str]:
        """The variables of the account, without their prefix, for a worker that the CRM's log knows by `key`."""
        return {"API_KEY": key, "API_BASE_URL": self.sandbox.url, "LIST_ID": str(LIST)}

    def disturb(self) -> str | None:
        """Some trouble that is no fault of an answer; what it was."""
        return None

    @abstractmethod
    def on_list(self) -> set[str]:
        """The CRM's ids of who is on the list."""

    @abstractmethod
    def leave_list(self, remote_id: str) -> None:
        """The person asks to be taken off the list. Raises requests.RequestException."""

    @abstractmethod
    def sends(self) -> list[Row]:
        """The log of requests that write contacts, an entry for each contact in them, whose id is `ext_id`."""

    @abstractmethod
    def held(self, rows: Sequence[Row]) -> dict[str, Row]:
        """Of the rows of crm_syncs: what the CRM holds, by contact id."""

    @abstractmethod
    def differences(self, payload: Payload, held: Row) -> Iterable[str]:
        """In what the CRM's contact is another than the one that should be there."""

    def nobodys(self, rows: Sequence[Row]) -> Iterator[str]:
        """Contacts of ours at the CRM that are none of the rows'. Nothing, where the CRM cannot have one twice."""
        yield from ()
