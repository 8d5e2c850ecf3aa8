"""The zero that Mautic drops, and how it arrives all the same. Pure.

With POST and PATCH Mautic drops what PHP reads as a number whose whole part is 0 (see `forms.is_dropped`), and
`overwriteWithBlank` does not change that: a score that becomes 0 would stay what it was. Only PUT takes it, and PUT
clears whatever it is not sent. So where an answer shows that a zero did not arrive, the contact is read, and written
with PUT as it stands there, our values in it. That happens once for each zero: afterwards Mautic holds it, and what it
drops changes nothing.

What somebody changes between that read and that PUT, points won in that moment say, is set back to what was read. It is
the smaller harm: a zero that did not arrive is wrong for ever. Where PUT could do more harm, the zero is left out, and
the contact says so:

- Somebody else has the address, or it is another contact's by now: an edit with it would merge the two.
- The contact has another unique identifier, which PUT would have to repeat: the same.
- The answer does not show all fields of the contact.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.forms import fields_of
from crm_pipelines.crms.outcomes import Outcome, Result

NOT_YET = "Mautic has the contact, but not its zeros yet: the run ended before they were written."


def may_be_written_whole(row: Mapping[str, Any], account: AccountFields | None) -> bool:
    """Whether PUT with all that an answer shows of the contact changes nothing else."""
    shown = fields_of(row)
    if account is None or not account.published <= shown.keys():
        return False
    others = account.identifiers - {"email"}
    return not any(shown[name][0] not in (None, "") for name in others & shown.keys())


def not_yet(written: Outcome) -> Outcome:
    """Of a contact whose zeros were not written."""
    return replace(written, result=Result.RETRY, kind="outage", message=NOT_YET)


def without_zeros(written: Outcome, lost: Iterable[str]) -> Outcome:
    """Of a contact whose zeros cannot be written without harm."""
    told = (
        f"{name} was left out: Mautic drops a zero and keeps what it had, so set it there by hand"
        for name in sorted(lost)
    )
    return replace(written, warnings=(*written.warnings, *told), left_out=written.left_out | frozenset(lost))
