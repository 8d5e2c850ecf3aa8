"""What the sandbox imitates beyond the obvious, and how sure that is."""

from crm_pipelines.sandbox.core.quirks import Quirk

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "POST /contacts answers 201 with an id, or 204 without one when it updated a contact.", "API reference", True
    ),
    Quirk(
        "An identifier of another contact refuses the whole request with 400, even with updateEnabled; "
        "metadata.duplicate_identifiers names it.",
        "issue PipedreamHQ/pipedream#15034",
        True,
    ),
    Quirk(
        "The code of that refusal is duplicate_parameter.",
        "pull request pass-culture#22628: it has changed before",
        False,
    ),
    Quirk("An upsert finds its contact by address if one is given, else by EXT_ID, else by phone.", "assumed", False),
    Quirk("An unknown attribute is dropped without a word.", "issue getbrevo/brevo-php#37", True),
    Quirk("An attribute in lower case counts as unknown.", "API reference asks for capitals", False),
    Quirk("A value that does not fit the attribute's type is dropped without a word.", "API reference", True),
    Quirk("A date must be YYYY-MM-DD; numbers are taken into text attributes.", "assumed", False),
    Quirk('An empty text ("") clears an attribute, but for those in keeps_cleared.', "assumed", False),
    Quirk(
        "A category attribute takes its number; a label is dropped, unless category_labels is set.",
        "issue sendinblue/APIv3-python-library#65",
        True,
    ),
    Quirk("Of a list, options that the attribute does not have are dropped.", "assumed", False),
    Quirk(
        "With refuse_dates a date that is none is refused: 400 Invalid date format.", "issue studiomitte/brevo#10", True
    ),
    Quirk(
        "With refuse_transactional: 400 Transactional attribute as primary Key is missing.",
        "issue sendinblue/APIv3-php-library#102",
        True,
    ),
    Quirk(
        "With drop_words a text in a float or boolean attribute is dropped without a word.",
        "issues sendinblue/APIv3-java-library#30 (boolean), sendinblue/APIv3-nodejs-library#114",
        True,
    ),
    Quirk("With refuse_names a new attribute is refused: 400 Invalid attribute name.", "assumed", False),
    Quirk(
        "With account_by_key GET /account tells an organization_id and an owner of its own for each key.",
        "API reference: both belong to the account that the key opens",
        True,
    ),
    Quirk(
        "With import_ignores_false, false in a row of an import has no effect.",
        "issue sendinblue/APIv3-python-library#95",
        True,
    ),
    Quirk("Addresses are stored in lower case.", "measured live by a third party", True),
    Quirk("SMS is stored as digits with the country code, without a plus.", "live capture, estuary/connectors", True),
    Quirk("An impossible phone number is refused: 400 Invalid phone number.", "betagouv/mon-service-securise", True),
    Quirk("EXT_ID is an attribute like the other identifiers.", "API reference, identifierType", True),
    Quirk("Changing the address of a blocklisted contact removes the block.", "API reference", True),
    Quirk(
        "forceMerge keeps the contact that was modified last and deletes the others; with getId its id is answered.",
        "API reference",
        True,
    ),
    Quirk("The status of that answer is 200.", "assumed", False),
    Quirk("A list that does not exist in listIds is refused: 400 List ID does not exist.", "assumed", False),
    Quirk(
        "listIds must be an array of numbers: 400 listIds/0 should be type number.", "issue getbrevo/brevo-php#15", True
    ),
    Quirk(
        "POST /contacts/batch updates nothing when one contact is unknown: 404 No contact found for indexes 3,4.",
        "issue sendinblue/APIv3-php-library#257",
        True,
    ),
    Quirk("Those indexes count from 0; a duplicate phone in one row refuses all rows.", "assumed", False),
    Quirk(
        "Unknown query fields have no effect: an unfiltered list comes back.", "migration notes of brevo-python", True
    ),
    Quirk("Times carry the account's offset (+02:00), not Z.", "live capture, estuary/connectors", True),
    Quirk("An SMS-only contact shows <digits>@mailin-sms.com as its address.", "API reference, example", True),
    Quirk("modifiedSince is inclusive; sorting is by creation.", "estuary/connectors", True),
    Quirk("totalSubscribers of lists is 0; uniqueSubscribers counts.", "live capture, estuary/connectors", True),
    Quirk(
        "Adding to a list compares addresses with their case, and says the same for already there and for unknown.",
        "measured live by a third party",
        True,
    ),
    Quirk(
        "Taken off a list by contacts/remove, a contact shows that list in listUnsubscribed: it counts as the person's "
        'own act; unlinkListIds and {"all": true} do not.',
        "assumed: the answers of public code show the field, no document says what fills it",
        False,
    ),
    Quirk(
        "Whoever is put on a list again, by listIds or an import too, is no longer in listUnsubscribed.",
        "assumed, as the bad case",
        False,
    ),
    Quirk("A new account has the folder 1 and the list 2.", "live capture, estuary/connectors", True),
    Quirk(
        "Attributes of a new account: names in its language, the identifiers, BLACKLIST.", "partly live capture", False
    ),
    Quirk("An attribute that exists is refused: 400 Attribute name must be unique.", "AcyMailing", True),
    Quirk("Names of new attributes are stored in capitals.", "assumed", False),
    Quirk("An import is asynchronous: its rows are not there when it is accepted.", "API reference", True),
    Quirk("The process of an import has URLs of CSV files for what was not taken, no counts.", "API reference", True),
    Quirk("Columns of those files: EMAIL;EXT_ID;SMS.", "assumed", False),
    Quirk("A row with a phone, EXT_ID or address of another row or contact is skipped as a whole.", "assumed", False),
    Quirk("A phone number that is none is left out of an imported row.", "assumed", False),
    Quirk(
        "With import_refuses that share of an import's rows is skipped and stands in the report invalid_emails, though "
        "POST /contacts takes them.",
        "assumed: Brevo says only that there are such reports",
        False,
    ),
    Quirk(
        "An import without emailBlacklist leaves blocks as they are; with import_unblocks it takes them off.",
        "assumed",
        False,
    ),
    Quirk("Empty cells erase stored values only with emptyContactsAttributes.", "API reference", True),
    Quirk(
        "Limits: 10 requests/s and 36,000/h for contacts, 100/h for everything else.",
        "developers.brevo.com/docs/api-limits",
        True,
    ),
    Quirk(
        "The windows are fixed, per key, and the headers tell of the tightest; refused requests do not count.",
        "assumed",
        False,
    ),
    Quirk(
        "x-sib-ratelimit-reset counts seconds; there is no Retry-After.",
        "developers.brevo.com/docs/limit-headers",
        True,
    ),
    Quirk("The body of a 429: code too_many_requests.", "assumed", False),
    Quirk(
        "A dead key and an address that is not allowed are both 401; only the text differs.",
        "AcyMailing; help.brevo.com 5740111683858",
        True,
    ),
    Quirk("Texts of 402 and 403.", "assumed", False),
    Quirk(
        "Not imitated: fileUrl, notifyUrl, segments, double opt-in, campaigns, webhooks, OAuth, 425.",
        "this sandbox",
        True,
    ),
)
