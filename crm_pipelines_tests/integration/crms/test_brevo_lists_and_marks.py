"""What a person, or another system, has decided at Brevo: lists that were left, and an EXT_ID that is not ours."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import requests

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Remembered
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.one_contact import deliver, look_up
from crm_pipelines_tests.patience import PATIENCE

KEY = "xkeysib-test"
ADA = "ada@example.com"
OUR_MARK = str(UUID(int=1))
SHOP_MARKS = ["shop-4711", "7c9e6679-7425-40de-944b-e07fc1f90ae7"]


class Sender:
    """One contact, and what is remembered of it between deliveries, as the tables would."""

    def __init__(self, sandbox: BrevoSandbox, **options: Any) -> None:
        self.sandbox = sandbox
        self.record: dict[str, Any] = {"id": UUID(int=1), "email": ADA, "custom_fields": {}}
        self.remembered = Remembered()
        self.remote_key: str | None = None
        self.remote_id: str | None = None
        self.connect(**options)

    def connect(self, **options: Any) -> None:
        """With other settings."""
        defaults = {"api_key": KEY, "base_url": self.sandbox.url, "mapping": load_mapping(None)}
        self.brevo = Brevo(**{**defaults, **options})

    def deliver(self, *, certain: bool = True, **changes: Any) -> Outcome:
        self.record |= changes
        payload = self.brevo.prepare(self.record, sent_attributes=frozenset())
        assert isinstance(payload, Payload)
        lists, mark = self.remembered.lists, self.remembered.remote_mark
        outcome = deliver(
            self.brevo,
            payload,
            remote_key=self.remote_key,
            remote_id=self.remote_id,
            turn=lambda: None,
            remembered=Remembered(lists=lists, remote_mark=mark, certain=certain),
        )
        if outcome.result is Result.SYNCED:
            self.remote_key, self.remote_id = outcome.remote_key, outcome.remote_id or self.remote_id
            self.remembered = Remembered(lists=outcome.lists, remote_mark=outcome.remote_mark)
        return outcome

    def held(self, email: str = ADA) -> dict[str, Any]:
        found = self.sandbox.contact(email)
        assert found is not None
        return found


Connect = Callable[..., Sender]


@pytest.fixture
def connect(brevo_sandbox: BrevoSandbox) -> Iterator[Connect]:
    made: list[Sender] = []

    def connect(**options: Any) -> Sender:
        made.append(Sender(brevo_sandbox, **options))
        return made[-1]

    yield connect
    for one in made:
        one.brevo.close()


def take_off(sandbox: BrevoSandbox, list_id: int, body: dict[str, Any]) -> None:
    """Somebody, at Brevo, takes contacts off a list."""
    url = f"{sandbox.url}/contacts/lists/{list_id}/contacts/remove"
    requests.post(url, json=body, headers={"api-key": "another"}, timeout=PATIENCE).raise_for_status()


def new_list(sandbox: BrevoSandbox) -> int:
    url = f"{sandbox.url}/contacts/lists"
    answer = requests.post(url, json={"name": "News", "folderId": 1}, headers={"api-key": "another"}, timeout=PATIENCE)
    number: int = answer.json()["id"]
    return number


LEFT = {"emails": [ADA]}
REMOVED_BY_OTHERS = {"all": True}
"""Not the person's own act: nothing shows in listUnsubscribed."""


@pytest.mark.parametrize("how", [LEFT, REMOVED_BY_OTHERS], ids=["left", "removed"])
@pytest.mark.parametrize(
    "change",
    [{"name": "Ada King"}, {"email": "new@example.com"}, {"certain": False}],
    ids=["edit", "address", "selected again"],
)
def test_who_is_off_the_list_is_not_put_back(
    connect: Connect, brevo_sandbox: BrevoSandbox, how: dict[str, Any], change: dict[str, Any]
) -> None:
    sender = connect(list_id=2)
    sender.deliver()
    assert sender.held()["listIds"] == [2]
    take_off(brevo_sandbox, 2, how)
    assert sender.deliver(**change).result is Result.SYNCED
    assert sender.held(sender.record["email"])["listIds"] == []


