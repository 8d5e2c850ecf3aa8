-- Everything is found by an index, whatever the size of the tables.

-- name: contact_by_email
SELECT id, email, created_at, updated_at, revision FROM crm_contacts WHERE address = crm_address(:email)

-- name: contact_by_id
SELECT id, email, created_at, updated_at, revision FROM crm_contacts WHERE id = :contact_id

-- name: twins
-- Contacts that are one address with this one, and are not sent.
SELECT t.id FROM crm_contacts c JOIN crm_contacts t ON t.address IS NULL AND t.email IS NOT NULL AND crm_address(t.email) = c.address
 WHERE c.id = :contact_id ORDER BY t.created_at, t.id

-- name: states
-- A row for every CRM, known to crm_syncs or not.
SELECT w.crm, crm_sync_status(s.state, s.attempts) AS sync_status, crm_processing_status(s.state) AS processing_status,
       coalesce(s.state, 'unselected') AS state, s.run_at, s.claimed_by, s.lease_until, coalesce(s.attempts, 0) AS attempts,
       coalesce(s.crashes, 0) AS crashes, s.last_error_kind, s.last_error, s.last_http_status, s.synced_at,
       s.remote_key, s.remote_id, s.selected_at, s.last_attempt_at, coalesce(s.left_out, '{}') AS left_out, now() AS now,
       -- Whoever is selected again is sent without an edit.
       coalesce(CASE WHEN s.state = 'failed' AND s.last_error_kind = 'unknown'
                     THEN (SELECT c.updated_at > s.last_attempt_at FROM crm_contacts c WHERE c.id = s.contact_id)
                     ELSE s.selected_at <= s.synced_at AND s.synced_revision < s.revision END, false) AS edited_since,
       x.since AS suppressed_at, x.by AS suppressed_by
  FROM unnest(CAST(:crms AS text[])) WITH ORDINALITY w (crm, position)
  LEFT JOIN crm_syncs s ON s.contact_id = :contact_id AND s.crm = w.crm
  LEFT JOIN LATERAL (SELECT y.since, y.by FROM crm_identifiers(ARRAY[CAST(:contact_id AS uuid)]) i
                       JOIN crm_suppressions y ON y.digest = i.digest AND y.crm = w.crm AND y.lifted_at IS NULL
                      WHERE s.state = 'skipped' AND s.last_error_kind = 'suppressed' ORDER BY y.since LIMIT 1) x ON true
 ORDER BY w.position

-- name: attempts
-- MATERIALIZED: for want of statistics, the whole ledger is walked backwards in search of the contact.
WITH past AS MATERIALIZED (SELECT * FROM crm_attempts WHERE contact_id = :contact_id)
SELECT crm, started_at, finished_at, run_id, outcome, kind, code, message, http_status, request_id, warnings,
       extract(epoch FROM greatest(finished_at - wanted_since, interval '0'))::float8 AS delay_seconds
  FROM past ORDER BY id DESC LIMIT :limit

-- name: hold
SELECT FROM crm_syncs WHERE contact_id = :contact_id AND crm = :crm FOR NO KEY UPDATE
