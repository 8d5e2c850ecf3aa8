"""What a sandbox imitates beyond the obvious."""

from typing import NamedTuple


class Quirk(NamedTuple):
    """`confirmed`: documented by the CRM or observed by others; else assumed, to be tried live."""

    what: str
    source: str
    confirmed: bool
