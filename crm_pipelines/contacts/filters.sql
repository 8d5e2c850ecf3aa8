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
-- Somewhere in the name or the address, whatever the case. No pattern: every letter stands for itself. Or the address, however
-- it is spelt.
(strpos(lower(c.name), lower(:text)) > 0 OR strpos(lower(c.email), lower(:text)) > 0
 OR strpos(lower(c.first_name), lower(:text)) > 0 OR strpos(lower(c.last_name), lower(:text)) > 0
 OR c.address = crm_address(:text))

-- name: created_since
c.created_at >= :created_since

-- name: created_before
c.created_at < :created_before
