"""The endpoints of the account itself, and of whom it may write to."""

from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import Account
from crm_pipelines.sandbox.hubspot.answers import MOST_INPUTS, invalid, read_body, read_text, read_texts
from crm_pipelines.sandbox.hubspot.times import as_time, now_ms
from crm_pipelines.sandbox.hubspot.values import normal_email

SCOPES = (
    "communication_preferences.read",
    "crm.lists.read",
    "crm.lists.write",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.write",
)
"""Of a key that may do everything."""


def read_details(account: Account, _: Call) -> Answer:
    """GET /account-info/v3/details."""
    return reply(
        200,
        {
            "portalId": account.portal_id,
            "accountType": "STANDARD",
            "timeZone": "UTC",
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        },
    )


def read_scopes(account: Account, call: Call) -> Answer:
    """POST /oauth/v2/private-apps/get/access-token-info: what the key may do, which stands in the body, too."""
    if read_text(read_body(call), "tokenKey") != call.key:
        raise invalid("The tokenKey is not that of the header")
    scopes = SCOPES if account.scopes is None else account.scopes
    return reply(200, {"userId": 1, "hubId": account.portal_id, "appId": 1, "scopes": sorted(scopes)})


def read_opt_outs(account: Account, call: Call) -> Answer:
    """POST /communication-preferences/v4/statuses/batch/unsubscribe-all/read: who wants no mail, and since when."""
    if call.query().get("channel") != ["EMAIL"]:
        raise invalid("Invalid channel: EMAIL is expected")
    addresses = read_texts(read_body(call), "inputs")
    if not 1 <= len(addresses) <= MOST_INPUTS:
        raise invalid(f"inputs should be an array of 1 to {MOST_INPUTS} addresses")
    now = as_time(now_ms())
    rows = [{"subscriberIdString": address, "wideStatuses": _statuses(account, address)} for address in addresses]
    return reply(200, {"status": "COMPLETE", "results": rows, "startedAt": now, "completedAt": now})


def _statuses(account: Account, address: str) -> list[dict[str, Any]]:
    since = account.opted_out.get(normal_email(address) or "")
    if since is None:
        return []
    return [
        {
            "subscriberIdString": address,
            "channel": "EMAIL",
            "status": "UNSUBSCRIBED",
            "wideStatusType": "PORTAL_WIDE",
            "timestamp": as_time(since),
        }
    ]
