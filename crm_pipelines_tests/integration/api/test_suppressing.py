"""Never send to a contact, over HTTP."""

from uuid import UUID, uuid4

from crm_pipelines_tests.fixtures.api import Api

SELECT = "/contacts/crm/select"


def standing(api: Api, contact: UUID) -> dict[str, str]:
    return {one["crm"]: one["sync_status"] for one in api.get(f"/contacts/{contact}")["crms"]}


def test_a_contact_is_suppressed_and_lifted_and_both_are_in_the_log(api: Api) -> None:
    [contact] = api.people.add()
    told = api.post(f"/contacts/{contact}/suppress", {"crm": "brevo", "reason": "by letter"})
    assert told == {"contact_id": str(contact), "crms": ["brevo"]}
    assert standing(api, contact) == {"brevo": "Skipped", "hubspot": "New", "mautic": "New", "n8n": "New"}
    assert api.post(f"/contacts/{contact}/suppress", {})["crms"] == ["hubspot", "mautic", "n8n"]
    assert api.refused("POST", f"/contacts/{contact}/unsuppress", json={}) == (422, "validation_failed")
    lifted = api.post(f"/contacts/{contact}/unsuppress", {"reason": "asked for it"})
    assert lifted["crms"] == ["brevo", "hubspot", "mautic", "n8n"]
    assert set(standing(api, contact).values()) == {"New"}
    assert [(one["action"], one["crms"]) for one in api.writes()] == [
        ("suppress", ["brevo"]),
        ("suppress", ["hubspot", "mautic", "n8n"]),
        ("unsuppress", ["brevo", "hubspot", "mautic", "n8n"]),
    ]
    assert api.refused("POST", f"/contacts/{uuid4()}/suppress", json={}) == (404, "contact_not_found")


def test_unselecting_many_leaves_the_suppressed_alone_and_says_so(api: Api) -> None:
    suppressed, other = api.people.add(2)
    api.post(f"/contacts/{suppressed}/suppress", {})
    many = {"crms": ["brevo"], "action": "unselect"}
    told = api.post(SELECT, {"contact_ids": [str(suppressed), str(other)], **many})
    assert (told["crms"][0]["unselected"], told["crms"][0]["suppressed"]) == (1, 1)
    assert [one["contact_id"] for one in told["refused"]] == [str(suppressed)]
    filtered = api.post(f"{SELECT}/filtered", {"everyone": True, **many})
    assert filtered["crms"][0]["suppressed"] == 1
    assert standing(api, suppressed)["brevo"] == "Skipped"
    alone = api.post(SELECT, {"contact_ids": [str(suppressed)], **many})
    assert alone["crms"][0]["unselected"] == 1
    assert standing(api, suppressed)["brevo"] == "New"
