-- The ledger of deliveries over weeks: what is reported of it, and how its old part goes.

-- name: by_day
-- One row per day, outcome and kind, however many attempts there were.
SELECT date_trunc('day', finished_at) AS day, outcome, coalesce(kind, '') AS kind, count(*) AS attempts,
       sum(requests)::bigint AS requests
  FROM crm_attempts WHERE crm = :crm AND finished_at > now() - make_interval(days => :days)
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: times_to_delivery
-- From the user's selection to the first delivery after it, by the day of the delivery.
WITH delivered AS (
    SELECT s.contact_id, min(a.finished_at) AS at, extract(epoch FROM min(a.finished_at) - s.selected_at)::float8 AS seconds
      FROM crm_attempts a JOIN crm_syncs s ON s.contact_id = a.contact_id AND s.crm = a.crm AND a.finished_at >= s.selected_at
     WHERE a.crm = :crm AND a.outcome = 'synced' AND a.finished_at > now() - make_interval(days => :days)
       AND s.selected_at > now() - make_interval(days => :days)
     GROUP BY s.contact_id, s.selected_at
)
SELECT date_trunc('day', at) AS day, count(*) AS contacts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95_seconds
  FROM delivered GROUP BY GROUPING SETS ((1), ()) ORDER BY 1 NULLS LAST

-- name: delays
-- From the edit or selection to the confirmation by the CRM, by the day of the confirmation.
SELECT day, contacts, shares[1] AS p50_seconds, shares[2] AS p95_seconds, shares[3] AS p99_seconds
  FROM (SELECT date_trunc('day', finished_at) AS day, count(*) AS contacts,
               percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
                   ORDER BY extract(epoch FROM greatest(finished_at - wanted_since, interval '0'))::float8) AS shares
          FROM crm_attempts
         WHERE crm = :crm AND finished_at > now() - make_interval(days => :days) AND wanted_since IS NOT NULL
         GROUP BY GROUPING SETS ((1), ())) delays
 ORDER BY day NULLS LAST

-- name: parked
-- What nothing more happens to until somebody acts, and since when the first of each kind.
SELECT crm_sync_status(state, attempts) AS status, last_error_kind AS kind, coalesce(last_error_code, '') AS code,
       count(*) AS contacts, min(last_attempt_at) AS since
  FROM crm_syncs WHERE crm = :crm AND state IN ('failed', 'skipped')
 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3

-- name: prune_attempts
-- A part of what is older, oldest first. An outcome that nobody carried over yet stays.
DELETE FROM crm_attempts WHERE id IN (
    SELECT id FROM crm_attempts
     WHERE crm = :crm AND finished_at < now() - make_interval(days => :days) AND applied_at IS NOT NULL
     ORDER BY finished_at LIMIT :most)

-- name: prune_imports
DELETE FROM crm_bulk_imports WHERE crm = :crm AND state = 'ended' AND ended_at < now() - make_interval(days => :days)

-- name: count_old_attempts
SELECT count(*) FROM crm_attempts
 WHERE crm = :crm AND finished_at < now() - make_interval(days => :days) AND applied_at IS NOT NULL
