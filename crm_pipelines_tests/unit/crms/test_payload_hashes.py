"""Hashes of payloads are kept with the contacts of every user: one that changes makes the contact be sent again."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.hubspot.mapper import HubspotMapper
from crm_pipelines.crms.hubspot.mapping import load_mapping as load_hubspot_mapping
from crm_pipelines.crms.mautic.mapper import MauticMapper
from crm_pipelines.crms.mautic.mapping import load_mapping as load_mautic_mapping
from crm_pipelines.crms.n8n.mapper import N8nMapper
from crm_pipelines.crms.n8n.mapping import load_mapping as load_n8n_mapping
from crm_pipelines.crms.payloads import Payload

RECORD: dict[str, Any] = {
    "id": UUID(int=7),
    "email": "ada@example.com",
    "name": "Ada King Lovelace",
    "first_name": None,
    "last_name": None,
    "phone_number": "+12025550143",
    "email_type": None,
    "has_gmail": None,
    "context": None,
    "source_url": None,
    "source_job_id": None,
    "domain_id": None,
    "page_id": None,
    "custom_fields": {},
    "created_at": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    "updated_at": datetime(2026, 2, 3, tzinfo=UTC),
}
MAPPING = BrevoMapping.model_validate(
    {
        "attributes": {
            "FIRSTNAME": {"from": "first_name", "type": "text"},
            "LASTNAME": {"from": "last_name", "type": "text"},
            "SMS": {"from": "phone_number", "type": "phone"},
            "HAS_GMAIL": {"from": "has_gmail", "type": "boolean"},
            "SOURCE_URL": {"from": "source_url", "type": "text"},
            "DOMAIN_ID": {"from": "domain_id", "type": "text"},
            "CREATED": {"from": "created_at", "type": "date"},
            "UPDATED": {"from": "updated_at", "type": "text"},
            "BORN": {"from": "custom_fields.born", "type": "date"},
            "DUE": {"from": "custom_fields.due", "type": "date", "format": "MM/DD/YYYY"},
            "SCORE": {"from": "custom_fields.score", "type": "float"},
            "PRICE": {"from": "custom_fields.price", "type": "float", "format": "1.234,56"},
            "MEMBER": {"from": "custom_fields.member", "type": "boolean"},
            "COLORS": {"from": "custom_fields.colors", "type": "multiple-choice", "options": ["red", "green", "a, b"]},
            "TAGS": {"from": "custom_fields.tags", "type": "multiple-choice"},
        }
    }
)
ACCOUNT: list[dict[str, Any]] = [
    {"name": "FIRSTNAME", "category": "normal", "type": "text"},
    {"name": "SMS", "category": "normal", "type": "text"},
    {"name": "HAS_GMAIL", "category": "normal", "type": "float"},
    {"name": "BORN", "category": "normal", "type": "text"},
    {"name": "SCORE", "category": "normal", "type": "text"},
    {"name": "MEMBER", "category": "category", "type": "category", "enumeration": [{"value": 1, "label": "true"}]},
    {"name": "COLORS", "category": "normal", "type": "multiple-choice", "options": ["Red"]},
    {"name": "TAGS", "category": "normal", "type": "multiple-choice", "options": ["a", "b"]},
    {"name": "COMPANY", "category": "normal", "type": "text"},
    {"name": "DOMAIN_ID", "category": "calculated", "type": "text"},
]
CONTACTS: dict[str, dict[str, Any]] = {
    "a plain one": {},
    "an address in capitals": {"email": " ADA@Example.COM "},
    "an address in another script": {"email": "ada@bücher.example"},
    "an address with a last sigma": {"email": "ΣΟΦΊΑΣ@example.com"},
    "a last sigma before a dot": {"email": "ΑΣ.ΒΓ@example.com"},
    "no name": {"name": None, "phone_number": None},
    "one word": {"name": "Ada"},
    "titles": {"name": "Prof. Dr. Ada Lovelace"},
    "a title in one word": {"name": "Dipl.-Ing. Ada Lovelace"},
    "one word after a title": {"name": "Frau Müller"},
    "last name first": {"name": "Goethe, Johann Wolfgang von"},
    "a suffix": {"name": "Ada Lovelace, Ph.D."},
    "a particle": {"name": "von der Leyen"},
    "a company": {"name": "Acme, Inc."},
    "several persons": {"name": "Anna, Ben und Carl"},
    "a dash": {"name": "Anna-Lena O'Neil"},
    "another script": {"name": "Ольга Ковалёва"},
    "blanks and what nobody sees": {"name": "\u200bAda \u00a0\u2003King\u200b \u200b Lovelace\x00"},
    "a Hangul filler": {"name": "Ada King \u3164 Lovelace"},
    "both names": {"first_name": " Zoë ", "last_name": "d\u2019Arc\t"},
    "a first name": {"first_name": "Ada", "name": "Ada Lovelace"},
    "blank names": {"first_name": "\u200b", "last_name": " "},
    "a long text": {"source_url": "x" * 10_001},
    "an emoji and quotes": {"source_url": '\U0001f469\u200d\U0001f4bb "quoted" \\ </a>\x7f\u2028'},
    "a phone as people write it": {"phone_number": "0171 1234567"},
    "a phone of a spreadsheet": {"phone_number": "4917112345678.0"},
    "a phone with an extension": {"phone_number": "+49 30 123456 ext. 5"},
    "yes and no": {"has_gmail": True, "custom_fields": {"member": "nein"}},
    "ids": {"domain_id": UUID(int=1), "page_id": UUID(int=2)},
    "days": {"custom_fields": {"born": "5. April 1984", "due": "04/05/1984"}},
    "a day that is not clear": {"custom_fields": {"born": "04/05/1984", "due": "5.4.1984"}},
    "numbers": {"custom_fields": {"score": "12,5", "price": "13.528"}},
    "a whole number": {"custom_fields": {"score": 42, "price": 1042.0}},
    "a number of a size": {"custom_fields": {"score": 1e300, "price": -0.0}},
    "a number that is none": {"custom_fields": {"score": "15 %", "price": float("inf")}},
    "choices": {"custom_fields": {"colors": "Red; a, b, blue", "tags": ["b", "a", "b", 5]}},
    "a text of choices": {"custom_fields": {"colors": ["green"], "tags": "a,b"}},
    "fields under their own names": {
        "custom_fields": {
            "Company": "Acme GmbH",
            "größe": 7,
            "Company size": 12.5,
            "agreed": False,
            "kinds": ["x", "y"],
        }
    },
    "fields without a name": {
        "custom_fields": {"✓": "x", "EMAIL": "x", "sms": "+12025550143", "Company": "", "a b": None}
    },
    "two fields of one name": {"custom_fields": {"Job title": "first", "job-title": "second"}},
    "fields that are no values": {"custom_fields": {"nested": {"a": 1}, "lists": [["x"]], "empty": []}},
}
HASHES = {
    "a plain one": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "an address in capitals": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "an address in another script": (
        "4843e6d423dfc6e3384d6128dd6870bc3dad1d4b4efc64e8fc1b344d09841ded",
        "e4ca58b3f08564360c631209b2805bb9e6463aeb6dcc148796d154dc7922eb14",
    ),
    "an address with a last sigma": (
        "c4c989367e9bdccefe7530fd59c841ecfdc33d67eaac6a2ff76cd23fac8577ed",
        "2b3d11b1349f0a08f6f803179d81e9a6bfa8696c642eef01838cb23272fac57e",
    ),
    "a last sigma before a dot": (
        "cc2e5fb6dbbab93b3d0b88162ee413581159f1e3fd70d65110998daaac7cc6f2",
        "742f3a76aca038cd1de7a2dd8a0f0a57bd6dcaa0add2996b6c6fc09105b076a1",
    ),
    "no name": (
        "1967d96b724e68ba1e144036925dc99ce96360b46bebf991c7e4e1d783840521",
        "253bb7e76373ac3d5c3bc8d7a3477486b4b9229cb900e9750e1d10d4c0fb13e6",
    ),
    "one word": (
        "fb7c91c1bb6137b5655e97d67e26c7b0ad9e3e0431135d26efda8187c2f2857f",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "titles": (
        "5b206346336d5b0afefebe875064bfa51955ba34fb8144d89973983434106175",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "a title in one word": (
        "5b206346336d5b0afefebe875064bfa51955ba34fb8144d89973983434106175",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "one word after a title": (
        "0b6454e62e8c1d5e020168be6d1fe18451a75b4c9c930d2135157e2ba003d1ca",
        "974e1c6428623c292b5dba4193c8ec22427980eadd41c20e9a5786a6d6f58857",
    ),
    "last name first": (
        "cd1759ab3789b7997b51fb72ecbf481c851862fd39a5aae6785d36aa0a3577ef",
        "e6fe480373cb24e39025ea583944f6090446df216c658816db9aeace1ebbe712",
    ),
    "a suffix": (
        "6c6ea824992a1fab9ba30c23b4647d490c64f3f756d936f6efcaea2e5bce64ca",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "a particle": (
        "b0f578846bddc71536ecee83f871a39b92b78befb1fbaf42cd1e4a86fdd3af90",
        "974e1c6428623c292b5dba4193c8ec22427980eadd41c20e9a5786a6d6f58857",
    ),
    "a company": (
        "95d5110544471d7dd56dafde2f365ebfc6b918da2b494c37a92a0b7cc059267e",
        "65c3be5616b1707318d5e27f1786265676aa3788d309972b02df364833bfd5a3",
    ),
    "several persons": (
        "199e6cbee0dac3c5bb6c37fb6a43df978f9e57bd1ff0835a7ee9f8867558ed12",
        "295f1f0eef743515eaf55f3b29c822044c653ba8fc9f4ef0404c59a700e01660",
    ),
    "a dash": (
        "d9e9538d9506604c5612c747a7cadc9d57cba0a4b1b4398a47edf4c867cca012",
        "dab5d51efd45336555d814012e9617fd17682cf7741e250d56c071580963fef3",
    ),
    "another script": (
        "74048133bc4bcc0ec13449acb7b41671bb091d416f8719a59d8ebdbcdcb3c19a",
        "3484a6c73aa3ebfd73bc6b5ec45e1945e155b50f202113010012720dbfa6919a",
    ),
    "blanks and what nobody sees": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "a Hangul filler": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "both names": (
        "7ec21a0a0db6d11961454cfc12985875bab28f9f2239a31be27bb25dc5534258",
        "a53e58e741047631bf82541a5990c2b81499006a938e719550a3c40429830bc0",
    ),
    "a first name": (
        "fb7c91c1bb6137b5655e97d67e26c7b0ad9e3e0431135d26efda8187c2f2857f",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "blank names": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "a long text": (
        "1c3c2f27f0666555ab9038c03c909e4d7770dc04e9a5f196bc504fb609568ae1",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "an emoji and quotes": (
        "9957a043b9b95c522bc12306aa5b6f039dada784a0fee9d5048a250287e97534",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "a phone as people write it": (
        "8e45ed5d2fe034826e3d083b4d104dfd06e8506c3803fd3e2a650debe4737457",
        "d3a5a167c2ae1b571fe7c83ed8452cf7598be7635fd13c96cca58ec47d983181",
    ),
    "a phone of a spreadsheet": (
        "9ebe250af9e857b13ca65c3643b2cd82e20ece45a56d338d421cb1aa52c34abb",
        "cc3fd89d9cb1207ae34817d2ebb04d8a0d85d8e24c0ca587d694c148bbd0c619",
    ),
    "a phone with an extension": (
        "a3382a361cd0f7fa9329adbfeae8c8e7c5455afa290191ed22b8821c664aa0c1",
        "f12e58628114d2c0f0181515cacb99d2131c4c479746b1732cfc65affa6eaef2",
    ),
    "yes and no": (
        "d85fd978dc58cd344183fd7e1c2e9e6e48242d55d762adc193919338cc004a22",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "ids": (
        "eb232e09a75ff0a19c77c67706c6c14d3bda82be5fb868ed0bb0699cf78559cc",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "days": (
        "0c2dc043ad819c02b114dd03f54f0080f3050a75dfa233c6d0055afc0b9c2934",
        "61aa7712c87f367da62f0ee58ed930f46b86be5fe2850295e758524544270df7",
    ),
    "a day that is not clear": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "numbers": (
        "c4a04fb907d96147b1b45b870515d3e57d20b64aa1d5770648acdd0cd29081af",
        "17e980eb56447d563f0243266117c664b2b449de9fd1998d6c9541d3023afa98",
    ),
    "a whole number": (
        "a1724d6296b26ad76248bc126096a6d752254ae53b2458c5e54b37a8d5b5c814",
        "9dc16f059b0811b9c9c1108da0d2d7c9c9d7dce91cf8025e15c7639698ef1b36",
    ),
    "a number of a size": (
        "e8b6f26442363065c4ea7573eac53210f68bde23ce9783341f2c5dfa9d2df55e",
        "08bea5d6ec4690cca7f75a03759b6fdfd000006cd6916b78ebf59d153889d84e",
    ),
    "a number that is none": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "choices": (
        "b8e9dec196787598d4d741c8b50b44d204397dc0ee9d1222fe1b40947b70a266",
        "a1d71a56393824929e7ce97b62b52272928dcde6d7e6191157e123bed749d85a",
    ),
    "a text of choices": (
        "a4264a8d87e21b68da54b8437c84b7efed19edbb0160f11d324276687b32da9f",
        "78d055c2f509f92249a7eb113d8d0a4b45f4a9877be260fa0377ff7cedd1597f",
    ),
    "fields under their own names": (
        "04782d50ef247899d1c256e8127c589ddab243db19d59a7ca414fffd445b6848",
        "75a936e7dac5299816f49b42e55025b5f3da562126ef9e57c94fe94897547a61",
    ),
    "fields without a name": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "two fields of one name": (
        "758aa5cd84e0fe9efeee28da704daa216fb701f7471d7539a3be202324e59933",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
    "fields that are no values": (
        "3ce29f5a004b26b99df992299894564a0acb6c11327f801c835910f56ed9501e",
        "88f688a5120a99706e8b0eda5bc056cda2af70cec4b26a262e0c627657b687a0",
    ),
}
OF_OTHERS = {
    "brevo": "c1d659c73fc561e7e41b77bb385c4f07646e1928bc017aa8429ca8d6fffeebba",
    "hubspot": "7b89abc209a69f6d1a7e228a1f0ef7188996779cf0c32c12e7b67daf0c8c29ff",
    "mautic": "3360846da02affc5826b21e10e7616840697060905d9b8d72bb374ce430f40c3",
    "n8n": "acb63472a7d9e4d2436361dd7f21ae561105a760a97bd5f60a0f7ecf3734bf8a",
}


def digest(mapper: Any, **changes: Any) -> str:
    payload = mapper.prepare({**RECORD, **changes}, sent_attributes=frozenset({"FIRSTNAME", "GONE"}))
    assert isinstance(payload, Payload)
    return payload.hash.hex()


@pytest.mark.parametrize("contact", CONTACTS)
def test_the_hash_of_a_contact_is_for_ever_the_same_or_everybody_is_sent_again(contact: str) -> None:
    mapper = BrevoMapper(mapping=MAPPING, list_id=2, phone_region="DE")
    unknown = digest(mapper, **CONTACTS[contact])
    mapper.know(ACCOUNT)
    assert (unknown, digest(mapper, **CONTACTS[contact])) == HASHES[contact]


@pytest.mark.parametrize(
    "mapper",
    [
        BrevoMapper(mapping=load_mapping(None)),
        HubspotMapper(mapping=load_hubspot_mapping(None), list_id=3),
        MauticMapper(mapping=load_mautic_mapping(None), segment_id=4),
        N8nMapper(mapping=load_n8n_mapping(None)),
    ],
    ids=lambda mapper: mapper.name,
)
def test_so_is_that_of_the_shipped_mapping_of_each_kind(mapper: Any) -> None:
    found = digest(mapper, has_gmail=True, domain_id=UUID(int=1), custom_fields={"Company": "Acme", "note": "größer"})
    assert found == OF_OTHERS[mapper.name]