def test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery(
    connect: Connect, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": ADA, "listIds": [2]})
    take_off(brevo_sandbox, 2, LEFT)
    outcome = connect(list_id=2).deliver(name="Ada")
    assert outcome.lists == {"2"}, "and no later delivery asks for it"
    [warning] = outcome.warnings
    assert "list 2" in warning
    [held] = brevo_sandbox.contacts()
    assert (held["listIds"], held["attributes"]["FIRSTNAME"]) == ([], "Ada")


def test_who_was_at_brevo_before_us_and_never_left_is_put_on_the_list(
    connect: Connect, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.seed({"email": ADA})
    outcome = connect(list_id=2).deliver()
    assert (outcome.result, outcome.requests) == (Result.SYNCED, 3)
    assert brevo_sandbox.contacts()[0]["listIds"] == [2]


def test_a_contact_that_is_new_to_brevo_takes_one_request(connect: Connect) -> None:
    sender = connect(list_id=2)
    assert sender.deliver().requests == 1
    assert sender.deliver(name="Ada").requests == 1
    assert sender.held()["listIds"] == [2]


@pytest.mark.parametrize("how", [LEFT, REMOVED_BY_OTHERS], ids=["left", "removed"])
def test_a_retry_after_a_lost_answer_puts_nobody_back(
    connect: Connect, brevo_sandbox: BrevoSandbox, how: dict[str, Any]
) -> None:
    sender = connect(list_id=2)
    brevo_sandbox.fault("reset_after", method="POST", path="/contacts$", times=1)
    assert sender.deliver().result is Result.RETRY
    assert sender.held()["listIds"] == [2]
    take_off(brevo_sandbox, 2, how)
    assert sender.deliver().result is Result.SYNCED
    assert sender.held()["listIds"] == []


def test_another_list_is_asked_for_once_and_not_of_who_left_it(connect: Connect, brevo_sandbox: BrevoSandbox) -> None:
    news = new_list(brevo_sandbox)
    sender = connect(list_id=2)
    sender.deliver()
    sender.connect(list_id=news)
    sender.deliver()
    assert sender.held()["listIds"] == [2, news]
    take_off(brevo_sandbox, news, LEFT)
    sender.deliver(name="Ada")
    assert sender.held()["listIds"] == [2]

    other = connect(list_id=2)
    other.record |= {"id": UUID(int=2), "email": "bob@example.com"}
    other.deliver()
    brevo_sandbox.seed({"email": "bob@example.com", "listIds": [news]})
    take_off(brevo_sandbox, news, {"emails": ["bob@example.com"]})
    other.connect(list_id=news)
    other.deliver(name="Bob")
    assert other.held("bob@example.com")["listIds"] == [2]


def test_who_was_delivered_before_lists_were_noted_is_not_put_back(
    connect: Connect, brevo_sandbox: BrevoSandbox
) -> None:
    sender = connect(list_id=2)
    sender.deliver()
    take_off(brevo_sandbox, 2, LEFT)
    sender.remembered = Remembered(lists=None)
    sender.deliver(name="Ada")
    assert sender.held()["listIds"] == []


def test_being_off_the_list_is_no_difference(connect: Connect, brevo_sandbox: BrevoSandbox) -> None:
    sender = connect(list_id=2)
    sender.deliver()
    payload = sender.brevo.prepare(sender.record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)

    def lists() -> bool | None:
        _, held = look_up(sender.brevo, payload, remote_key=ADA, remote_id=None, turn=lambda: None)
        assert held is not None
        return {one.attribute: one.same for one in sender.brevo.reading.compare(payload, held)}["lists"]

    assert lists() is True
    take_off(brevo_sandbox, 2, LEFT)
    assert lists() is None


@pytest.mark.parametrize("mark", SHOP_MARKS)
def test_the_mark_of_a_shop_stays_whatever_is_delivered(
    connect: Connect, brevo_sandbox: BrevoSandbox, mark: str
) -> None:
    brevo_sandbox.seed({"email": ADA, "ext_id": mark})
    sender = connect()
    changes: list[dict[str, Any]] = [{}, {"name": "Ada"}, {"email": "new@example.com"}]
    assert [sender.deliver(**change).requests for change in changes] == [3, 2, 3]
    [held] = brevo_sandbox.contacts()
    assert (held["email"], held["attributes"]["FIRSTNAME"], held["attributes"]["EXT_ID"]) == (
        "new@example.com",
        "Ada",
        mark,
    )


@pytest.mark.parametrize("mark", SHOP_MARKS)
def test_a_mark_that_a_shop_sets_after_the_first_delivery_stays(
    connect: Connect, brevo_sandbox: BrevoSandbox, mark: str
) -> None:
    sender = connect()
    sender.deliver()
    brevo_sandbox.seed({"email": ADA, "ext_id": mark})
    assert sender.deliver(name="Ada").result is Result.SYNCED
    [held] = brevo_sandbox.contacts()
    assert (held["attributes"]["FIRSTNAME"], held["attributes"]["EXT_ID"]) == ("Ada", mark)
    assert sender.deliver(name="Ada King").requests == 2, "it is remembered"


def test_an_entry_without_a_mark_gets_ours(connect: Connect, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": ADA})
    sender = connect()
    sender.deliver()
    assert sender.held()["attributes"]["EXT_ID"] == OUR_MARK
    assert sender.deliver(name="Ada").requests == 1


def test_the_user_may_have_marks_overwritten(connect: Connect, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.seed({"email": ADA, "ext_id": "shop-4711"})
    sender = connect(keep_marks=False)
    assert sender.deliver().requests == 1
    assert sender.held()["attributes"]["EXT_ID"] == OUR_MARK


def test_an_update_makes_no_second_entry_of_a_contact_whose_address_was_changed_at_brevo(
    connect: Connect, brevo_sandbox: BrevoSandbox
) -> None:
    sender = connect()
    number = sender.deliver().remote_id
    url = f"{brevo_sandbox.url}/contacts/{number}"
    moved = {"attributes": {"EMAIL": "moved@example.com"}}
    requests.put(url, json=moved, headers={"api-key": "another"}, timeout=PATIENCE).raise_for_status()
    sender.deliver(name="Ada")
    assert [one["email"] for one in brevo_sandbox.contacts()] == ["moved@example.com"]
    sender.deliver(certain=False)
    assert [one["email"] for one in brevo_sandbox.contacts()] == [ADA]


@pytest.mark.parametrize(
    ("options", "ok", "says"),
    [({}, True, "BREVO_EXT_ID=keep"), ({"keep_marks": False}, False, "overwrites")],
)
def test_the_preflight_tells_of_marks_of_other_systems(
    connect: Connect, brevo_sandbox: BrevoSandbox, options: dict[str, Any], ok: bool, says: str
) -> None:
    brevo_sandbox.seed({"email": ADA, "ext_id": "shop-4711"}, {"email": "bob@example.com", "ext_id": OUR_MARK})
    findings = connect(**options).brevo.check(turn=lambda: None)
    [finding] = [one for one in findings if one.subject == "EXT_ID"]
    assert (finding.ok, finding.blocking) == (ok, False)
    assert says in finding.detail
    assert finding.detail.startswith("1 of the newest 2 contacts")
