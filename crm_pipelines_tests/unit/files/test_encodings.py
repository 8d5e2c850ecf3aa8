"""The encoding of a file is told for certain, or its user is asked: never wrong without a word."""

import io
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.files import ImportRefused, ReadingOptions
from crm_pipelines.files.csv_files import read_csv
from crm_pipelines.files.encodings import guess, words_of
from crm_pipelines.files.tables import Table

TEXT = "email;name\nasa@example.com;Åsa Öberg\n"


def table_of(data: bytes, encoding: str | None = None) -> Table:
    return read_csv(io.BytesIO(data), "contacts.csv", ReadingOptions(encoding=encoding))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1252", "cp850"],
)
def test_the_encoding_is_told_from_the_file(encoding: str) -> None:
    table = table_of(TEXT.encode(encoding))
    assert table.header == ["email", "name"]
    assert [row.cells for row in table.rows] == [["asa@example.com", "Åsa Öberg"]]


def test_a_given_encoding_wins() -> None:
    assert next(table_of("email\nжук@example.com\n".encode("koi8-r"), "koi8-r").rows).cells == ["жук@example.com"]
    assert table_of(b"\xef\xbb\xbfemail\na@example.com\n", "UTF8").header == ["email"]
    for name in ["koi9", "base64", "rot13"]:
        with pytest.raises(ImportRefused, match=f"no encoding named '{name}'"):
            table_of(b"email\n", name)


