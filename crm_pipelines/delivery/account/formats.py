"""Numbers and dates in custom fields that are left out for how they are written, and the format that would read them.

Looks at the contacts that were changed last, not at all: what that costs does not grow with the table.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crm_pipelines.contacts.fields import TextInUse
from crm_pipelines.crms import days, numerals
from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.formats import proven_format
from crm_pipelines.crms.mapping import CUSTOM
from crm_pipelines.crms.payloads import Line
from crm_pipelines.crms.schema import Finding
from crm_pipelines.crms.values import FORMATS, LEFT_OUT, AttributeType, Way, convert
from crm_pipelines.vocabulary import counted

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Which no number and no day is: what is said of it tells what a field is read as.
_NEITHER = "x"
_SAID_OF = {AttributeType.FLOAT: numerals.NO_NUMBER, AttributeType.DATE: days.NO_DATE}
# What is left out for another reason, such as an attribute that the account lacks, no format would save.
_OF_WRITING = {
    AttributeType.FLOAT: (numerals.NO_NUMBER,),
    AttributeType.DATE: (days.NO_DATE, days.NO_SUCH_DAY, days.NOT_CLEAR, days.NO_CENTURY),
}


@dataclass(frozen=True, kw_only=True)
class Misread:
    """A custom field that goes to `attribute` as a number or a day; of `contacts` with a text, `left_out` lose it.

    `format` reads all that any format reads; None: none does, or several do, each otherwise. `mendable`: some format
    reads some of what is left out.
    """

    field: str
    attribute: str
    type: AttributeType
    contacts: int
    left_out: int
    format: str | None
    mendable: bool = True


def misread(mapper: Mapper, texts: Mapping[str, Sequence[TextInUse]]) -> Iterator[Misread]:
    """Fields of which texts with a digit are left out. Pure."""
    for line in mapper.explain({"custom_fields": dict.fromkeys(texts, _NEITHER)}):
        field = line.source.removeprefix(CUSTOM)
        kind = next((kind for kind, said in _SAID_OF.items() if said in (line.remark or "")), None)
        if kind is None or line.attribute is None or field not in texts:
            continue
        written = texts[field]
        lost = [one for one in written if _is_left_out(mapper, line, kind, one.text)]
        if lost:
            yield Misread(
                field=field,
                attribute=line.attribute,
                type=kind,
                contacts=sum(one.contacts for one in written),
                left_out=sum(one.contacts for one in lost),
                format=proven_format(kind, [one.text for one in written if _is_readable(kind, one.text)]),
                mendable=any(_is_readable(kind, one.text) for one in lost),
            )


def finding(found: Misread, mapping_file: str) -> Finding:
    """In words; `mapping_file` says where its line belongs."""
    lost = f"{found.left_out} of {counted(found.contacts, 'value')} {'is' if found.left_out == 1 else 'are'} left out"
    line = f"{_key(found.attribute)} = {{ from = {json.dumps(CUSTOM + found.field, ensure_ascii=False)}, type = "
    line += f'"{found.type}", format = '
    if not found.mendable:
        them = "it" if found.left_out == 1 else "them"
        detail = f"{lost}: no format reads {them}. Correct {them}; `crm-pipelines why EMAIL` tells it of one contact."
    elif found.format:
        detail = f'{lost}; they look like {found.format}. Put `{line}"{found.format}" }}` into {mapping_file}.'
    else:
        known = " or ".join(f'"{name}"' for name in FORMATS[found.type])
        detail = (
            f"{lost}, and the values do not tell in which format they are written. Correct them, or, if you know the "
            f"format, put `{line}… }}` into {mapping_file}, with {known}."
        )
    return Finding(ok=False, subject=f"Custom field {found.field}", detail=detail, blocking=False)


def _is_readable(kind: AttributeType, text: str) -> bool:
    """Whether some format reads it."""
    return any(convert(text, Way(kind, **said)).remark is None for said in FORMATS[kind].values())


def _is_left_out(mapper: Mapper, line: Line, kind: AttributeType, text: str) -> bool:
    """For how it is written."""
    field = line.source.removeprefix(CUSTOM)
    lines = mapper.explain({"custom_fields": {field: text}})
    return any(
        one.attribute == line.attribute
        and (one.remark or "").startswith(LEFT_OUT)
        and any(said in (one.remark or "") for said in _OF_WRITING[kind])
        for one in lines
        if one.source == line.source
    )


def _key(name: str) -> str:
    """As TOML writes it."""
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
