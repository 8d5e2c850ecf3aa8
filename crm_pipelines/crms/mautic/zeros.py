"""The zero that Mautic drops, and the day 1970-01-01. Pure.

With POST and PATCH Mautic drops what PHP reads as a number whose whole part is 0 (see `forms.is_dropped`), and
`overwriteWithBlank` does not change that. A zero that did not arrive is left out, and where Mautic still has another
value, older than ours, that one is blanked: nothing is the smaller harm than what is wrong. The contact says so.

PUT would take a zero, but it replaces the whole contact, and what an answer shows of one is not all that PUT clears:

- What somebody changes there between the look and the PUT, points won or an edit, is set back. Nothing tells of it,
  since Mautic has no conditional update. If the contact is deleted in between, PUT makes it again (editEntitiesAction).
- The choice of the picture is no field, and the form blanks it (LeadType, `preferred_profile_image`).
- Of a number without decimal places an answer shows the whole part only, though more may be stored (fixNumbers).
- The seconds of a time are dropped (RequestTrait), "example.com" becomes "http://example.com" (UrlType), and what looks
  like HTML in texts that others wrote is taken out (InputHelper).
- A second unique identifier would have to be repeated, and with it Mautic looks for others to merge.
"""

from collections.abc import Iterable, Set
from dataclasses import replace

from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable

NOT_YET = "Mautic has the contact, but also a value that is to become zero: the run ended before it was blanked."


def blanking(contact: Sendable, stale: Iterable[str]) -> Sendable:
    """What blanks these fields of the contact, and changes nothing else."""
    return replace(contact, payload=replace(contact.payload, attributes={}, clear=frozenset(stale)))


def not_yet(written: Outcome) -> Outcome:
    """Of a contact whose former values were not blanked."""
    return replace(written, result=Result.RETRY, kind="outage", message=NOT_YET)


def without_zeros(written: Outcome, lost: Iterable[str], kept: Set[str] = frozenset()) -> Outcome:
    """Of a contact whose zeros did not arrive; `kept` are those whose former values Mautic has still."""
    told = (
        f"{name} was left out: Mautic does not take this value and "
        f"{'keeps what it had' if name in kept else 'has it blank'}, so set it there by hand"
        for name in sorted(lost)
    )
    return replace(written, warnings=(*written.warnings, *told), left_out=written.left_out | frozenset(lost))
