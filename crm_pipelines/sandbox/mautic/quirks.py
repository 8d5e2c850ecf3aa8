"""What the sandbox imitates beyond the obvious, and how sure that is.

The source is Mautic's own, of 5.1 (mautic/mautic, branch 5.x of 2024-10-24). What its functional tests assert is called
confirmed, and so is what others have reported; what was only read is not.
"""

from crm_pipelines.sandbox.core.quirks import Quirk

_DOCS = "developer documentation"
_CONTACTS = "functional tests of Mautic: LeadApiControllerFunctionalTest"
_OAUTH = "functional tests of Mautic: Oauth2Test"
_FIELDS = "functional tests of Mautic: FieldApiControllerFunctionalTest"
_READ = "read in the source"

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "The API is off as Mautic comes: 403 api_disabled for every call, also for a token. The sandbox has it on.",
        _CONTACTS,
        True,
    ),
    Quirk("A token is bought with a form; wrong credentials: 400 invalid_client, not 401.", _OAUTH, True),
    Quirk("A wrong token: 401 invalid_grant, The access token provided is invalid.", _OAUTH, True),
    Quirk(
        "A token that ended: 401 invalid_grant. Without any: 401 access_denied.",
        f"{_READ}: oauth2-php, ApiSubscriber",
        False,
    ),
    Quirk("There is no token to refresh with; a new one does not end the old one.", _DOCS, True),
    Quirk("Basic authorization is off: 403 access_denied, Basic Auth disabled.", f"{_READ}: ApiSubscriber", False),
    Quirk("POST matches a contact by unique fields: 201 for a new one, 200 for one that was matched.", _CONTACTS, True),
    Quirk("A batch does, too; batch/new answers 201 and batch/edit 200, whatever became of its rows.", _CONTACTS, True),
    Quirk(
        "Of several matches the newest counts; several unique fields are alternatives.",
        f"{_READ}: LeadRepository",
        False,
    ),
    Quirk("An address is cleaned before it is matched and stored: a comma behind it goes.", _CONTACTS, True),
    Quirk(
        "Letters with accents and umlauts go as well, which makes it another address. Capitals stay; they do not count "
        "for the match.",
        f"{_READ}: InputHelper, the collation of MySQL",
        False,
    ),
    Quirk("PUT batch/edit with an id that is none creates a contact, without matching by address.", _CONTACTS, True),
    Quirk(
        "An address of another contact: 422, This field must be unique. The same for an address that two contacts "
        "have, whoever of them is written. Since 5.0.",
        f"{_READ}: UniqueCustomFieldValidator",
        False,
    ),
    Quirk(
        "Before 5.0 (checks_unique off) an edit with the address of another contact merged the two: the edited one "
        "stays, the other is gone; the values of the one that was changed last count; points add up, tags and segments "
        "come along, doNotContact does not.",
        f"{_READ}: LeadApiController, ContactMerger, LeadSubscriber",
        False,
    ),
    Quirk(
        "Blank values are ignored, but for PUT or with overwriteWithBlank.",
        _CONTACTS,
        True,
    ),
    Quirk(
        "A single POST with overwriteWithBlank, and PUT, blank what they do not name; a batch/new leaves that alone in "
        "contacts that there are.",
        f"{_READ}: CommonApiController",
        False,
    ),
    Quirk(
        "The number 0 is dropped by POST and PATCH, the text 0 by all that update; PUT takes them. overwriteWithBlank "
        "does not help.",
        "issue mautic/mautic#15030, pull request #17318",
        True,
    ),
    Quirk("So are numbers between -1 and 1, by all that update.", "issue mautic/mautic#16590", True),
    Quirk("False arrives.", "pull request mautic/mautic#10716", True),
    Quirk(
        "A boolean field takes 1, true, on and yes for true, everything else for false.",
        f"{_READ}: RequestTrait",
        False,
    ),
    Quirk("Fields that there are not are ignored, without an error.", f"{_READ}: allow_extra_fields", False),
    Quirk(
        "A date that cannot be read is ignored, without an error, and so is 1970-01-01, second 0 for PHP; a time loses "
        "its seconds.",
        f"{_READ}: RequestTrait",
        False,
    ),
    Quirk("A number without decimal places is told as a whole one.", f"{_READ}: CustomFieldsApiControllerTrait", False),
    Quirk(
        "Texts up to 191 letters, else 400; text areas have no limit.", f"{_READ}: EntityFieldsBuildFormTrait", False
    ),
    Quirk(
        "Phone numbers and web addresses over 191 letters break the whole request with 500: the form does not count "
        "them, the database does.",
        f"{_READ}: SchemaDefinition",
        False,
    ),
    Quirk(
        "In a fresh 5.1 texts, choices, web and e-mail addresses have 64 letters, which the API does not tell "
        "(length_limit).",
        f"{_READ}: LeadField",
        False,
    ),
    Quirk(
        "What is no choice: 400, This value is not valid.", f"{_READ}; the words from another functional test", False
    ),
    Quirk(
        "Countries and regions: names that begin with a capital pass; Mautic has a list of them.", "this sandbox", True
    ),
    Quirk("HTML tags are taken out of texts.", f"{_READ}: InputHelper", False),
    Quirk(
        "More than 200 contacts in a batch: 500, A max of 200 entities are supported at a time.",
        f"{_READ}: FetchCommonApiController",
        False,
    ),
    Quirk(
        "Contacts of a batch are saved one by one; an exception ends the request with 500, and what was saved stays.",
        f"{_READ}: CommonApiController",
        False,
    ),
    Quirk(
        "The same address twice in a batch: the second updates what the first made.",
        f"{_READ}: CommonApiController",
        False,
    ),
    Quirk("Lists with gaps are JSON objects; what failed is missing from contacts.", "PHP", True),
    Quirk(
        "A row without permission is a 403 in statusCodes, under 200 or 201.", f"{_READ}: CommonApiController", False
    ),
    Quirk("PATCH of an unknown id: 404 for the row.", f"{_DOCS}; the source", True),
    Quirk(
        "A row of batch/edit without an id shifts the others: its values go to the contact of the next row.",
        f"{_READ}: BatchIdToEntityHelper",
        False,
    ),
    Quirk("The total of contacts is a text, contacts an object by id, also when there are none.", _CONTACTS, True),
    Quirk(
        "where[] with eq escapes quotes, < and &, and then finds no such address; with in it turns that back.",
        f"{_READ}: InputHelper, CommonRepository",
        False,
    ),
    Quirk("where[] with a column that there is not: 500.", f"{_READ}: CommonRepository", False),
    Quirk("Lists have 30 rows unless limit says otherwise; 0 is all.", _DOCS, True),
    Quirk("minimal leaves out doNotContact, tags and owner.", f"{_READ}: FetchCommonApiController", False),
    Quirk("doNotContact: reason 0 takes it back, in a write or by dnc/{channel}/remove.", _CONTACTS, True),
    Quirk("dnc/{channel}/add with reason 0: 400; without one: 3, manual.", _CONTACTS, True),
    Quirk("Who unsubscribed stays so whatever reason is added.", f"{_READ}: DoNotContact", False),
    Quirk("A deleted contact is told without its id.", "functional tests of Mautic: the same of segments", True),
    Quirk(
        "contacts/{id}/segments does not tell of segments that the contact was removed from.",
        f"{_READ}: LeadListRepository",
        False,
    ),
    Quirk("Adding to a segment brings back who was removed by hand.", f"{_READ}: ListModel", False),
    Quirk(
        "contacts/add tells what became of each; without ids: 400; a segment that is not published: 403.",
        f"{_READ}: ListApiController",
        False,
    ),
    Quirk(
        "An alias is cleaned, cut to 25 letters, and given a number when it is taken: no conflict.",
        f"{_READ}: FieldAliasHelper",
        False,
    ),
    Quirk(
        "In background mode a new field is answered with 202; it is unpublished, and takes no values.", _FIELDS, True
    ),
    Quirk("Booleans need the properties yes and no, choices a list: 400.", _FIELDS, True),
    Quirk("The alias and the type of a field do not change.", _FIELDS, True),
    Quirk("An unhandled exception: 500, with words that tell nothing.", f"{_READ}: ExceptionController", False),
    Quirk(
        "No rate limit as Mautic comes; else 429, JSON called text/html, and no Retry-After.",
        f"{_READ}: app/config/config.php",
        False,
    ),
    Quirk("X-RateLimit-Limit, -Remaining and -Reset tell of the limit.", "assumed: noxlogic/rate-limit-bundle", False),
    Quirk("The token as a parameter of the URL is not accepted; bodies are JSON.", "this sandbox", True),
    Quirk(
        "Not imitated: companies, stages, campaigns, frequency rules, IP addresses, filters of segments, most commands "
        "of the search, defaults of fields, the cached total, webhooks.",
        "this sandbox",
        True,
    ),
)
