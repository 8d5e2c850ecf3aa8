"""A name is taken apart by its rule, and nothing but titles is lost."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm_pipelines import names
from crm_pipelines.names import _is_more_of_title, _is_title


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ada", "Ada", None),
        ("Ada King Lovelace", "Ada", "King Lovelace"),
        ("Rembrandt van Rijn", "Rembrandt", "van Rijn"),
        ("Maria de la Cruz", "Maria", "de la Cruz"),
        ("von der Leyen", None, "von der Leyen"),
        ("van morrison", "van", "morrison"),
        ("Van Morrison", "Van", "Morrison"),
        # "Last, First"
        ("Lovelace, Ada", "Ada", "Lovelace"),
        ("Lovelace,Ada", "Ada", "Lovelace"),
        ("LOVELACE, Ada King", "Ada King", "LOVELACE"),
        ("van der Berg, Mary Ann", "Mary Ann", "van der Berg"),
        ("Goethe, Johann Wolfgang von", "Johann Wolfgang", "von Goethe"),
        ("Ortega y Gasset, José", "José", "Ortega y Gasset"),
        ("Lovelace, Dr. Ada", "Ada", "Lovelace"),
        ("Lovelace, Ada, PhD", "Ada", "Lovelace, PhD"),
        ("Smith, John Jr.", "John", "Smith Jr."),
        ("Smith, Mary and John", "Smith", "Mary and John"),
        ("Li, Ma", "Ma", "Li"),
        ("LI, MA", "MA", "LI"),
        ("Lovelace,", "Lovelace", None),
        (", Ada", "Ada", None),
        (",", None, None),
        # suffixes
        ("John Smith, Jr.", "John", "Smith, Jr."),
        ("Smith, Jr.", None, "Smith, Jr."),
        ("Müller, M.D.", None, "Müller, M.D."),
        ("Müller, jun.", None, "Müller, jun."),
        ("Hans Müller, Jun", "Hans", "Müller, Jun"),
        ("Kim, Jun", "Jun", "Kim"),
        ("KIM, JUN", "JUN", "KIM"),
        ("King, PhD", None, "King, PhD"),
        ("Martin Luther King, Jr., PhD", "Martin", "Luther King, Jr., PhD"),
        ("Müller, Dr.", None, "Müller"),
        ("John Smith Jr.", "John", "Smith Jr."),
        # companies, several people, lists
        ("Acme Widgets GmbH", "Acme", "Widgets GmbH"),
        ("Acme, Inc.", "Acme", "Inc."),
        ("Acme, GmbH & Co. KG", "Acme", "GmbH & Co. KG"),
        ("Dr. Oetker GmbH", None, "Dr. Oetker GmbH"),
        ("Anna, Ben und Carl", "Anna", "Ben und Carl"),
        ("Dr. Anna, Ben und Carl", "Anna", "Ben und Carl"),
        ("Red, green, blue", "Red", "green, blue"),
        # titles
        ("Dr. Ada Lovelace", "Ada", "Lovelace"),
        ("Prof. Dr. Ada Lovelace", "Ada", "Lovelace"),
        ("Prof.Dr. Ada Lovelace", "Ada", "Lovelace"),
        ("Herr Dr.-Ing. Max Mustermann", "Max", "Mustermann"),
        ("Dipl.-Ing. (FH) Max Muster", "Max", "Muster"),
        ("Dr. med. dent. Anna Weiß", "Anna", "Weiß"),
        ("Dr. rer. nat. h.c. Anna Weiß", "Anna", "Weiß"),
        ("Mag. Anna Weiß", "Anna", "Weiß"),
        ("Dott.ssa Anna Bianchi", "Anna", "Bianchi"),
        ("Sig.ra Bianchi", None, "Bianchi"),
        ("Sig. Bianchi", None, "Bianchi"),
        ("Prof. em. Dr. Klaus Meier", "Klaus", "Meier"),
        ("Sra. García López", "García", "López"),
        ("M. Dupont", None, "Dupont"),
        ("Mme de La Fayette", None, "de La Fayette"),
        ("Mlle Jeanne Dupont", "Jeanne", "Dupont"),
        ("Mr Smith", None, "Smith"),
        ("MRS. SMITH", None, "SMITH"),
        ("Frau Müller", None, "Müller"),
        ("Frau von der Leyen", None, "von der Leyen"),
        ("Herr und Frau Müller", None, "Müller"),
        ("Mr. & Mrs. John Smith", "John", "Smith"),
        ("Frau Müller, Anna", "Anna", "Müller"),
        ("Dr.", None, None),
        ("Frau", None, None),
        # words that look like titles
        ("Sig Hansen", "Sig", "Hansen"),
        ("M Night Shyamalan", "M", "Night Shyamalan"),
        ("Mag Ruffman", "Mag", "Ruffman"),
        ("Ing Chang", "Ing", "Chang"),
        ("Ing-Marie Larsson", "Ing-Marie", "Larsson"),
        ("Dr. Phil McGraw", "Phil", "McGraw"),
        ("Dr. H. Müller", "H.", "Müller"),
        ("J. R. R. Tolkien", "J.", "R. R. Tolkien"),
    ],
)
def test_a_name_is_taken_apart_by_the_rule(name: str, first: str | None, last: str | None) -> None:
    assert names.parts(name.split()) == (first, last)


_WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "Ada LOVELACE von de la y und & Dr. Prof. Herr Frau Dipl.-Ing. med. h.c. M. Jr. PhD III M.D. GmbH Inc. AG , "
        ",, Ada, Müller, Dr., und, (FH) Ortega e",
    )
)


@given(st.lists(_WORDS | st.text("aB.,-'ßé", min_size=1, max_size=5), max_size=8))
@example(["Dr.,", "Ada"])
@example(["Herr", "und", "Frau"])
def test_no_word_is_lost_but_titles_and_none_is_changed(words: list[str]) -> None:
    first, last = names.parts(words)
    for part in (first, last):
        assert part is None or (part.strip() == part and part)
    assert first is None or not (first.endswith(",") or _is_title(first))

    def letters(text: str) -> Counter[str]:
        return Counter(text.replace(",", " ").split())

    lost = letters(" ".join(words)) - letters(f"{first or ''} {last or ''}")
    assert not letters(f"{first or ''} {last or ''}") - letters(" ".join(words))
    assert all(_is_title(word) or _is_more_of_title(word) or word in {"und", "y", "e", "&"} for word in lost)
    assert not lost or any(_is_title(word) for word in lost)


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_whole_name_is_both_parts(first: str, last: str) -> None:
    whole = names.joined(first, last)
    assert (whole or "").split() == [*first.split(), *last.split()]
