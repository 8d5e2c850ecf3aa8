-- Figures for those who watch over the deliveries: asked every minute, so each walks an index and no table.

-- name: figures
-- Counted since sending was last on: what failed for a stop or a pause is known as that. Which attempts count:
-- docs/glossary.md, attempt.
SELECT (SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'failed') AS failed,
       a.attempts, a.failed_attempts
  FROM crm_gates g, LATERAL (
    SELECT count(*) AS attempts, count(*) FILTER (WHERE outcome <> 'synced') AS failed_attempts
      FROM crm_attempts
     WHERE crm = g.crm AND finished_at > greatest(now() - interval '1 hour', g.counting_since)
       AND outcome IN ('synced', 'retry', 'unknown', 'rejected', 'refused')) a
 WHERE g.crm = :crm

-- name: reasons_of_contacts
SELECT crm_error_text(coalesce(last_error, last_error_kind)) AS text, count(*) AS contacts
  FROM crm_syncs
 WHERE crm = :crm AND state = :state AND last_error_kind IS NOT NULL
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :limit

-- name: reasons_of_last_hour
SELECT crm_error_text(coalesce(message, kind, outcome)) AS text, count(DISTINCT contact_id) AS contacts
  FROM crm_attempts
 WHERE crm = :crm AND outcome IN ('retry', 'unknown', 'rejected', 'refused')
   AND finished_at > greatest(now() - interval '1 hour', (SELECT counting_since FROM crm_gates WHERE crm = :crm))
 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :limit

-- name: stuck
-- Claims whose lease is over for so long that a run should have returned them to the queue.
SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND lease_until < now() - CAST(:longer AS interval)
