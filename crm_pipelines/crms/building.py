"""From a row of crm_contacts to what is to be sent. Pure; shared by all CRMs that have a mapping."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from crm_pipelines.crms import normalize
from crm_pipelines.crms.attributes import AccountAttributes
from crm_pipelines.crms.mapping import FieldMapping
from crm_pipelines.crms.payloads import Payload, Unsendable

# Made once: json.dumps makes a new one for every call with arguments like these.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def build_payload(
    record: Mapping[str, Any],
    *,
    mapping: FieldMapping,
    region: str | None,
    list_ids: Sequence[int],
    sent_attributes: frozenset[str],
    account: AccountAttributes[Any] | None = None,
) -> Payload | Unsendable:
    """The desired state of one contact; `sent_attributes` are the names that the CRM holds a value of ours for.

    `account` None: which attributes it has is not known, so nothing is left out for them.
    """
    try:
        key = normalize.address(record.get("email"))
    except ValueError:
        return Unsendable(kind="invalid_address", message="The e-mail address is not valid: correct it.")
    if key is None:
        return Unsendable(kind="no_address", message="The contact has no e-mail address: add one.")
    attributes, warnings, left_out = mapping.apply(record, region=region, account=account)
    external_id = str(record["id"])
    state = {
        "email": key,
        "ext_id": external_id,
        "attributes": attributes,
        "lists": sorted(list_ids),
        "mapping": mapping.version,
    }
    canonical = _canonical(state)
    return Payload(
        key=key,
        external_id=external_id,
        attributes=attributes,
        clear=_to_clear(sent_attributes - attributes.keys(), mapping, account) if sent_attributes else sent_attributes,
        sent_before=sent_attributes,
        hash=hashlib.sha256(canonical.encode()).digest(),
        warnings=warnings,
        left_out=left_out,
    )


def _to_clear(names: Collection[str], mapping: FieldMapping, account: AccountAttributes[Any] | None) -> frozenset[str]:
    return frozenset(
        name
        for name in names
        if mapping.owns(name) and (account is None or name in account.writable or name in mapping.phones)
    )
