"""Words that mean yes and no, for files and for values on their way to a CRM. Pure."""

import unicodedata

# Languages in this order: en, de, fr, es, it, pt, nl, the north, pl, cs, sk, hu, ro, the south, el, fi, et, the Baltic,
# tr, ru, uk, bg. A word of several stands once.
_YES = {
    "1", "1.0", "x", "on", "✓", "✔", "☑", "✅", "true", "t", "yes", "y", "checked",
    "ja", "j", "wahr", "oui", "vrai", "si", "sì", "sí", "s", "vero", "verdadero", "verdader", "sim", "verdadeiro",
    "waar", "sand", "sandt", "sant", "tosi", "tak", "prawda", "ano", "áno", "pravda", "igen", "igaz", "da",
    "adevărat", "adevarat", "istina", "točno", "tocno", "ναι", "kyllä", "kylla", "jah", "jā", "jaa", "taip", "tiesa",
    "evet", "doğru", "да", "так", "истина", "істина",
}  # fmt: skip
_NO = {
    "0", "0.0", "off", "☐", "unchecked", "false", "f", "no", "n",
    "nein", "falsch", "non", "faux", "falso", "fals", "não", "nao", "nee", "onwaar", "nej", "nei", "falsk", "falskt",
    "nie", "fałsz", "falsz", "ne", "nepravda", "nem", "hamis", "nu", "netočno", "netocno", "όχι", "οχι", "ei", "nē",
    "neē", "hayır", "hayir", "yanlış", "yanlis", "нет", "не", "ні", "ложь",
}  # fmt: skip


def yes_or_no(text: str) -> bool | None:
    """In any case and with blank edges; None: neither."""
    word = unicodedata.normalize("NFC", text).replace("\ufe0f", "").strip().casefold()
    return True if word in _YES else False if word in _NO else None
