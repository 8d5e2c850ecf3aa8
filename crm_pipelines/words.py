"""Words that mean yes and no, for files and for values on their way to a CRM. Pure."""

import unicodedata

_YES = {
    "true", "t", "yes", "y", "1", "1.0", "on", "x", "✓", "✔", "☑", "✅", "checked", "ja", "j", "wahr", "oui", "vrai",
    "si", "sì", "sí", "s", "vero", "verdadero", "sim", "verdadeiro", "tak",
}  # fmt: skip
_NO = {
    "false", "f", "no", "n", "0", "0.0", "off", "☐", "unchecked", "nein", "falsch", "non", "faux", "falso", "não",
    "nao", "nie",
}  # fmt: skip


def yes_or_no(text: str) -> bool | None:
    """In any case and with blank edges; None: neither."""
    word = unicodedata.normalize("NFC", text).replace("\ufe0f", "").strip().casefold()
    return True if word in _YES else False if word in _NO else None
