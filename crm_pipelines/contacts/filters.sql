-- What a filter of contacts is put together from, in filters.py; c is the contact, s its row of crm_syncs at one CRM.

-- name: status
crm_sync_status(s.state, s.attempts) = :status

-- name: state
s.state = :state

-- name: is_new
-- The sync status New. Said in this way, the planner can tell how many they are: a few among a million, or nearly all.
NOT EXISTS (SELECT FROM crm_syncs x WHERE x.contact_id = c.id AND x.crm = :crm AND x.state <> 'unselected')

-- name: domain
right(coalesce(c.address, crm_address(c.email)), length(crm_address('@' || :domain))) = crm_address('@' || :domain)

-- name: domain_id
c.domain_id = :domain_id

-- name: email_type
c.email_type = :email_type

-- name: text
-- A word, somewhere in the name, the address or a text of the custom fields, without case and accents; of one letter or two, at the
-- beginning of a word. No pattern: every letter stands for itself. The index finds by three letters, and reads no more than that.
crm_search_grams(crm_searchable(c.email, c.name, c.first_name, c.last_name, c.custom_fields))
    @> crm_search_grams(crm_searchable(NULL, :text, NULL, NULL, '{}'), true)
AND (length(crm_searchable(NULL, :text, NULL, NULL, '{}')) < 3
     OR strpos(crm_searchable(c.email, c.name, c.first_name, c.last_name, c.custom_fields),
               crm_searchable(NULL, :text, NULL, NULL, '{}')) > 0)

-- name: address
-- As text, or the address, however it is spelt. Apart, so that each is found by its index, and no row is looked at for both.
c.id IN (SELECT c.id FROM crm_contacts c WHERE {text} UNION ALL
         SELECT c.id FROM crm_contacts c WHERE c.address = crm_address(:address))

-- name: created_since
c.created_at >= :created_since

-- name: created_before
c.created_at < :created_before
