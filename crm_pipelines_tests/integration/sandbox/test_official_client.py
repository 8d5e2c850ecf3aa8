"""Brevo's own Python client works against the sandbox."""

from collections.abc import Iterator

import httpx
import pytest
from brevo import Brevo
from brevo.contacts import (
    AddContactToListRequestBodyEmails,
    ImportContactsRequestJsonBodyItem,
    RemoveContactFromListRequestBodyIds,
    UpdateBatchContactsRequestContactsItem,
)
from brevo.core.api_error import ApiError
from brevo.errors import BadRequestError, NotFoundError, UnauthorizedError

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


@pytest.fixture
def client(brevo_sandbox: BrevoSandbox) -> Iterator[Brevo]:
    with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        yield Brevo(api_key="xkeysib-test", base_url=brevo_sandbox.url, httpx_client=http, max_retries=0)


def test_a_contact_is_created_read_updated_and_deleted(client: Brevo) -> None:
    created = client.contacts.create_contact(email="ann@example.org", attributes={"FIRSTNAME": "Ann"}, ext_id="a-1")
    assert created is not None
    assert created.id == 1
    assert client.contacts.create_contact(email="ann@example.org", update_enabled=True) is None
    client.contacts.update_contact("a-1", identifier_type="ext_id", attributes={"EMAIL": "new@example.org"})
    found = client.contacts.get_contact_info("new@example.org")
    assert (found.id, found.email_blacklisted, found.list_ids) == (1, False, [])
    client.contacts.update_batch_contacts(
        contacts=[UpdateBatchContactsRequestContactsItem(email="new@example.org", attributes={"LASTNAME": "Lee"})]
    )
    page = client.contacts.get_contacts(limit=10, sort="asc")
    assert (page.count, page.contacts[0].attributes.LASTNAME) == (1, "Lee")
    client.contacts.delete_contact("new@example.org")
    with pytest.raises(NotFoundError):
        client.contacts.get_contact_info("new@example.org")


def test_lists_and_folders(client: Brevo) -> None:
    folder = client.contacts.create_folder(name="Shop")
    group = client.contacts.create_list(folder_id=folder.id, name="News")
    client.contacts.create_contact(email="ann@example.org")
    added = client.contacts.add_contact_to_list(
        list_id=group.id, request=AddContactToListRequestBodyEmails(emails=["ann@example.org"])
    )
    assert added.contacts.success == ["ann@example.org"]
    assert client.contacts.get_contacts_from_list(list_id=group.id).count == 1
    client.contacts.remove_contact_from_list(list_id=group.id, request=RemoveContactFromListRequestBodyIds(ids=[1]))
    assert client.contacts.get_list(group.id).unique_subscribers == 0
    assert client.contacts.get_lists().count == 2
    assert client.contacts.get_folder_lists(folder_id=folder.id).count == 1
    client.contacts.delete_list(group.id)


def test_attributes(client: Brevo) -> None:
    client.contacts.create_attribute("normal", "DOMAIN_ID", type="text")
    with pytest.raises(BadRequestError):
        client.contacts.create_attribute("normal", "DOMAIN_ID", type="text")
    assert "DOMAIN_ID" in {attribute.name for attribute in client.contacts.get_attributes().attributes}
    client.contacts.delete_attribute("normal", "DOMAIN_ID")


def test_import_and_process(client: Brevo) -> None:
    rows = [ImportContactsRequestJsonBodyItem(email=email) for email in ("ann@example.org", "no address")]
    process_id = client.contacts.import_contacts(json_body=rows, list_ids=[2]).process_id
    while (process := client.process.get_process(process_id)).status in ("queued", "in_process"):
        pass
    assert process.status == "completed"
    assert process.info is not None
    assert process.info.import_ is not None
    assert str(process.info.import_.invalid_emails).endswith(f"/reports/{process_id}/invalid_emails.csv")
    assert process.info.import_.duplicate_email_id is None
    assert client.process.get_processes().count == 1
    assert client.contacts.get_contact_info("ann@example.org").list_ids == [2]


def test_account(client: Brevo) -> None:
    account = client.account.get_account()
    assert (account.company_name, account.plan[0].type) == ("crm-pipelines sandbox", "free")


def test_errors_arrive_as_the_clients_exceptions(client: Brevo, brevo_sandbox: BrevoSandbox) -> None:
    client.contacts.create_contact(email="ann@example.org")
    with pytest.raises(BadRequestError) as duplicate:
        client.contacts.create_contact(email="ann@example.org")
    assert duplicate.value.body["metadata"] == {"duplicate_identifiers": ["email"]}
    brevo_sandbox.configure(contacts_per_hour=1)
    client.contacts.get_contacts()
    with pytest.raises(ApiError) as refused:
        client.contacts.get_contacts()
    assert refused.value.status_code == 429
    brevo_sandbox.configure(refusal="ip")
    with pytest.raises((UnauthorizedError, ApiError)) as blocked:
        client.account.get_account()
    assert blocked.value.status_code == 401
