"""What the sandbox imitates beyond the obvious, and how sure that is."""

from crm_pipelines.sandbox.core.quirks import Quirk

_GUIDE = "developers.hubspot.com, contacts guide"
_ERRORS = "developers.hubspot.com, error handling"
_USAGE = "developers.hubspot.com, usage guidelines"
_REFERENCE = "API reference"

QUIRKS: tuple[Quirk, ...] = (
    Quirk("A path has its version in front (/crm/v3/objects) or behind (/crm/objects/2026-03).", _REFERENCE, True),
    Quirk(
        "401 INVALID_AUTHENTICATION says that no credentials were found, whether the token is missing or wrong.",
        "raw logs of third parties",
        True,
    ),
    Quirk(
        "403 MISSING_SCOPES names the scopes in errors[].context.requiredGranularScopes.",
        "seen live by third parties; integrations that read it",
        True,
    ),
    Quirk(
        "Scopes: crm.objects.contacts.read and .write, crm.schemas.contacts.write to create properties, "
        "crm.lists.read, and with crm.lists.write to change a list.",
        _REFERENCE,
        True,
    ),
    Quirk(
        "Reading properties asks for crm.objects.contacts.read, opt-outs for communication_preferences.read; others "
        "that HubSpot accepts in their place do not count.",
        "assumed",
        False,
    ),
    Quirk(
        "/oauth/v2/private-apps/get/access-token-info tells the scopes of the token in its body, and needs none.",
        "guide to private apps, quoted in HubSpot/hubspot-api-php#171; integrations that read it",
        True,
    ),
    Quirk("A batch has at most 100 inputs: 400 otherwise.", f"{_GUIDE}, limits", True),
    Quirk("The text of that 400; an empty batch is refused, too.", "assumed", False),
    Quirk(
        "Without objectWriteTraceId one bad input rejects the whole batch, and nothing is written.",
        f"{_ERRORS}, multi-status errors",
        True,
    ),
    Quirk(
        "With a trace id of its own on every input: 207, the good ones are written, errors[] has the others with "
        "context.objectWriteTraceId. Documented for create.",
        f"{_ERRORS}; seen live for upsert by a third party",
        True,
    ),
    Quirk("The same for update. Of trace ids that are not unique none counts.", "assumed", False),
    Quirk("Errors of a batch have errors and links, though empty.", "models of hubspot-api-client", False),
    Quirk("Results of a batch tell the trace id, unless echo_trace_ids is off.", f"{_REFERENCE} allows it", False),
    Quirk(
        "The same id twice: 400 Duplicate IDs found in batch input, for the whole batch, trace ids or not.",
        "rudder-transformer, ampersand: live captures",
        True,
    ),
    Quirk("Addresses in other capitals are the same id.", "assumed, as the bad case", False),
    Quirk("Results are not in the order of the inputs; addresses come back in lower case.", "seen live", True),
    Quirk(
        "Ids that batch/update or batch/read does not find come as one error, OBJECT_NOT_FOUND with context.ids, in a "
        "207; the others are written or read.",
        "rudder-transformer, ampersand: live captures",
        True,
    ),
    Quirk("For update that is so without trace ids as well.", "assumed", False),
    Quirk(
        "Reading or updating a merged contact answers with the id of the one that stayed.", "HubSpot community", True
    ),
    Quirk("A merge keeps the primary contact's values and opt-outs; addresses and lists come along.", "assumed", False),
    Quirk("batch/update by address is refused.", "issue HubSpot/hubspot-api-nodejs#548", True),
    Quirk("idProperty must have unique values: 400 otherwise.", _GUIDE, True),
    Quirk(
        "A contact that exists: 409 CONFLICT, Contact already exists. Existing ID: n.",
        "issues HubSpot/hubspot-api-python#51, stape-io/hubspot-tag#7",
        True,
    ),
    Quirk("The same when an update would take the address of another contact.", "assumed", False),
    Quirk(
        "A value of a custom unique property that another contact has: 400 CONFLICTING_UNIQUE_VALUE.", "assumed", False
    ),
    Quirk(
        "An upsert by a further address (hs_additional_emails) is that conflict.",
        "pull request mitodl/mitxpro#2653 tells of conflicts, not of their form",
        False,
    ),
    Quirk("A further address finds its contact when it is read.", "apify/apify-shared-js#260 searches for it", False),
    Quirk("Changing the address to one of the further ones swaps the two.", "assumed", False),
    Quirk("An upsert leaves properties alone that it does not name.", "assumed; the guide advises against it", False),
    Quirk("An empty text clears a property.", _GUIDE, True),
    Quirk("A property value that is no text is refused; null, too.", f"{_REFERENCE} wants texts", False),
    Quirk(
        "400 VALIDATION_ERROR: Property values were not valid, with a JSON array in the message, and in errors[] codes "
        "PROPERTY_DOESNT_EXIST, READ_ONLY_VALUE, INVALID_EMAIL, INVALID_OPTION.",
        f"{_ERRORS}; live captures",
        True,
    ),
    Quirk("The codes INVALID_NUMBER and INVALID_DATE.", "assumed", False),
    Quirk("Options are told by their value, not their label; several are joined by semicolons.", _GUIDE, True),
    Quirk("A date is ISO 8601 or milliseconds.", "API reference, examples; simulators of third parties", True),
    Quirk("Milliseconds of a date are those of midnight UTC.", "assumed", False),
    Quirk("A lifecycle stage goes forward only, unless it is cleared before.", _GUIDE, True),
    Quirk("A step back has no effect, and no error.", "assumed, as the bad case", False),
    Quirk("A new contact needs an address or a name.", _GUIDE, True),
    Quirk("Reading leaves unknown properties out, and tells null for unset ones.", _GUIDE, True),
    Quirk("404 resource not found; an id that is no number has other words.", "live captures", True),
    Quirk("Archiving an unknown contact answers 204; an archived one frees its address.", "assumed", False),
    Quirk(
        "gdpr-delete by an address that nobody has bars it from coming back.",
        f"{_REFERENCE}, permanently delete a contact",
        True,
    ),
    Quirk("How that is refused later: INVALID_EMAIL.", "assumed", False),
    Quirk("hs_email_optout and hs_additional_emails cannot be written.", "assumed", False),
    Quirk(
        "An opt-out belongs to the address: with another one the contact has none.", "assumed, as the bad case", False
    ),
    Quirk(
        "statuses/batch/unsubscribe-all/read tells who opted out of all mail, and when; an empty list for the others.",
        "API reference, communication preferences",
        True,
    ),
    Quirk("A property that exists: 409 Properties.PROPERTY_WITH_NAME_EXISTS.", "observed by a third party", True),
    Quirk("Creating one that was archived brings it back with the new definition.", "observed by a third party", True),
    Quirk("Its values are gone then.", "assumed, as the bad case", False),
    Quirk("Given options replace all that there were.", "observed by a third party", True),
    Quirk("type and fieldType must go together.", "developers.hubspot.com/changelog", True),
    Quirk("Which of them do.", "assumed", False),
    Quirk("At most 10 properties have unique values.", "properties guide", True),
    Quirk("A list name that exists: 400 ILS.DUPLICATE_LIST_NAMES.", "integrations that handle it", True),
    Quirk(
        "Unknown and present ids are ignored when added to a list; the answer is spelt recordsIdsAdded.",
        _REFERENCE,
        True,
    ),
    Quirk("recordIdsMissing names the unknown ones; DYNAMIC lists refuse with 400.", "assumed", False),
    Quirk("Limits of a free account: 100 requests in 10 s per app, 250,000 a day per account.", _USAGE, True),
    Quirk("The 10 seconds roll; refused requests do not count.", "the name of the policy", False),
    Quirk("The day of the quota begins with its first request; HubSpot's is the account's day.", "this sandbox", True),
    Quirk("429 names its policy: TEN_SECONDLY_ROLLING, DAILY, SECONDLY; there is no Retry-After.", _USAGE, True),
    Quirk("Searches: 5 in a second, no headers of limits, 10,000 results.", "search guide", True),
    Quirk("A search finds at once what was written; HubSpot's lags behind.", "this sandbox", True),
    Quirk("account-info tells the portalId; 0 is no account of HubSpot's.", "API reference, account information", True),
    Quirk(
        "Not imitated: history, associations, other objects, validation rules of the account, other operators of the "
        "search, sensitive data, webhooks.",
        "this sandbox",
        True,
    ),
)
