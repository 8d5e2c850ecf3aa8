-- The delay from an edit or a selection to the CRM: docs/glossary.md. Along the ledger's index and the queue's partial ones, and
-- never of more than :most rows of each: without ORDER BY, a table without statistics might be read in whole.

-- name: delays
-- Of the deliveries of the window.
SELECT contacts, shares[1] AS p50_seconds, shares[2] AS p95_seconds, shares[3] AS p99_seconds
  FROM (SELECT count(*) AS contacts,
               percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
                   ORDER BY extract(epoch FROM greatest(finished_at - wanted_since, interval '0'))::float8) AS shares
          FROM (SELECT finished_at, wanted_since FROM crm_attempts
                 WHERE crm = :crm AND finished_at > now() - CAST(:window AS interval)
                 ORDER BY finished_at DESC LIMIT :most) latest
         WHERE wanted_since IS NOT NULL) delays

-- name: lateness
-- The same with those that still wait, and have for longer than :late: each with what it has waited so far. Since sending was
-- last on, and without the time before that: what waited for a stop or a pause is known as that.
WITH seconds AS (
    SELECT extract(epoch FROM greatest(a.finished_at - greatest(a.wanted_since, g.counting_since), interval '0'))::float8
               AS seconds, false AS waits
      FROM crm_gates g, LATERAL (
           SELECT finished_at, wanted_since FROM crm_attempts
            WHERE crm = g.crm AND finished_at > greatest(now() - CAST(:window AS interval), g.counting_since)
            ORDER BY finished_at DESC LIMIT :most) a
     WHERE g.crm = :crm AND a.wanted_since IS NOT NULL
    UNION ALL
    SELECT extract(epoch FROM now() - greatest(s.wanted_since, g.counting_since))::float8, true
      FROM crm_gates g, LATERAL (
           (SELECT wanted_since FROM crm_syncs WHERE crm = g.crm AND state = 'queued'
             ORDER BY run_at, contact_id LIMIT :most)
           UNION ALL
           (SELECT wanted_since FROM crm_syncs WHERE crm = g.crm AND state = 'claimed'
             ORDER BY contact_id LIMIT :most)) s
     WHERE g.crm = :crm AND greatest(s.wanted_since, g.counting_since) < now() - CAST(:late AS interval)
       AND s.wanted_since IS NOT NULL
)
SELECT count(*) FILTER (WHERE NOT waits) AS delivered, count(*) FILTER (WHERE waits) AS waiting,
       coalesce(percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds), 0) AS p95_seconds
  FROM seconds