@pytest.mark.parametrize("bad", [b"Ren\xe9e;x", b"Ren\xc3", b"\xff\xfe", b"M\x81ller"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_line_that_is_not_utf_8_is_the_only_one_that_is_not_taken(bad: bytes, mark: bytes) -> None:
    good = "".join(f"a{number}@example.com;Hélène {number};\n" for number in range(300))
    data = (
        mark
        + b"email;name;note\n"
        + good.encode()
        + b"bad@example.com;"
        + bad
        + b"\n"
        + "z@example.com;Zoë;\n".encode()
    )
    rows = list(table_of(data).rows)
    assert [row.line for row in rows if row.problem] == [302]
    assert rows[300].problem == "it holds bytes that are not UTF-8; here they are read as cp1252"
    assert rows[300].cells[0] == "bad@example.com"
    assert all(str(cell).encode("utf-8") is not None for row in rows for cell in row.cells), "it can be written"
    assert {str(row.cells[1])[:6] for row in rows[:300]} == {"Hélène"}
    assert rows[301].cells[1] == "Zoë"


def test_a_line_that_is_not_in_a_given_encoding_is_the_only_one_that_is_not_taken() -> None:
    rows = list(table_of(b"email;name\na@example.com;A\x81\nb@example.com;\xc9va\n", "cp1252").rows)
    assert [row.problem is None for row in rows] == [False, True]
    assert rows[1].cells[1] == "Éva"


def test_a_header_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ImportRefused, match=r"header of contacts\.csv holds bytes that are not utf-8"):
        table_of("email;Pr\xe9nom\n".encode("latin-1") + "a@example.com;Hélène\nb@example.com;Zoë\n".encode())


def test_letters_that_tell_nothing_are_shown_in_each_reading_and_nothing_is_taken() -> None:
    with pytest.raises(ImportRefused) as refused:
        table_of("email;name\nkucera@example.com;Kučera\n".encode("cp1250"))
    sentence = str(refused.value)
    assert "è (cp1252)" in sentence
    assert "č (cp1250)" in sentence
    assert "--encoding" in sentence
    assert "Ku" not in sentence, "it names nobody"


def test_what_is_no_language_known_is_not_guessed() -> None:
    with pytest.raises(ImportRefused, match="do not tell its encoding"):
        table_of("email;name\na@example.com;山田太郎\nb@example.com;鈴木花子 東京都\n".encode("cp932"))


@pytest.mark.parametrize("spoiled", ["HÃ©lÃ¨ne", "MÃ¼ller", "Å\u0081ukasz KowaÅ‚ski", "Itâ€™s", "NoÃ«l"])
def test_letters_that_were_spoiled_before_are_told_and_left(spoiled: str) -> None:
    table = table_of(f"email;name\na@example.com;{spoiled}\nb@example.com;Zoë\nc@example.com;?\ufffd\n".encode())
    assert next(table.rows).cells[1] == spoiled
    list(table.rows)
    spoiled_before, lost = table.notes
    assert spoiled_before.startswith("1 line holds letters that were spoiled before")
    assert lost.startswith("1 line holds the mark \ufffd")


def test_letters_that_a_wrong_encoding_spoils_are_told_with_the_way_out() -> None:
    table = table_of("email;name\na@example.com;Müller\n".encode(), encoding="cp1252")
    list(table.rows)
    [note] = table.notes
    assert note.startswith("1 line holds letters that were spoiled (such")
    assert note.endswith("The file is not in cp1252, it seems: import it again without --encoding.")


def test_an_encoding_that_reads_nothing_of_the_file_is_refused_with_the_way_out() -> None:
    with pytest.raises(ImportRefused, match=r"^contacts\.csv is not in utf-16: leave out --encoding, or name another"):
        table_of(b"email;name\na@example.com;A\n", encoding="utf-16")


def test_right_letters_are_not_taken_for_spoiled_ones() -> None:
    names = " ".join(name for names in NAMES.values() for name in names.split())
    table = table_of(f"email;name\na@example.com;{names} {names.upper()}\n".encode())
    list(table.rows)
    assert table.notes == []


# Names and towns; none of them is in the list by which letters are known.
NAMES = {
    "German": "Jörn Käfer Schürmann Grüß Lösch Bühler Mühlheim Döring Täuber Öhler Nößler Höfer Gräfe Fürth Bröcker",
    "French": "Océane Timothée Héloïse Gaétan Maël Irène Clémence Édouard Solène Rémi Carré Épinal Fréjus Adélaïde",
    "Spanish": "Áñez Ordoñez Quiñones Efraín Iván Fabián Joaquín Agustín Valdés Alcalá Gijón Yáñez Ríos Saldaña",
    "Italian": "Mercè Calò Lotà Cannavò Bò Morè Salò Patanè Giosuè Tafurà Muggiò Almè Rhò",
    "Portuguese": "Estevão Cristóvão Gonçalo Açucena Tomé Beltrão Leça Fundão Olhão Jordão Aragão Teresópolis",
    "Polish": "Przemysław Jarosław Kądziela Wąsik Łęcki Świątek Żmuda Gałązka Olsztyński Płock Słupsk Mikołaj Gręda",
    "Czech": "Ludvík Řehoř Jaroš Třeštík Bohuš Koubková Janáček Šebesta Žáček Čapek Zdeňka Kubíček Bedřich Čáslav",
    "Hungarian": "Gergő Ödön Ákos Lőrincz Szőnyi Kőrösi Gyöngyös Bükkösi Hűvös Mátyás Kálmán Gáspár Szűts",
    "Swedish": "Göte Mårtensson Käll Höglund Östlund Ängby Häger Tärnby Blåberg Köping Åre Frölunda Örnsköldsvik",
    "Danish, Norwegian": "Bjørnar Sølvi Ågot Mærsk Østby Grønkjær Vadsø Førde Kærlund Tårnby Ølstykke Brønnøysund",
    "Turkish": "Özgür Gökçe Kılıçdar Şentürk Çalışkan Başaran Yağız Güçlü Akkuş Uçar Kırlı Sarıoğlu Göçmen Şule",
    "Romanian": "Andreiţă Şerbu Ţurcanu Pătraş Văcărescu Bîrlad Dragoş Moţoc Mureşan Văleanu Haţeg Făgăraş Sălaj",
    "Croatian": "Dražen Ružić Čolić Đakovo Šegota Krpić Žarko Ćosić Vrančić Rašić Jakšić Čavlović Gašper",
}
WEST = ["cp1252", "iso8859_15", "cp850", "cp437", "mac_roman"]
EAST = ["cp1250", "iso8859_2", "cp852", "mac_latin2"]
PAGES = {
    **dict.fromkeys(["German", "French", "Spanish", "Italian", "Portuguese", "Swedish", "Danish, Norwegian"], WEST),
    **dict.fromkeys(["Polish", "Czech", "Hungarian", "Croatian"], EAST),
    "Turkish": ["cp1254", "cp857", "mac_turkish"],
    "Romanian": ["cp1250", "cp852"],
}


def _encodable(name: str, page: str) -> bool:
    try:
        name.encode(page)
        name.upper().encode(page)
    except UnicodeError:
        return False
    return True


def _letters(name: str) -> int:
    return sum(not letter.isascii() for letter in name)


def _judged(letters: int, files: int) -> Counter[str]:
    """What is made of files with at least so many letters beyond ASCII, in every language and code page."""
    chance = random.Random(letters)
    fates: Counter[str] = Counter()
    for language, pages in PAGES.items():
        for page in pages:
            names = [name for name in NAMES[language].split() if _encodable(name, page)]
            for _ in range(files if len(names) > 2 else 0):  # cp437 has hardly a letter of some
                chosen: list[str] = []
                while sum(map(_letters, chosen)) < letters:
                    name = chance.choice(names)
                    chosen.append(name.upper() if chance.random() < 0.2 else name)
                text = "".join(f"{number}@example.com;{name}\r\n" for number, name in enumerate(chosen))
                found = guess(words_of(text.encode(page).splitlines()))
                right = text.encode(page).decode(found.candidates[0][0], "replace") == text
                fates["asked" if not found.certain else "right" if right else f"WRONG {language} {page} {chosen}"] += 1
    return fates


@pytest.mark.parametrize(("letters", "files", "told"), [(1, 4, 0.15), (3, 3, 0.75), (10, 3, 0.9), (100, 1, 0.99)])
def test_no_code_page_is_taken_for_another_and_most_are_told(letters: int, files: int, told: float) -> None:
    fates = _judged(letters, files)
    assert set(fates) <= {"right", "asked"}
    assert fates["right"] / fates.total() >= told


@pytest.mark.parametrize(
    "page",
    ["cp932", "euc_jp", "gb18030", "big5", "euc_kr", "johab"],
)
def test_other_scripts_are_never_taken_for_ours(page: str) -> None:
    words = {
        "cp932": "山田太郎 鈴木花子 東京都 カタカナ ひらがな",
        "euc_jp": "山田太郎 鈴木花子 東京都 カタカナ ひらがな",
        "gb18030": "王伟 李娜 张敏 北京市 上海市 刘洋",
        "big5": "王偉 李娜 張敏 臺北市 高雄市",
    }.get(page, "김철수 이영희 서울특별시 부산광역시")
    assert not guess(words_of([words.encode(page)])).certain


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused_in_a_sentence(data: bytes) -> None:
    try:
        rows = list(table_of(b"email,name\n" + data).rows)
    except ImportRefused:
        return
    for row in rows:
        text = "".join(str(cell) for cell in row.cells)
        assert text.encode().decode() == text, "no byte is left that is no character"
