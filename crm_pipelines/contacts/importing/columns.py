"""Which column of a file is which field of a contact."""

import re
from dataclasses import dataclass

from crm_pipelines.contacts.importing.errors import ImportRefused

_ALIASES = {
    "email": "email emailaddress mail",
    "name": "name fullname contactname",
    "first_name": "firstname givenname forename",
    "last_name": "lastname surname familyname",
    "phone_number": "phonenumber phone telephone telephonenumber tel mobile mobilephone mobilenumber cell cellphone",
    "email_type": "emailtype",
    "has_gmail": "hasgmail",
    "context": "context",
    "source_url": "sourceurl",
    "source_job_id": "sourcejobid",
    "domain_id": "domainid",
    "page_id": "pageid",
    "custom_fields": "customfields",
}
_FIELDS = {alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()}
# Columns of the view `contacts` that are kept by the database, and those of a file of rejects.
_OURS = re.compile(
    r"id|createdat|updatedat|retrycount|nextretryat|lastretryat|lastfailedcrm|rejectedline|rejectedreason"
    r"|(brevo|hubspot|mautic|n8n)(syncstatus|processingstatus|processingerror|contactid|id)"
)


@dataclass(frozen=True)
class Columns:
    """Position -> field, and position -> name of a custom field; `ignored` are the headers of the rest."""

    fields: dict[int, str]
    custom: dict[int, str]
    ignored: tuple[str, ...]
    width: int

    def name(self, position: int) -> str:
        """Of the field or custom field in this column."""
        return self.fields.get(position) or self.custom.get(position) or f"column {position + 1}"


def match_columns(header: list[str], file: str) -> Columns:
    """Upper and lower case, blanks, hyphens and underscores make no difference.

    Raises ImportRefused when no column holds the address, or two columns have one name or one meaning.
    """
    fields: dict[int, str] = {}
    custom: dict[int, str] = {}
    ignored: list[str] = []
    seen: dict[str, str] = {}
    for position, title in enumerate(header):
        key = re.sub(r"[\W_]+", "", title.casefold())
        field = _FIELDS.get(key)
        if not title or _OURS.fullmatch(key):
            ignored += [title] if title else []
            continue
        meaning = field or title
        if meaning in seen:
            raise ImportRefused(
                f"{file} has two columns for one thing, {seen[meaning]!r} and {title!r}: remove or rename one."
            )
        seen[meaning] = title
        if field:
            fields[position] = field
        elif "\0" in title or len(title) > 200:
            raise ImportRefused(f"{file}: the header of column {position + 1} is no name (a NUL, or too long).")
        else:
            custom[position] = title
    if "email" not in fields.values():
        shown = ", ".join(repr(title) for title in header[:10])
        raise ImportRefused(f"{file} has no column for the e-mail address (such as 'email'). Its header: {shown}.")
    if "name" in fields.values() and {"first_name", "last_name"} & set(fields.values()):
        # The full name says it already; the parts stay available.
        for position in [p for p, field in fields.items() if field in {"first_name", "last_name"}]:
            custom[position] = header[position]
            del fields[position]
    return Columns(fields, custom, tuple(ignored), len(header))
