"""The whole answer to "why?" about one contact: its story, what would be sent of it, and what the CRM holds now.

One answer for the command line, the API and the status page. It holds personal data: it goes to whoever asked, and
into no log.
"""

from collections.abc import Collection
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.story import Story
from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Compared, Line, Unsendable
from crm_pipelines.crms.registry import client_of, mapper_of
from crm_pipelines.delivery.account.identity import admit
from crm_pipelines.delivery.account.learning import remind
from crm_pipelines.delivery.account.opening import Account, open_account
from crm_pipelines.delivery.pace.gatekeeping import pacer_for
from crm_pipelines.delivery.preparing import prepare, sendable_of, without_suppressed
from crm_pipelines.errors import CrmPipelinesError, SettingsError
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Delivery
from crm_pipelines.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a delivery to `crm` would come to now. `verdict` is `send`, or the outcome that needs no request.

    Where the settings are wrong, so that nothing would be sent, it is `misconfigured`. `cleared` are attributes that
    the CRM has from us and that are blank now.
    """

    crm: str
    verdict: str
    says: str
    lines: tuple[Line, ...]
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LiveComparison:
    """What the CRM holds now, field by field. `found` None: it gave no answer, for the reason in `says`."""

    crm: str
    found: bool | None
    says: str
    fields: tuple[Compared, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Why:
    """Everything there is to tell about one contact; `live` only where the CRMs were asked."""

    story: Story
    previews: tuple[Preview, ...]
    live: tuple[LiveComparison, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the story's own fields, and the others beside them."""
        return {
            **self.story.as_dict(),
            "previews": [asdict(one) for one in self.previews],
            "live": [asdict(one) for one in self.live],
        }


def why(
    settings: Settings, engine: sa.Engine, story: Story, *, previews: Collection[str], ask: Collection[str] = ()
) -> Why:
    """What would be sent to the destinations of `previews`, and what those of `ask` hold, asked through their gates.

    One of which nothing can be told says so, and hinders no other.
    """
    told = [_preview_of(settings, engine, name, story.id) for name in previews]
    held = [_held_by(settings, engine, name, story.id) for name in ask]
    return Why(story=story, previews=tuple(filter(None, told)), live=tuple(filter(None, held)))


def comparable(settings: Settings) -> set[str]:
    """Those of the destinations that can be asked what they hold. Makes no request."""
    return {name for name in settings.destinations if _shows(settings, name)}


def _shows(settings: Settings, name: str) -> bool:
    try:
        with closing(client_of(settings, name)) as client:
            return client.reading is not None
    except SettingsError:
        return False


def selected_for(settings: Settings, story: Story) -> list[str]:
    """Of the destinations those that the contact is selected for; all, if there are none."""
    return _of(settings, {one.crm for one in story.crms if one.condition != "unselected"})


def involved_in(settings: Settings, story: Story) -> list[str]:
    """Of the destinations those that the contact is or was selected for, or that hold it; all, if there are none."""
    held = {one.crm for one in story.crms if one.condition != "unselected" or one.remote_key or one.remote_id}
    return _of(settings, held | {one.crm for one in story.attempts})


def _of(settings: Settings, names: Collection[str]) -> list[str]:
    return [name for name in settings.destinations if name in names] or list(settings.destinations)


def _preview_of(settings: Settings, engine: sa.Engine, name: str, contact_id: UUID) -> Preview | None:
    try:
        mapper = mapper_of(settings, name)
    except SettingsError as reason:
        return Preview(crm=name, verdict="misconfigured", says=str(reason), lines=())
    return preview(engine, mapper, contact_id)


def _held_by(settings: Settings, engine: sa.Engine, name: str, contact_id: UUID) -> LiveComparison | None:
    try:
        with open_account(settings, name, engine) as account:
            return look(account, contact_id)
    except SettingsError as reason:
        return LiveComparison(crm=name, found=None, says=f"Not asked: {reason}")


def preview(engine: sa.Engine, mapper: Mapper, contact_id: UUID) -> Preview | None:
    """None if there is no such contact. Makes no request and changes nothing."""
    remind(engine, mapper)
    queue = Queue(engine, mapper.name)
    delivery = queue.glance(contact_id)
    if delivery is None:
        return None
    lines = tuple(mapper.explain(delivery.record))
    [prepared] = without_suppressed(queue, [prepare(mapper, delivery, revision=0)], mapper.mapping_version)
    if not isinstance(prepared, Attempt):
        cleared = tuple(sorted(prepared.payload.clear))
        count = len(prepared.payload.attributes)
        says = f"The address and {count} attribute{'' if count == 1 else 's'}{_but_cleared(cleared)}"
        return Preview(crm=mapper.name, verdict="send", says=f"{says}.", lines=lines, cleared=cleared)
    says = "Unchanged since the last delivery: a run would make no request."
    if prepared.outcome != "unchanged":
        says = prepared.message or prepared.kind or prepared.outcome
    return Preview(crm=mapper.name, verdict=prepared.outcome, says=says, lines=lines)


def _but_cleared(names: tuple[str, ...]) -> str:
    return f"; {', '.join(names)} would be cleared, being blank now" if names else ""


def look(account: Account, contact_id: UUID) -> LiveComparison | None:
    """Ask the CRM, through the slots of its gate. None if there is no such contact here."""
    delivery = account.queue.glance(contact_id)
    return None if delivery is None else _look(account, delivery)


def _look(account: Account, delivery: Delivery) -> LiveComparison:
    crm, reading = account.crm.name, account.crm.reading
    if reading is None:
        return LiveComparison(crm=crm, found=None, says=f"Not asked: {crm} does not show what it holds.")
    payload = account.crm.prepare(delivery.record, sent_attributes=delivery.sent_attributes)
    if isinstance(payload, Unsendable):
        return LiveComparison(crm=crm, found=None, says=f"Not asked: {payload.message}")
    turns = pacer_for(account.gate, account.destination.rate_limit_per_second).wait
    try:
        admit(account.gate, account.crm, turn=turns)
    except CrmPipelinesError as reason:  # what a stranger's account holds is not shown as ours
        return LiveComparison(crm=crm, found=None, says=f"Not asked: {reason}")
    [(outcome, held)] = reading.look_up([sendable_of(delivery, payload)], turn=turns)
    if outcome.result is not Result.SYNCED:
        return LiveComparison(crm=crm, found=None, says=f"No answer. {outcome.message or outcome.kind or ''}".strip())
    if held is None:
        return LiveComparison(
            crm=crm, found=False, says="It holds no contact with our id or an address that we know of it."
        )
    fields = tuple(reading.compare(payload, held))
    different = [one.attribute for one in fields if one.same is False]
    says = f"It differs in {', '.join(different)}." if different else "It holds what a delivery would send."
    return LiveComparison(crm=crm, found=True, says=says, fields=fields)
