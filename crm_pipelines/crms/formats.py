"""The format that values prove: 13.528,18 can only be 1.234,56, and so says what 1.234 means beside it. Pure."""

import re
from collections.abc import Sequence

from crm_pipelines.crms.values import FORMATS, AttributeType, Way, convert

_SIGN = re.compile(r"[^A-Z\d]")


def proven_format(kind: AttributeType, values: Sequence[str]) -> str | None:
    """The format in which each of the values can be read, as one thing only; None if there is none.

    Where two formats read all of them alike, the one whose sign they have. Values without a digit prove nothing.
    """
    telling = [value for value in values if any(map(str.isdigit, value))]
    fitting = {}
    for name, said in FORMATS.get(kind, {}).items():
        read = [convert(value, Way(kind, **said)) for value in telling]
        if read and all(one.remark is None for one in read):
            fitting[name] = [one.value for one in read]
    if not fitting or any(read != next(iter(fitting.values())) for read in fitting.values()):
        return None
    return max(fitting, key=lambda name: sum(_sign(name) in value for value in telling))


def _sign(name: str) -> str:
    """What stands between the parts of a date, or between thousands."""
    found = _SIGN.search(name)
    assert found
    return found[0]
