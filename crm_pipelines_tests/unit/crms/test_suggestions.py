"""For an attribute that is missing, only one that is nearly the same, takes its values, and is free is suggested."""

from typing import Any

import pytest

from crm_pipelines.crms.brevo import preflight as brevo
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import load_mapping as brevo_mapping
from crm_pipelines.crms.hubspot import preflight as hubspot
from crm_pipelines.crms.hubspot.mapping import load_mapping as hubspot_mapping
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.mautic import preflight as mautic
from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.mapping import load_mapping as mautic_mapping
from crm_pipelines.crms.values import AttributeType
from crm_pipelines.crms.wanted import Wanted

TEXT, NUMBER = AttributeType.TEXT, AttributeType.FLOAT


def at_brevo(name: str, wanted: Wanted, there: dict[str, str]) -> str | None:
    rows: list[dict[str, Any]] = [{"name": one, "category": "normal", "type": kind} for one, kind in there.items()]
    return brevo.near(name, wanted, BrevoAttributes(rows), brevo_mapping(None))


def at_hubspot(name: str, wanted: Wanted, there: dict[str, str]) -> str | None:
    kinds = {"text": "string", "float": "number"}
    rows = [{"name": one, "type": kinds[kind], "field_type": "text", "read_only": False} for one, kind in there.items()]
    return hubspot.near(name, wanted, AccountProperties(rows), hubspot_mapping(None))


def at_mautic(name: str, wanted: Wanted, there: dict[str, str]) -> str | None:
    kinds = {"text": "text", "float": "number"}
    rows = [{"name": one, "type": kinds[kind], "published": True, "unique": False} for one, kind in there.items()]
    return mautic.near(name, wanted, AccountFields(rows), mautic_mapping(None))


EVERYWHERE = [at_brevo, at_hubspot, at_mautic]


@pytest.mark.parametrize("near", EVERYWHERE)
@pytest.mark.parametrize(
    ("name", "kind", "there", "expected"),
    [
        pytest.param("company_size", TEXT, {"companysize": "text"}, "companysize", id="an underscore more"),
        pytest.param("company_size", TEXT, {"company_sizes": "text"}, "company_sizes", id="the plural"),
        pytest.param("birthplace", TEXT, {"brithplace": "text"}, "brithplace", id="a slip"),
        pytest.param("score", NUMBER, {"scores": "float"}, "scores", id="a number for a number"),
        pytest.param("score", NUMBER, {"scores": "text"}, None, id="of another type"),
        pytest.param("page_id", TEXT, {"ext_id": "text"}, None, id="only the end is the same"),
        pytest.param("domain_id", TEXT, {"campaign_id": "text"}, None, id="another id"),
        pytest.param("firstname", TEXT, {"lastname": "text"}, None, id="the other half of a name"),
        pytest.param("page_ids", TEXT, {"page_id": "text"}, None, id="one that another line sends"),
        pytest.param("tier", TEXT, {"title": "text"}, None, id="a short word like another"),
        pytest.param("e_mail", TEXT, {"email": "text"}, None, id="the identity"),
        pytest.param("nothing", TEXT, {}, None, id="an account without any"),
    ],
)
def test_what_is_suggested_is_nearly_the_same(
    near: Any, name: str, kind: AttributeType, there: dict[str, str], expected: str | None
) -> None:
    if near is at_brevo:
        name, there, expected = (
            name.upper(),
            {one.upper(): k for one, k in there.items()},
            expected and expected.upper(),
        )
    assert near(name, Wanted(kind), there) == expected


def test_what_is_the_crms_own_working_is_not_suggested() -> None:
    assert at_hubspot("hs_personas", Wanted(TEXT), {"hs_persona": "text"}) is None
    assert at_mautic("point", Wanted(TEXT), {"points": "text"}) is None
    assert at_brevo("EXTID", Wanted(TEXT), {"EXT_ID": "text"}) is None


def test_at_brevo_the_name_of_an_account_in_another_language_is_suggested() -> None:
    assert at_brevo("FIRSTNAME", Wanted(TEXT), {"PRENOM": "text", "NOM": "text"}) == "PRENOM"
    assert at_brevo("FIRSTNAME", Wanted(TEXT), {"PRENOM": "float"}) is None
