"""Exports of address books, CRMs and newsletters are understood in several languages, and nothing is left untold."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.files import ImportRefused
from crm_pipelines.files.cleaning import to_record
from crm_pipelines.files.columns import Columns, match_columns
from crm_pipelines.files.headers import _RANKS, field_of, key_of
from crm_pipelines.files.tables import Row

ADA = {"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "phone_number": "+33612345678"}
EXPORTS = {
    "Google, old": (
        (
            "Name,Given Name,Additional Name,Family Name,Nickname,Group Membership,E-mail 1 - Type,E-mail 1 - Value,"
            "E-mail 2 - Type,E-mail 2 - Value,Phone 1 - Type,Phone 1 - Value,Organization 1 - Name"
        ),
        (
            "Ada Lovelace,Ada,,Lovelace,,* myContacts,* ,ada@example.com ::: ada@example.net,Work,"
            "ada@example.org,Mobile,"
            "+33612345678 ::: +33142685300,Analytical Engines"
        ),
    ),
    "Google, new": (
        (
            "First Name,Middle Name,Last Name,Nickname,File As,Organization Name,Labels,E-mail 1 - Label,"
            "E-mail 1 - Value,"
            "Phone 1 - Label,Phone 1 - Value"
        ),
        "Ada,,Lovelace,,,Analytical Engines,* myContacts,,ada@example.com,Mobile,+33612345678",
    ),
    "Outlook": (
        (
            "First Name,Middle Name,Last Name,Company,Business Phone,Home Phone,Mobile Phone,E-mail Address,"
            "E-mail Type,"
            "E-mail 2 Address,E-mail Display Name"
        ),
        "Ada,,Lovelace,Engines,+33142685300,,+33612345678,ada@example.com,SMTP,ada@example.org,Ada",
    ),
    "Outlook, German": (
        (
            "Anrede,Vorname,Weitere Vornamen,Nachname,Firma,Telefon geschäftlich,Telefon privat,Mobiltelefon,"
            "E-Mail-Adresse,"
            "E-Mail 2: Adresse"
        ),
        "Frau,Ada,,Lovelace,Engines,+33142685300,,+33612345678,ada@example.com,ada@example.org",
    ),
    "Outlook, French": (
        (
            "Prénom,Nom,Société,Téléphone (bureau),Téléphone (domicile),Tél. mobile,Adresse de messagerie,"
            "Adresse de messagerie 2"
        ),
        "Ada,Lovelace,Engines,+33142685300,,+33612345678,ada@example.com,ada@example.org",
    ),
    "Outlook, Spanish": (
        "Nombre,Apellidos,Organización,Teléfono del trabajo,Teléfono móvil,Dirección de correo electrónico",
        "Ada,Lovelace,Engines,+33142685300,+33612345678,ada@example.com",
    ),
    "Outlook, Italian": (
        "Nome,Cognome,Società,Telefono ufficio,Cellulare,Indirizzo posta elettronica",
        "Ada,Lovelace,Engines,+33142685300,+33612345678,ada@example.com",
    ),
    "Portuguese": (
        "Nome,Apelido,Telemóvel,Endereço de correio eletrónico",
        "Ada,Lovelace,+33612345678,ada@example.com",
    ),
    "Dutch": ("Voornaam,Achternaam,Mobiel,E-mailadres", "Ada,Lovelace,+33612345678,ada@example.com"),
    "Polish": ("Imię,Nazwisko,Telefon komórkowy,Adres e-mail", "Ada,Lovelace,+33612345678,ada@example.com"),
    "Thunderbird": (
        "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Work Phone,Home Phone,Mobile Number",
        "Ada,Lovelace,Ada Lovelace,,ada@example.com,ada@example.org,+33142685300,,+33612345678",
    ),
    "from a vCard": (
        "FN,Given Name,Family Name,EMAIL;TYPE=INTERNET,TEL;TYPE=CELL,TEL;TYPE=WORK",
        "Ada Lovelace,Ada,Lovelace,ada@example.com,+33612345678,+33142685300",
    ),
    "LinkedIn": (
        "First Name,Last Name,URL,Email Address,Company,Position,Connected On,Phone",
        "Ada,Lovelace,,ada@example.com,Engines,Countess,01 Jan 2026,+33612345678",
    ),
    "Mailchimp": (
        "Email Address,First Name,Last Name,Phone Number,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,LEID,EUID,TAGS",
        "ada@example.com,Ada,Lovelace,+33612345678,2,2026-01-01 00:00:00,,1,abc,",
    ),
    "HubSpot": (
        "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Contact owner,Lead Status,Create Date",
        "1,Ada,Lovelace,ada@example.com,+33142685300,+33612345678,,Open,2026-01-01",
    ),
    "Brevo": (
        "CONTACT ID,EMAIL,FIRSTNAME,LASTNAME,SMS,EXT_ID,ADDED_TIME,MODIFIED_TIME",
        "1,ada@example.com,Ada,Lovelace,+33612345678,x,2026-01-01,2026-01-01",
    ),
    "Brevo, French": ("EMAIL,PRENOM,NOM,SMS", "ada@example.com,Ada,Lovelace,+33612345678"),
    "Xing": (
        "Vorname,Nachname,Titel,Firma,E-Mail (geschäftlich),Telefon (geschäftlich),Handy (geschäftlich)",
        "Ada,Lovelace,,Engines,ada@example.com,+33142685300,+33612345678",
    ),
    "Brevo, German": ("EMAIL,VORNAME,NACHNAME,SMS", "ada@example.com,Ada,Lovelace,+33612345678"),
    "Shopify": (
        (
            "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,"
            "Default Address Phone,"
            "Phone,Total Spent,Tags"
        ),
        "'1,Ada,Lovelace,ada@example.com,yes,Engines,+33142685300,+33612345678,0.00,",
    ),
    "WooCommerce": (
        "billing_first_name,billing_last_name,billing_email,billing_phone",
        "Ada,Lovelace,ada@example.com,+33612345678",
    ),
    "Salesforce": (
        "Salutation,First Name,Last Name,Title,Account Name,Phone,Mobile,Email",
        "Ms.,Ada,Lovelace,Countess,Engines,+33142685300,+33612345678,ada@example.com",
    ),
    "by hand, German": (
        "Vorname,Name,E-Mail*,Handy-Nr.,Tel. geschäftlich",
        "Ada,Lovelace,ada@example.com,+33612345678,+33142685300",
    ),
    "by hand, English": ("Name,Surname,Mail,Cell", "Ada,Lovelace,ada@example.com,+33612345678"),
    "by hand, the whole name beside the last": (
        "Full name,Last name,Email,Phone",
        "Dr. Ada Lovelace,Lovelace,ada@example.com,+33612345678",
    ),
    "by hand, the whole name turned round beside the first": (
        "Name,First name,Email,Phone",
        "Lovelace;Ada,Ada,ada@example.com,+33612345678",
    ),
    "by hand, the whole name beside the first": (
        "Vorname,Name,Email (required),TELEFON",
        "Ada,Ada Lovelace,ada@example.com,+33612345678",
    ),
}


@pytest.mark.parametrize("program", EXPORTS)
def test_an_export_is_understood(program: str) -> None:
    header, row = (line.split(",") for line in EXPORTS[program])
    values = to_record(Row(2, [cell.replace(";", ", ") for cell in row]), match_columns(header, "x.csv")).values
    assert {field: values.get(field) for field in ADA} == ADA


@pytest.mark.parametrize("program", EXPORTS)
def test_every_column_has_a_meaning_that_is_told(program: str) -> None:
    header = EXPORTS[program][0].split(",")
    columns = match_columns(header, "x.csv")
    assert [title for place, title in enumerate(columns.header) if columns.meaning(place)] == header


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Full name", "name"),
        ("Kontakt", "name"),
        ("Nom complet", "name"),
        ("Nom", "name"),
        ("Nombre", "name"),
        ("Nome e cognome", "name"),
        ("Name", "name"),
    ],
)
def test_a_lone_column_for_the_name_is_the_whole_name(header: str, field: str) -> None:
    assert match_columns(["email", header], "x.csv").fields[1] == field


def test_nombre_is_a_number_beside_nom() -> None:
    columns = columns_of("Email", "Nombre", "Prénom", "Nom")
    assert columns.fields == {0: "email", 2: "first_name", 3: "last_name"}
    assert columns.custom == {1: "Nombre"}


@pytest.mark.parametrize(
    "header",
    ["Primary Phone", "Haupttelefon", "Téléphone principal", "Número de teléfono principal", "Numero tel. principale"],
)
def test_the_primary_phone_of_outlook_is_a_phone_number(header: str) -> None:
    assert match_columns(["email", header], "x.csv").fields[1] == "phone_number"


def columns_of(*header: str) -> Columns:
    return match_columns(list(header), "x.csv")


def test_of_several_phones_mobile_comes_first_and_the_next_one_stands_in_for_a_blank() -> None:
    columns = columns_of("email", "Home Phone", "Phone", "Business Phone", "Mobile")
    assert to_record(Row(2, ["a@example.com", "+1", "+2", "+3", "+4"]), columns).values["phone_number"] == "+4"
    assert to_record(Row(2, ["a@example.com", "+1", "+2", "+3", ""]), columns).values["phone_number"] == "+2"
    assert to_record(Row(2, ["a@example.com", "+1", "", "+3", ""]), columns).values["phone_number"] == "+3"
    record = to_record(Row(2, ["a@example.com", "+1", "", "", ""]), columns)
    assert record.values["phone_number"] == "+1"
    assert record.custom_fields == {"Home Phone": "+1"}
    assert columns.notes == (
        (
            "phone_number is taken from 'Mobile', not from 'Phone' and 'Business Phone' and 'Home Phone'; "
            "where that is "
            "blank, the next of them stands in."
        ),
    )


def test_of_several_addresses_the_primary_one_is_taken_and_the_others_stay() -> None:
    columns = columns_of("Secondary Email", "Work Email", "Primary Email", "E-mail 2 - Value")
    record = to_record(Row(2, ["c@example.com", "b@example.com", "a@example.com", "d@example.com"]), columns)
    assert record.values["email"] == "a@example.com"
    assert set(record.custom_fields) == {"Secondary Email", "Work Email", "E-mail 2 - Value"}
    assert to_record(Row(2, ["c@example.com", "b@example.com", "", "d@example.com"]), columns).values["email"] == (
        "b@example.com"
    )


def test_a_header_that_is_there_twice_gets_a_number_and_is_told() -> None:
    columns = columns_of("email", "Tier", "Tier", "Tier (2)", "Tier")
    assert columns.custom == {1: "Tier", 2: "Tier (3)", 3: "Tier (2)", 4: "Tier (4)"}
    assert len(columns.notes) == 2
    assert "'Tier'" in columns.notes[0]


@pytest.mark.parametrize(
    ("header", "out", "fine"),
    [
        ("EMAIL_BLACKLIST", ["true", "1", "Yes"], ["false", "0", "", "No"]),
        ("Unsubscribed from all email", ["true"], ["false"]),
        ("Email Opt Out", ["1", "x"], ["0", "nein"]),
        ("UNSUB_TIME", ["2026-01-01 12:00:00"], [""]),
        ("Abgemeldet", ["ja", "5.4.2025"], ["nein"]),
        ("Status", ["unsubscribed", "Cleaned", "Opted-out"], ["Customer", "subscribed", "Lead"]),
        ("Accepts Email Marketing", ["no", "não", "0.0"], ["yes", "", "1.0"]),
        ("Email Marketing Consent", ["UNSUBSCRIBED", "NEVER_SUBSCRIBED", "no"], ["SUBSCRIBED", "yes", ""]),
        ("Subscribed", ["no", "false"], ["yes", "2026-01-01", ""]),
        ("Unsubscribed Time", ["2026-01-01 12:00:00"], [""]),
        ("Unsubscribed Date", ["2026-01-01"], [""]),
    ],
)
def test_who_has_opted_out_elsewhere_is_noticed_and_the_column_stays(
    header: str, out: list[str], fine: list[str]
) -> None:
    columns = columns_of("email", header)
    for value in out:
        record = to_record(Row(2, ["a@example.com", value]), columns)
        assert record.opted_out
        assert record.remarks == (f"{header}: has opted out, so not queued by this import",)
        assert record.custom_fields == {header: value}
    for value in fine:
        assert not to_record(Row(2, ["a@example.com", value]), columns).opted_out
    assert bool(columns.notes) == (header != "Status")


@pytest.mark.parametrize("header", ["custom_fields.EMAIL_BLACKLIST", "custom_fields/EMAIL_BLACKLIST"])
def test_who_has_opted_out_is_noticed_in_an_export_of_ours(header: str) -> None:
    assert to_record(Row(2, ["a@example.com", "Yes"]), columns_of("email", header)).opted_out
    assert not to_record(Row(2, ["a@example.com", "No"]), columns_of("email", header)).opted_out
    columns = columns_of("email", "custom_fields")
    for value in ('"Yes"', "true", "1"):
        record = to_record(Row(2, ["a@example.com", f'{{"EMAIL_BLACKLIST": {value}}}']), columns)
        assert record.opted_out
        assert record.remarks == ("EMAIL_BLACKLIST: has opted out, so not queued by this import",)
    for value in ('"No"', "false", "0", '""', "null"):
        assert not to_record(Row(2, ["a@example.com", f'{{"EMAIL_BLACKLIST": {value}}}']), columns).opted_out


def test_a_cell_of_google_with_several_values_is_told() -> None:
    columns = columns_of("E-mail 1 - Value", "Phone 1 - Value")
    record = to_record(Row(2, ["a@example.com ::: b@example.com", "+1 ::: +2"]), columns)
    assert (record.values["email"], record.values["phone_number"]) == ("a@example.com", "+1")
    assert record.remarks == (
        "email: it holds several, of which the first is taken",
        "phone_number: it holds several, of which the first is taken",
    )


@pytest.mark.parametrize("word", ["yes", "no", True])
def test_yes_or_no_beside_a_phone_number_is_none(word: object) -> None:
    columns = columns_of("email", "Phone", "SMS")
    assert to_record(Row(2, ["a@example.com", "+4930123456", word]), columns).values["phone_number"] == "+4930123456"
    assert to_record(Row(2, ["a@example.com", "", "no"]), columns).values["phone_number"] == "no"


def test_words_that_others_use_too_are_bookkeeping_only_beside_ours() -> None:
    assert columns_of("email", "crm", "error", "revision", "Contact ID").custom.keys() == {1, 2, 3, 4}
    ours = columns_of("email", "crm", "sync_status", "processing_status", "error", "EXT_ID", "Contact ID")
    assert ours.custom == {}


_TITLES = st.sampled_from([title for header, _ in EXPORTS.values() for title in header.split(",")])


@given(st.lists(_TITLES | st.text(max_size=8), max_size=12))
def test_whatever_the_header_each_column_has_one_meaning(header: list[str]) -> None:
    try:
        columns = match_columns(header, "x.csv")
    except ImportRefused:
        return
    places = [*columns.fields, *columns.custom]
    assert len(set(places)) == len(places)
    assert len(set(columns.fields.values())) == len(columns.fields)
    assert len(set(columns.custom.values())) == len(columns.custom)
    assert len(places) + len(columns.ignored) == sum(bool(title) for title in header)
    assert all(columns.meaning(place) for place in range(columns.width))


@given(_TITLES, st.data())
def test_case_accents_and_marks_make_no_difference(title: str, data: st.DataObject) -> None:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    spelt = data.draw(st.sampled_from([title, title.upper(), title.lower(), plain, f"{title}*", f"{title} (required)"]))
    spelt = spelt.replace(" ", data.draw(st.sampled_from([" ", "_", "-", ". "])))
    assert field_of(key_of(spelt)) == field_of(key_of(title))


def test_the_known_headers_are_keys() -> None:
    assert [key for key in _RANKS if key_of(key) != key] == []


def test_custom_fields_that_were_taken_apart_keep_their_names() -> None:
    assert columns_of("email", "custom_fields.Tier", "custom_fields/note").custom == {1: "Tier", 2: "note"}


def test_umlauts_may_be_written_out() -> None:
    assert field_of(key_of("Telefon geschaeftlich")) == field_of(key_of("Telefon geschäftlich"))
