"""The postbox of the tests, as the suite sees it: a CRM that takes a hundred contacts at once, and little else."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

from crm_pipelines.crms.base import Crm
from crm_pipelines_tests.conformance.subject import (
    CHOICES,
    DAY,
    FLAG,
    LACKING,
    NUMBER,
    PHONE,
    TEXT,
    WAIT,
    Capability,
    Fault,
    Oddity,
    Remote,
    Subject,
    Variant,
)
from crm_pipelines_tests.fixtures.postbox import Postbox, PostboxClient, postbox_server
from crm_pipelines_tests.fixtures.postbox import server as box
from crm_pipelines_tests.patience import wait_until

_WINDOW = timedelta(minutes=1)
_WAIT = {"retry-after": str(int(WAIT.total_seconds()))}
_PAGE = b"<html><body>Bad gateway</body></html>"
_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.WRONG_KEY: {"status": 401},
    Fault.FORBIDDEN: {"status": 403},
    Fault.NOT_FOUND: {"status": 404},
    Fault.TOO_MANY: {"status": 429, "headers": _WAIT},
    Fault.ERROR: {"status": 500},
    Fault.UNAVAILABLE: {"status": 503, "headers": _WAIT},
    Fault.ERROR_PAGE: {"status": 502, "body": _PAGE},
    Fault.PAGE: {"status": 200, "body": _PAGE},
    Fault.EMPTY: {"status": 200},
    Fault.RUBBISH: {"status": 200, "body": b'{"results": ['},
    Fault.FOREIGN: {"status": 200, "body": b'{"status": "ok"}'},
    Fault.REDIRECT: {"status": 302, "headers": {"location": "http://127.0.0.1:1/"}},
    Fault.RESET_BEFORE: {"reset": True},
    Fault.RESET_AFTER: {"reset": True, "applied": True},
    Fault.ERROR_PAGE_AFTER: {"status": 502, "body": _PAGE, "applied": True},
    Fault.SILENCE_BEFORE: {"silent": True},
    Fault.SILENCE_AFTER: {"silent": True, "applied": True},
}
_ODDITIES: Mapping[Oddity, Callable[[box.Results], box.Results]] = {
    Oddity.SHUFFLED: box.reverse,
    Oddity.RESPELT: lambda results: [{**one, "id": one["id"].upper()} for one in results],
    Oddity.FEWER: lambda results: results[1:],
}


class PostboxSubject(Subject):
    """See `subject.Subject`."""

    kind: ClassVar = "postbox"
    capabilities: ClassVar = frozenset(
        {
            Capability.MANY,
            Capability.REPEATABLE,
            Capability.RENAMES,
            Capability.CHOICES,
            Capability.ZEROS,
            Capability.MARKUP,
            Capability.FORM,
            Capability.PROBES,
            Capability.ACCOUNTS,
            Capability.RATES,
        }
    )
    oddities: ClassVar = frozenset(Oddity)
    names: ClassVar = {name: name for name in (TEXT, NUMBER, FLAG, DAY, CHOICES, LACKING)}

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Subject]:
        with postbox_server() as postbox:
            yield cls(postbox)

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox

    def open(self, variant: Variant) -> Crm:
        return PostboxClient(
            variant.base_url or self._postbox.url,
            key=variant.key,
            repeatable=Capability.REPEATABLE in self.capabilities,
        )

    def reset(self) -> None:
        self._postbox.reset()

    def held(self) -> list[Remote]:
        return [
            Remote(address=one["email"], remote_id=str(one["number"]), fields=dict(one["fields"]))
            for one in self._postbox.contacts.values()
        ]

    def journal(self) -> list[str]:
        return [f"{one.method} {one.path} {json.dumps(one.body, ensure_ascii=False)}" for one in self._postbox.journal]

    def wait_for_request(self, number: int) -> None:
        wait_until(lambda: len(self._postbox.journal) >= number, f"{number} requests have come")

    def seed(self, contact: Remote) -> None:
        fields = dict(contact.fields)
        if PHONE in fields:
            fields[PHONE] = fields[PHONE].removeprefix("+")
        self._postbox.seed(contact.address, **fields)

    def delete(self, address: str) -> None:
        self._postbox.delete(address)

    def accept_only(self, key: str) -> None:
        self._postbox.keys = {key}

    def name_account(self, name: str) -> None:
        self._postbox.account = name

    def allow(self, requests: int) -> timedelta:
        self._postbox.limit = (requests, _WINDOW.total_seconds())
        return _WINDOW

    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        what = _FAULTS[fault]
        path = box.CONTACTS if what.get("applied") else None
        self._postbox.fault(box.Fault(times=times, path=path, **what))

    def end_faults(self) -> None:
        self._postbox.end_faults()

    def refuse(self, address: str, said: str) -> None:
        self._postbox.refuse(address, said)

    def refuse_whole(self, address: str) -> None:
        self._postbox.refuse_whole(address)

    def answer_oddly(self, oddity: Oddity) -> None:
        self._postbox.results = _ODDITIES[oddity]


class PostboxOnceSubject(PostboxSubject):
    """The same, where a request whose answer was lost must not be made again."""

    kind: ClassVar = "postbox_once"
    capabilities: ClassVar = PostboxSubject.capabilities - {Capability.REPEATABLE}
