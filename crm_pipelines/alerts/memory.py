"""What a sensor keeps in its cursor, so that a restart neither repeats an alert nor loses one."""

from collections.abc import Mapping
from dataclasses import field

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from crm_pipelines.alerts.outbox import Box
from crm_pipelines.alerts.states import Told


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The states that people know of, by key, and each channel's undelivered alerts."""

    told: Mapping[str, Told] = field(default_factory=dict)
    boxes: Mapping[str, Box] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> "Memory":
        """A cursor that cannot be read, of another version for one, is an empty memory: what lasts is told again."""
        try:
            return _MEMORY.validate_json(cursor or "{}")
        except ValidationError:
            return cls()

    def write(self) -> str:
        """For `read`."""
        return _MEMORY.dump_json(self, exclude_defaults=True).decode()


_MEMORY = TypeAdapter(Memory)
