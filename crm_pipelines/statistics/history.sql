-- How deliveries went over time, in steps of equal length.

-- name: note_depth
-- Walks the rows in the queue by their partial indexes, not the table.
INSERT INTO crm_queue_depths (crm, at, due, waiting, claimed)
SELECT :crm, date_trunc('minute', now()),
       (SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now()),
       (SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at > now()),
       (SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'claimed')
ON CONFLICT DO NOTHING

-- name: forget_depths
DELETE FROM crm_queue_depths WHERE crm = :crm AND at < now() - interval '32 days'

-- name: steps
-- The steps up to the present one, the longest queue of each (NULL: nobody looked), and what attempts came to.
WITH step AS (
    SELECT date_bin(:step, now(), 'epoch') - n * CAST(:step AS interval) AS at
      FROM generate_series(CAST(:count AS integer) - 1, 0, -1) n
), first AS (SELECT min(at) AS at FROM step),
depth AS (
    SELECT date_bin(:step, d.at, 'epoch') AS at, max(d.due + d.waiting + d.claimed) AS depth
      FROM crm_queue_depths d, first WHERE d.crm = :crm AND d.at >= first.at GROUP BY 1
), outcome AS (
    SELECT date_bin(:step, a.finished_at, 'epoch') AS at,
           -- The others asked nothing of the CRM, or only how fast: docs/glossary.md, attempt.
           count(*) FILTER (WHERE a.outcome = 'synced') AS delivered,
           count(*) FILTER (WHERE a.outcome IN ('retry', 'unknown', 'rejected', 'refused')) AS failed
      FROM crm_attempts a, first WHERE a.crm = :crm AND a.finished_at >= first.at GROUP BY 1
)
SELECT s.at, d.depth, coalesce(o.delivered, 0) AS delivered, coalesce(o.failed, 0) AS failed
  FROM step s LEFT JOIN depth d USING (at) LEFT JOIN outcome o USING (at) ORDER BY s.at

-- name: last_delivery
SELECT max(finished_at) FROM crm_attempts
 WHERE crm = :crm AND finished_at > now() - interval '32 days' AND outcome IN ('synced', 'unchanged')
