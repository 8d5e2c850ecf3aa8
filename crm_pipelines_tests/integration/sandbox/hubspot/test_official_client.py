"""HubSpot's own Python client works against the sandbox."""

import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import (
    ApiException,
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    Filter,
    FilterGroup,
    PublicGdprDeleteInput,
    PublicMergeInput,
    PublicObjectSearchRequest,
    SimplePublicObjectBatchInput,
    SimplePublicObjectBatchInputForCreate,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectId,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.lists import ListCreateRequest
from hubspot.crm.lists import MembershipChangeRequest as Change
from hubspot.crm.properties import (
    ApiException as PropertiesException,
)
from hubspot.crm.properties import (
    BatchInputPropertyCreate,
    BatchReadInputPropertyName,
    OptionInput,
    PropertyCreate,
    PropertyGroupCreate,
    PropertyName,
    PropertyUpdate,
)

from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox


@pytest.fixture
def client(hubspot_sandbox: HubSpotSandbox) -> HubSpot:
    """With its checks of what must be there, which are off as it comes."""
    return HubSpot(access_token="pat-na1-test", host=hubspot_sandbox.url, client_side_validation=True)


def upserted(email: str, trace: str, **properties: str) -> SimplePublicObjectBatchInputUpsert:
    return SimplePublicObjectBatchInputUpsert(
        id=email, id_property="email", object_write_trace_id=trace, properties={"email": email, **properties}
    )


def read(client: HubSpot, email: str, *names: str) -> dict[str, str | None]:
    found = client.crm.contacts.basic_api.get_by_id(email, id_property="email", properties=list(names))
    return {name: found.properties[name] for name in names}


def test_contacts_are_upserted_updated_read_and_archived(client: HubSpot) -> None:
    api = client.crm.contacts.batch_api
    rows = [upserted("ann@example.org", "1", firstname="Ann"), upserted("bob@example.org", "2")]
    created = api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows))
    ids = {one.properties["email"]: one.id for one in created.results}
    assert [one.new for one in created.results] == [True, True]
    api.update(
        BatchInputSimplePublicObjectBatchInput(
            inputs=[SimplePublicObjectBatchInput(id=ids["ann@example.org"], properties={"lastname": "Lee"})]
        )
    )
    told = api.read(
        BatchReadInputSimplePublicObjectId(
            inputs=[SimplePublicObjectId(id=email) for email in (*ids, "none@example.org")],
            id_property="email",
            properties=["firstname", "lastname"],
            properties_with_history=[],
        )
    )
    assert {one.id: one.properties["lastname"] for one in told.results} == {
        ids["ann@example.org"]: "Lee",
        ids["bob@example.org"]: None,
    }
    assert (told.num_errors, told.errors[0].context) == (1, {"ids": ["none@example.org"]})
    api.archive(BatchInputSimplePublicObjectId(inputs=[SimplePublicObjectId(id=ids["bob@example.org"])]))
    with pytest.raises(ApiException) as gone:
        client.crm.contacts.basic_api.get_by_id(ids["bob@example.org"])
    assert gone.value.status == 404


def test_a_batch_with_a_bad_row_is_told_row_by_row(client: HubSpot) -> None:
    rows = [upserted("ann@example.org", "good"), upserted("bob@example.org", "bad", nonsense="1")]
    told = client.crm.contacts.batch_api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows))
    assert [one.object_write_trace_id for one in told.results] == ["good"]
    assert [(one.category, one.context) for one in told.errors] == [
        ("VALIDATION_ERROR", {"objectWriteTraceId": ["bad"]})
    ]
    assert told.errors[0].errors[0].code == "PROPERTY_DOESNT_EXIST"


def test_single_contacts_merges_and_erasure(client: HubSpot) -> None:
    api = client.crm.contacts.basic_api
    ann = api.create(SimplePublicObjectInputForCreate(properties={"email": "ann@example.org"}))
    twin = api.create(SimplePublicObjectInputForCreate(properties={"email": "twin@example.org", "lastname": "Lee"}))
    api.update(ann.id, SimplePublicObjectInput(properties={"firstname": "Ann"}))
    with pytest.raises(ApiException) as taken:
        api.create(SimplePublicObjectInputForCreate(properties={"email": "ann@example.org"}))
    assert (taken.value.status, f"Existing ID: {ann.id}" in taken.value.body) == (409, True)
    api.merge(PublicMergeInput(primary_object_id=ann.id, object_id_to_merge=twin.id))
    assert read(client, "twin@example.org", "firstname", "lastname") == {"firstname": "Ann", "lastname": "Lee"}
    assert [one.id for one in api.get_page(limit=10).results] == [ann.id]
    api.purge(PublicGdprDeleteInput(object_id="ann@example.org", id_property="email"))
    assert client.crm.contacts.get_all() == []


