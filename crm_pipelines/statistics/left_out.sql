-- Values that deliveries have left out.

-- name: left_out
-- The warnings of the latest delivery of each contact of which something was left out, without addresses and long
-- numbers: a refusal in the CRM's words may hold some.
SELECT crm_error_text(warning) AS warning, count(*) AS contacts
  FROM (SELECT contact_id, crm FROM crm_syncs WHERE crm = :crm AND left_out <> '{}' LIMIT :most) s
 CROSS JOIN LATERAL (SELECT a.warnings FROM crm_attempts a
                      WHERE a.contact_id = s.contact_id AND a.crm = s.crm AND a.outcome IN ('synced', 'unchanged')
                      ORDER BY a.claim_no DESC LIMIT 1) latest
 CROSS JOIN LATERAL unnest(latest.warnings) AS warning
 GROUP BY 1

-- name: left_out_in_all
-- Of at most :most contacts.
WITH found AS MATERIALIZED (SELECT left_out FROM crm_syncs WHERE crm = :crm AND left_out <> '{}' LIMIT :most)
SELECT (SELECT count(*) FROM found) AS contacts, (SELECT count(DISTINCT name) FROM found, unnest(left_out) AS name) AS fields
