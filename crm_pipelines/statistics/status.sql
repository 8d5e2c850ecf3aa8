-- name: statuses
-- Contacts by CRM and sync status, as the view `contacts` derives it, in one pass. Who has no row is New.
WITH selected AS (
    SELECT crm, crm_sync_status(state, attempts) AS status, count(*) AS contacts
      FROM crm_syncs WHERE crm = ANY (:crms) AND state <> 'unselected' GROUP BY 1, 2
)
SELECT crm, status, contacts FROM selected
UNION ALL
SELECT w.crm, 'New', (SELECT count(*) FROM crm_contacts)
       - coalesce((SELECT sum(contacts) FROM selected s WHERE s.crm = w.crm), 0)::bigint
  FROM unnest(CAST(:crms AS text[])) w (crm)

-- name: held
-- What the account holds of our contacts: also those that wait to be sent anew, or are not selected any more.
SELECT crm, count(*) AS contacts FROM crm_syncs WHERE crm = ANY (:crms) AND synced_at IS NOT NULL GROUP BY crm

-- name: next_due
SELECT min(run_at) FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at > now()

-- name: errors
-- Errors that stand at present, with the most recent text of each kind. Two parts, each found by an index of its own.
SELECT crm_sync_status(state, attempts) AS status, last_error_kind AS kind, count(*) AS contacts,
       (array_agg(last_error ORDER BY last_attempt_at DESC NULLS LAST))[1] AS sample
  FROM (SELECT * FROM crm_syncs WHERE crm = :crm AND state IN ('failed', 'skipped')
        UNION ALL
        SELECT * FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND last_error_kind IS NOT NULL) s
 GROUP BY 1, 2 ORDER BY (crm_sync_status(state, attempts) = 'Error') DESC, 3 DESC, 2

-- name: count_failed
SELECT count(*) FROM crm_syncs
 WHERE state = 'failed' AND crm = ANY (:crms) AND (CAST(:kind AS text) IS NULL OR last_error_kind = :kind)

-- name: failed
-- By contact, so that the order stays while others fail.
SELECT s.contact_id, c.email, s.crm, s.last_error_kind AS kind, s.last_error_code AS code, s.last_error AS error,
       s.last_http_status AS http_status, s.attempts, s.last_attempt_at
  FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id
 WHERE s.state = 'failed' AND s.crm = ANY (:crms) AND (CAST(:kind AS text) IS NULL OR s.last_error_kind = :kind)
   AND (s.contact_id, s.crm) > (CAST(:after_id AS uuid), :after_crm)
 ORDER BY s.contact_id, s.crm LIMIT :limit

-- name: causes
-- Errors that stand at present by kind and words, the commonest first. `key` makes the order of equals one.
WITH causes AS (
    SELECT crm, crm_sync_status(state, attempts) AS status, last_error_kind AS kind,
           crm_error_text(coalesce(last_error, last_error_kind)) AS text, count(*) AS contacts,
           max(last_attempt_at) AS last_seen
      FROM (SELECT * FROM crm_syncs WHERE crm = ANY (:crms) AND state IN ('failed', 'skipped')
            UNION ALL
            SELECT * FROM crm_syncs WHERE crm = ANY (:crms) AND state = 'queued' AND last_error_kind IS NOT NULL) s
     GROUP BY 1, 2, 3, 4
), keyed AS (SELECT *, md5(concat_ws(' ', crm, status, kind, text)) AS key, count(*) OVER () AS total FROM causes)
SELECT * FROM keyed WHERE (-contacts, key) > (:after_contacts, :after_key) ORDER BY -contacts, key LIMIT :limit

-- name: unanswered
-- Of a workflow that tells what it finds: how many contacts it was asked about more than :patience ago without an answer
-- since, and when the first of them was sent. No row for any other destination. Whoever was answered after the delivery had
-- ended, which is nearly everybody, is left out before the ledger is asked when the delivery began.
SELECT count(*) AS contacts, min(asked.at) AS oldest
  FROM crm_syncs s
 CROSS JOIN LATERAL (SELECT coalesce((SELECT a.started_at FROM crm_attempts a
                                       WHERE a.contact_id = s.contact_id AND a.crm = s.crm AND a.outcome = 'synced'
                                       ORDER BY a.claim_no DESC LIMIT 1), s.synced_at) AS at OFFSET 0) asked
 WHERE s.crm = :crm AND s.state <> 'unselected' AND s.synced_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM crm_enrichments e
                    WHERE e.contact_id = s.contact_id AND e.crm = :crm AND e.received_at >= s.synced_at)
   AND asked.at < now() - CAST(:patience AS interval)
   AND NOT EXISTS (SELECT FROM crm_enrichments e
                    WHERE e.contact_id = s.contact_id AND e.crm = :crm AND e.received_at >= asked.at)
HAVING coalesce((SELECT d.kind FROM crm_destinations d WHERE d.name = :crm), :crm) = 'n8n'
   AND EXISTS (SELECT FROM crm_enrichments WHERE crm = :crm)
