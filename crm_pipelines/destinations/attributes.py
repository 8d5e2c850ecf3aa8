"""What the account of a CRM takes: its attributes as they were last seen, and the contacts of which it took not all.

The statements stand in attributes.sql.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from crm_pipelines.database.sql import asking, load_statements

LOOK_PAUSE = timedelta(hours=1)
"""Between two looks at the account while nothing is due: only for what was left out."""

_SQL = load_statements("destinations/attributes")
_PORTION = 5000

Attributes = Sequence[Mapping[str, Any]]
"""Of each attribute: name, category, type, and what else the CRM's module wants to know of it."""


class AttributeStore:
    """The attributes of one CRM's account, for all who prepare, compare or explain; each may have its own process."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self._all = asking(engine, _SQL, crm)

    def read(self) -> Attributes | None:
        """As they were last seen in the account that this database delivers to; None: never."""
        rows = self._all("read")
        return rows[0].attributes if rows else None

    def note_look(self) -> None:
        """They are asked for now, whatever comes of it."""
        self._all("note_look")

    def look_is_due(self, judged_here: Collection[str] = ()) -> bool:
        """Whether something was left out, and nobody has asked for LOOK_PAUSE. Look-ups in indexes.

        `judged_here` are attributes whose values no change of the account lets through.
        """
        return bool(self._all("look_is_due", pause=LOOK_PAUSE, judged_here=sorted(judged_here))[0][0])

    def keep(self, attributes: Attributes, version: str, writable: Collection[str]) -> int:
        """Write down what was seen now; returns how many contacts were queued for it.

        Those are contacts that left out a value which may be sent now, or whose values went with an attribute, an
        option or the number of a label. `writable` are the names that can be written.
        """
        before = self.read()
        if before != list(attributes):
            self._forget_lost(before, attributes, writable)
        self._all("keep", attributes=json.dumps(attributes), version=version)
        # Only now: who is queued here is judged by these.
        wrong = _with_wrong_choices(before or (), attributes)
        judged_anew = self._in_portions("judge_anew", names=wrong) if wrong else 0
        return judged_anew + self._in_portions("requeue", names=sorted(writable), version=version)

    def _forget_lost(self, before: Attributes | None, now: Attributes, writable: Collection[str]) -> None:
        kinds = {one["name"]: _kind(one) for one in before or ()}
        made_anew = {one["name"] for one in now if kinds.get(one["name"], _kind(one)) != _kind(one)}
        gone = {row.name for row in self._all("sent_names")} - set(writable)
        if names := sorted(gone | made_anew):
            self._in_portions("forget_sent", names=names)

    def _in_portions(self, name: str, **parameters: Any) -> int:
        changed = 0
        while rows := self._all(name, limit=_PORTION, **parameters):
            changed += len(rows)
        return changed


def _with_wrong_choices(before: Attributes, now: Attributes) -> list[str]:
    """Names of the attributes of which an option is gone, or a label has another number now."""
    present = {one["name"]: one for one in now}
    return sorted(one["name"] for one in before if one["name"] in present and _lost(one, present[one["name"]]))


def _lost(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """A label that was only renamed is not lost: its number is what the CRM holds, and means the same."""
    numbers = {one["label"]: one["value"] for one in now.get("enumeration", ())}
    return bool(set(before.get("options", ())) - set(now.get("options", ()))) or any(
        numbers.get(one["label"], one["value"]) != one["value"] or one["value"] not in numbers.values()
        for one in before.get("enumeration", ())
    )


def _kind(attribute: Mapping[str, Any]) -> tuple[str | None, str]:
    return attribute.get("category"), attribute["type"]
