-- name: statuses
-- Contacts by their sync status, as the view `contacts` derives it. Who has no row is New.
WITH synced AS (
    SELECT crm_sync_status(state, attempts) AS status, count(*) AS contacts FROM crm_syncs WHERE crm = :crm GROUP BY 1
)
SELECT status, contacts FROM synced WHERE status <> 'New'
UNION ALL
SELECT 'New', (SELECT count(*) FROM crm_contacts) - coalesce(sum(contacts) FILTER (WHERE status <> 'New'), 0)::bigint
  FROM synced

-- name: due
SELECT count(*) AS due, min(run_at) AS oldest, extract(epoch FROM now() - min(run_at))::float8 AS oldest_seconds
  FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now()

-- name: next_due
SELECT min(run_at) FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at > now()

-- name: errors
-- Errors that stand at present, with the most recent text of each kind.
SELECT crm_sync_status(state, attempts) AS status, last_error_kind AS kind, count(*) AS contacts,
       (array_agg(last_error ORDER BY last_attempt_at DESC NULLS LAST))[1] AS sample
  FROM crm_syncs
 WHERE crm = :crm AND last_error_kind IS NOT NULL AND state IN ('failed', 'skipped', 'queued')
 GROUP BY 1, 2 ORDER BY (crm_sync_status(state, attempts) = 'Error') DESC, 3 DESC, 2
