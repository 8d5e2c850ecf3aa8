-- Contacts to be read back at the CRM.

-- name: sample
-- Some of those that were delivered since then and are still as they were delivered.
SELECT s.contact_id, s.claim_no
  FROM (SELECT DISTINCT contact_id FROM crm_attempts
         WHERE crm = :crm AND finished_at > :since AND outcome = 'synced') a
  JOIN crm_syncs s ON s.contact_id = a.contact_id AND s.crm = :crm AND s.state = 'synced'
 ORDER BY random() LIMIT :size

-- name: any_delivered
SELECT EXISTS (SELECT 1 FROM crm_attempts WHERE crm = :crm AND finished_at > :since AND outcome = 'synced')

-- name: unchanged
-- Of these, those that nobody has edited, selected or delivered since they were drawn.
SELECT s.contact_id
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
  JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'synced'