def test_contacts_are_created_in_a_batch_and_searched(client: HubSpot) -> None:
    rows = [
        SimplePublicObjectBatchInputForCreate(properties={"email": f"c{number}@example.org"}) for number in range(3)
    ]
    client.crm.contacts.batch_api.create(BatchInputSimplePublicObjectBatchInputForCreate(inputs=rows))
    wanted = Filter(property_name="email", operator="IN", values=["c0@example.org", "c2@example.org"])
    request = PublicObjectSearchRequest(filter_groups=[FilterGroup(filters=[wanted])], limit=1)
    first = client.crm.contacts.search_api.do_search(request)
    request.after = first.paging.next.after
    second = client.crm.contacts.search_api.do_search(request)
    assert first.total == 2
    assert [one.properties["email"] for one in first.results + second.results] == ["c0@example.org", "c2@example.org"]


def test_properties_and_their_groups(client: HubSpot) -> None:
    group = client.crm.properties.groups_api.create("contacts", PropertyGroupCreate(name="ours", label="Ours"))
    plan = PropertyCreate(
        name="plan",
        label="Plan",
        group_name=group.name,
        type="enumeration",
        field_type="select",
        options=[OptionInput(label="Gold", value="gold", hidden=False, display_order=0)],
    )
    api = client.crm.properties.core_api
    assert api.create("contacts", plan).options[0].value == "gold"
    with pytest.raises(PropertiesException) as exists:
        api.create("contacts", plan)
    assert (exists.value.status, "Properties.PROPERTY_WITH_NAME_EXISTS" in exists.value.body) == (409, True)
    assert api.update("contacts", "plan", PropertyUpdate(label="New")).label == "New"
    assert "plan" in {one.name for one in api.get_all("contacts").results}
    note = PropertyCreate(name="note", label="Note", group_name="ours", type="string", field_type="textarea")
    batch = client.crm.properties.batch_api
    assert [one.name for one in batch.create("contacts", BatchInputPropertyCreate(inputs=[note])).results] == ["note"]
    asked = BatchReadInputPropertyName(archived=False, inputs=[PropertyName(name="note")])
    assert [one.group_name for one in batch.read("contacts", asked).results] == ["ours"]
    api.archive("contacts", "plan")
    with pytest.raises(PropertiesException):
        api.get_by_name("contacts", "plan")


def test_lists_and_who_is_on_them(client: HubSpot) -> None:
    ids = [
        client.crm.contacts.basic_api.create(
            SimplePublicObjectInputForCreate(properties={"email": f"{name}@example.org"})
        ).id
        for name in ("ann", "bob")
    ]
    request = ListCreateRequest(name="News", object_type_id="0-1", processing_type="MANUAL")
    created = client.crm.lists.lists_api.create(request).list
    memberships = client.crm.lists.memberships_api
    assert memberships.add(created.list_id, ids).records_ids_added == ids
    changed = memberships.add_and_remove(
        created.list_id, Change(record_ids_to_add=["8"], record_ids_to_remove=[ids[1]])
    )
    assert (changed.record_ids_removed, changed.record_ids_missing) == ([ids[1]], ["8"])
    assert [one.record_id for one in memberships.get_page(created.list_id).results] == ids[:1]
    assert [one.list_id for one in memberships.get_lists("0-1", ids[0]).results] == [created.list_id]
    assert memberships.remove(created.list_id, ids).record_ids_removed == ids[:1]
    assert client.crm.lists.lists_api.get_by_name("News", "0-1").list.list_id == created.list_id
    assert [one.name for one in client.crm.lists.lists_api.get_all(list_ids=[created.list_id]).lists] == ["News"]
    client.crm.lists.lists_api.remove(created.list_id)


def test_refusals_arrive_as_the_clients_exceptions(client: HubSpot, hubspot_sandbox: HubSpotSandbox) -> None:
    hubspot_sandbox.configure(per_day=1)
    client.crm.contacts.basic_api.get_page()
    with pytest.raises(ApiException) as refused:
        client.crm.contacts.basic_api.get_page()
    assert (refused.value.status, '"policyName": "DAILY"' in refused.value.body) == (429, True)
    hubspot_sandbox.configure(per_day=0, scopes=[])
    with pytest.raises(ApiException) as forbidden:
        client.crm.contacts.basic_api.get_page()
    assert (forbidden.value.status, "MISSING_SCOPES" in forbidden.value.body) == (403, True)
    hubspot_sandbox.configure(revoked_keys=["pat-na1-test"])
    with pytest.raises(ApiException) as dead:
        client.crm.contacts.basic_api.get_page()
    assert dead.value.status == 401
