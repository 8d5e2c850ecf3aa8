"""The attributes of one Brevo account, and which values fit them. Pure.

Brevo drops what an attribute does not take and still reports success, so every value is brought to the account's type
before it is sent, and what does not fit is left out, with a remark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crm_pipelines.crms import attributes, normalize
from crm_pipelines.crms.attributes import as_text
from crm_pipelines.crms.options import LONGEST_OPTION, Options, spelling
from crm_pipelines.crms.values import LEFT_OUT, AttributeType, Converted, PythonTypes, Value
from crm_pipelines.settings import BrevoSettings

WRITABLE = frozenset({"normal", "category"})
"""Categories whose values a delivery may write. Transactional ones belong to an order, and others are computed."""

# Raised with every change of what values are brought to a type: what was left out before is judged anew then.
_RULES = 3

# Types in Python that an attribute of each type takes as they are.
_AS_IT_IS: dict[str, PythonTypes] = {
    "text": (str,),
    "user": (str,),
    "float": (int, float),
    "boolean": (bool,),
}
_IN_WORDS = {"float": "a number", "boolean": "true or false", "date": "a date", "text": "a text", "user": "a text"}


def brevo_type(kind: AttributeType) -> str:
    """Brevo's own word for the type."""
    return "text" if kind is AttributeType.PHONE else kind.value


@dataclass(frozen=True)
class BrevoAttribute:
    """One attribute of the account. `numbers` has the value of a category by its label, `options` the choices.

    `destination` is the name under which the account is provisioned.
    """

    name: str
    category: str
    type: str
    numbers: Mapping[str, int | str]
    options: tuple[str, ...]
    destination: str = BrevoSettings.kind

    @property
    def writable(self) -> bool:
        """Whether a delivery may write it."""
        return self.category in WRITABLE

    @property
    def as_is(self) -> PythonTypes:
        """Types in Python that it takes as they are."""
        return _AS_IT_IS.get(self.type, ())

    def fit(self, value: Value) -> Converted:
        """`value` as this attribute takes it; with a remark for what of it is left out. Never raises ValueError."""
        if not self.writable:
            remark = f"{LEFT_OUT}: {self.name} is {self.category} at Brevo and cannot be written, so name another one"
            return Converted(None, f"{remark} in the mapping file")
        if type(value) in self.as_is:
            return Converted(value)
        if self.type == "multiple-choice":
            return self._chosen(value)
        if self.type == "category":
            number = self.number_of(value)
            return Converted(number, None if number is not None else self._misfit("one of its labels"))
        try:
            return Converted(_as_type(value, self.type))
        except ValueError as error:
            return Converted(None, self._misfit(_IN_WORDS.get(self.type, f"of type {self.type}"), f" ({error})"))

    def number_of(self, value: object) -> int | str | None:
        """The value of the category that this label or number means; None when it means none. A label wins."""
        said = (as_text(value) if isinstance(value, float) else None) or str(value).strip()
        if said in self.numbers:
            return self.numbers[said]
        found = self._by_spelling.get(spelling(said))
        if found is None and said.endswith(".0"):  # of a program that took it for a float
            found = self._by_spelling.get(said.removesuffix(".0"))
        # With labels that the account does not tell, a number is all that can be right.
        return found if found is not None or self.numbers or not said.isdecimal() else int(said)

    def same_form(self, value: Any) -> Any:
        """A value that was sent or read back, in the form in which two that mean the same are equal."""
        if self.type == "category":
            # What is sent are numbers; that one of them is a label, too, makes it no other one.
            if isinstance(value, int | float) and value in self.numbers.values():
                return str(int(value))
            number = self.number_of(value)
            return str(value if number is None else number)
        if self.type in _IN_WORDS and self.type != "date" and not isinstance(value, list | dict):
            fitting = self.fit(value).value
            return value if fitting is None else fitting
        return value

    @cached_property
    def choices(self) -> Options:
        """What reads its values, if it is one of several choices."""
        return Options(self.options)

    def _chosen(self, value: Value) -> Converted:
        kept, unknown = self.choices.read(value)
        if not unknown:
            return Converted(kept or None)
        if all(len(one) > LONGEST_OPTION for one in unknown):
            remark = f"{LEFT_OUT}: an option of {self.name} at Brevo has at most {LONGEST_OPTION} characters"
            return Converted(kept or None, remark)
        remark = f"{LEFT_OUT} where it is none of the options of {self.name} at Brevo: add them there, or run"
        return Converted(kept or None, f"{remark} crm-pipelines provision {self.destination}")

    @cached_property
    def _by_spelling(self) -> dict[str, int | str]:
        """Labels and numbers whatever their case, with what is sent for them. A label wins over a number."""
        numbers = {str(number): number for number in self.numbers.values()}
        return {spelling(text): sent for text, sent in [*numbers.items(), *self.numbers.items()]}

    def _misfit(self, wanted: str, why: str = "") -> str:
        return f"{LEFT_OUT}: {self.name} at Brevo takes {wanted}{why}, so correct the value or the attribute"


class BrevoAttributes(attributes.AccountAttributes[BrevoAttribute]):
    """All attributes of one account; `rows` as `described` gives them."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], destination: str = BrevoSettings.kind) -> None:
        known = [_known(row, destination) for row in rows]
        super().__init__(known, rows, rules=_RULES, label=BrevoSettings.label, destination=destination)


def described(body: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What of an answer of GET /contacts/attributes is worth keeping, by name; None when it lists none at all."""
    listed = body.get("attributes")
    if not isinstance(listed, list):
        return None
    rows = {
        row["name"]: _described(row) for row in listed if isinstance(row, dict) and isinstance(row.get("name"), str)
    }
    return [rows[name] for name in sorted(rows)]


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    category = str(row.get("category") or "normal")
    found: dict[str, Any] = {"name": row["name"], "category": category, "type": str(row.get("type") or category)}
    if isinstance(row.get("enumeration"), list):
        found["enumeration"] = [
            {"value": _number(one), "label": str(one.get("label") or "").strip()}
            for one in row["enumeration"]
            if isinstance(one, dict)
        ]
    if isinstance(row.get("multiCategoryOptions"), list):
        found["options"] = [str(one) for one in row["multiCategoryOptions"]]
    return found


def _number(row: Mapping[str, Any]) -> int | str:
    """Of one label. `value` is 0 for one that is no number; then `valueStr` has it."""
    value, text = row.get("value"), row.get("valueStr")
    if isinstance(value, int) and (not isinstance(text, str) or text in {"", str(value)}):
        return value
    return str(text if isinstance(text, str) else value)


def _known(row: Mapping[str, Any], destination: str) -> BrevoAttribute:
    return BrevoAttribute(
        name=row["name"],
        category=row["category"],
        type=row["type"],
        numbers={one["label"]: one["value"] for one in row.get("enumeration", ())},
        options=tuple(row.get("options", ())),
        destination=destination,
    )


def _as_type(value: Value, kind: str) -> Value | None:
    if isinstance(value, list):
        raise ValueError("not a single value")
    match kind:
        case "text" | "user":
            return as_text(value)
        case "float":
            return normalize.number(value)
        case "boolean":
            return normalize.boolean(value)
        case "date":
            return normalize.iso_date(value)
    raise ValueError("nothing is known of that type")
