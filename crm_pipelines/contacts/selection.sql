-- Decisions of users about contacts. Ids stay in the database, so that a million of them cost no traffic.

-- name: ids_by_email
SELECT id FROM crm_contacts WHERE address = ANY (ARRAY(SELECT crm_address(e) FROM unnest(CAST(:emails AS text[])) e))

-- name: unknown
-- What the user named and nobody has, as the user wrote it.
SELECT wanted FROM unnest(CAST(:ids AS text[])) wanted
 WHERE NOT EXISTS (SELECT 1 FROM crm_contacts c WHERE c.id = CAST(wanted AS uuid))
UNION ALL
SELECT wanted FROM unnest(CAST(:emails AS text[])) wanted
 WHERE NOT EXISTS (SELECT 1 FROM crm_contacts c WHERE c.address = crm_address(wanted))

-- name: choose
-- The chosen contacts, for the statements below. Joined by OR, no part would be found by its index.
CREATE TEMP TABLE chosen ON COMMIT DROP AS
SELECT id FROM crm_contacts WHERE :everyone
UNION
SELECT id FROM crm_contacts WHERE id = ANY (CAST(CAST(:ids AS text[]) AS uuid[]))
UNION
SELECT id FROM crm_contacts WHERE address = ANY (ARRAY(SELECT crm_address(e) FROM unnest(CAST(:emails AS text[])) e))
UNION
SELECT c.id FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
 WHERE CAST(:status AS text) IS NOT NULL AND crm_sync_status(s.state, s.attempts) = CAST(:status AS text)
UNION
-- Delivered, by another mapping than this. By ranges, for which there is an index.
SELECT contact_id FROM crm_syncs WHERE crm = :crm AND state = 'synced' AND mapping_version < CAST(:stale AS text)
UNION
SELECT contact_id FROM crm_syncs WHERE crm = :crm AND state = 'synced' AND mapping_version > CAST(:stale AS text)

-- name: count_stale
SELECT count(*) FROM (
    SELECT FROM crm_syncs WHERE crm = :crm AND state = 'synced' AND mapping_version < CAST(:stale AS text)
    UNION ALL
    SELECT FROM crm_syncs WHERE crm = :crm AND state = 'synced' AND mapping_version > CAST(:stale AS text)
    LIMIT :most) s

-- name: leave_unknown
-- Who may have arrived where nothing must be sent twice is sent again if it is named, and not with many.
DELETE FROM chosen c USING crm_syncs s
 WHERE s.contact_id = c.id AND s.crm = :crm AND s.state = 'failed' AND s.last_error_kind = 'unknown'

-- name: count_everyone
SELECT count(*) FROM crm_contacts

-- name: choose_matching
-- The condition, here and below, is put together from filters.sql.
CREATE TEMP TABLE chosen ON COMMIT DROP AS
SELECT c.id FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm WHERE {matching}

-- name: count_matching
-- :most NULL: all.
SELECT count(*) FROM (
    SELECT FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm WHERE {matching}
     LIMIT CAST(:most AS bigint)) counted

-- name: forget_chosen
DROP TABLE chosen

-- name: select
-- unchanged: somebody else selected it in the same moment.
SELECT CASE outcome WHEN 'unchanged' THEN 'already_queued' ELSE outcome END, count(*)
  FROM crm_select(:crm, ARRAY(SELECT id FROM chosen)) GROUP BY 1

-- name: select_these
SELECT contact_id, CASE outcome WHEN 'unchanged' THEN 'already_queued' ELSE outcome END AS outcome
  FROM crm_select(:crm, CAST(:ids AS uuid[]))

-- name: unselect_these
-- The states are those of before: a statement does not see what a function in it changes.
SELECT c.id AS contact_id, CASE WHEN u.contact_id IS NOT NULL THEN 'unselected'
                                WHEN s.state = 'skipped' AND s.last_error_kind = 'suppressed' THEN 'suppressed'
                                ELSE 'unchanged' END AS outcome
  FROM crm_contacts c
  LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
  LEFT JOIN crm_unselect(:crm, CAST(:ids AS uuid[])) u ON u.contact_id = c.id
 WHERE c.id = ANY (CAST(:ids AS uuid[]))

-- name: unsuppress_these
SELECT contact_id, 'unselected' AS outcome FROM crm_unsuppress(:crm, CAST(:ids AS uuid[]), :reason, :by)

-- name: put_first
-- Ahead of everything that is due; attempts already made stay counted.
UPDATE crm_syncs SET run_at = least(now(), (SELECT min(run_at) FROM crm_syncs WHERE crm = :crm AND state = 'queued'))
                              - interval '1 microsecond'
 WHERE crm = :crm AND contact_id = :contact_id AND state = 'queued'

-- name: note_put_first
INSERT INTO crm_put_first (contact_id, crm) VALUES (:contact_id, :crm) ON CONFLICT DO NOTHING

-- name: unselect
SELECT count(*) FROM crm_unselect(:crm, ARRAY(SELECT id FROM chosen))

-- name: count_suppressed
SELECT count(*) FROM crm_syncs s JOIN chosen c ON c.id = s.contact_id
 WHERE s.crm = :crm AND s.state = 'skipped' AND s.last_error_kind = 'suppressed'

-- name: count_chosen
SELECT count(*) FROM chosen

-- name: lock_retryable
-- Locked, so that the counts are what then happens. A claimed contact is under way; a suppressed one is left alone.
CREATE TEMP TABLE retryable ON COMMIT DROP AS
WITH locked AS MATERIALIZED (
    SELECT s.contact_id, s.state FROM crm_syncs s
     WHERE s.crm = :crm AND (:everyone OR s.contact_id IN (SELECT id FROM chosen))
       AND (s.state = 'failed' OR (s.state = 'queued' AND s.attempts > 0 AND s.run_at > now()))
       AND (CAST(:kind AS text) IS NULL OR s.last_error_kind = :kind)
       -- May have arrived: only by its name or its kind.
       AND (NOT :leave_unknown OR s.last_error_kind IS DISTINCT FROM 'unknown')
     ORDER BY s.contact_id FOR NO KEY UPDATE
)
SELECT * FROM locked

-- name: count_retryable
SELECT count(*) FILTER (WHERE state = 'failed') AS requeued, count(*) FILTER (WHERE state = 'queued') AS hastened
  FROM retryable

-- name: count_unknown
SELECT count(*) FROM crm_syncs
 WHERE crm = :crm AND state = 'failed' AND last_error_kind = 'unknown'

-- name: retry_failed
SELECT count(*) FROM crm_select(:crm, ARRAY(SELECT contact_id FROM retryable WHERE state = 'failed'))

-- name: hasten_waiting
-- A retry asked for by a user does not wait for the back-off; the attempts already made stay counted.
UPDATE crm_syncs SET run_at = now()
 WHERE crm = :crm AND contact_id IN (SELECT contact_id FROM retryable WHERE state = 'queued')

-- name: kinds
SELECT last_error_kind FROM crm_syncs WHERE crm = :crm AND state = 'failed'
UNION
SELECT last_error_kind FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND last_error_kind IS NOT NULL ORDER BY 1
