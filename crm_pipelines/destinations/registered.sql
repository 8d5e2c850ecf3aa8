-- Who delivers to what.

-- name: is_fresh
SELECT EXISTS (SELECT FROM crm_destinations
                WHERE name = :name AND kind = :kind AND seen_at > now() - interval '1 hour')

-- name: has_gate
SELECT EXISTS (SELECT FROM crm_gates WHERE crm = :name)

-- name: see
INSERT INTO crm_destinations AS d (name, kind) VALUES (:name, :kind)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, seen_at = now()

-- name: add_gate
INSERT INTO crm_gates (crm, home) VALUES (:name, crm_home('crm_gates'::regclass)) ON CONFLICT DO NOTHING

-- name: suppress_everybody_known
-- Who is suppressed at every other destination; the persons are as any one of those has them.
INSERT INTO crm_suppressions (person, crm, digest, key_id, reason, since, by)
SELECT x.person, :name, x.digest, x.key_id, x.reason, x.since, x.by FROM crm_suppressions x
 WHERE x.lifted_at IS NULL AND x.crm = (SELECT min(crm) FROM crm_gates WHERE crm <> :name)
   AND NOT EXISTS (SELECT FROM crm_gates g WHERE g.crm <> :name AND NOT EXISTS (
                   SELECT FROM crm_suppressions y WHERE y.digest = x.digest AND y.crm = g.crm AND y.lifted_at IS NULL))
ON CONFLICT (digest, crm) WHERE lifted_at IS NULL DO NOTHING

-- name: suppress_contacts_known
SELECT count(*) FROM crm_suppress(:name, ARRAY(
    SELECT s.contact_id FROM crm_syncs s
     WHERE s.crm = (SELECT min(crm) FROM crm_gates WHERE crm <> :name)
       AND s.state = 'skipped' AND s.last_error_kind = 'suppressed'
       AND NOT EXISTS (SELECT FROM crm_gates g WHERE g.crm <> :name AND NOT EXISTS (
                       SELECT FROM crm_syncs t WHERE t.contact_id = s.contact_id AND t.crm = g.crm
                          AND t.state = 'skipped' AND t.last_error_kind = 'suppressed'))))

-- name: names
SELECT crm FROM crm_gates ORDER BY crm

-- name: is_registered
SELECT EXISTS (SELECT FROM crm_destinations WHERE name = :name AND seen_at > now() - interval '1 day')

-- name: unattended
-- Each with when it was last seen in somebody's settings; NULL: never.
SELECT g.crm, d.seen_at FROM crm_gates g LEFT JOIN crm_destinations d ON d.name = g.crm
 WHERE d.seen_at IS NULL OR d.seen_at < now() - interval '1 day'

-- name: waiting
-- Claims that have run out are among them: nobody takes them back.
SELECT w.crm, (SELECT count(*) FROM crm_syncs s
                WHERE s.crm = w.crm AND (s.state = 'queued' OR (s.state = 'claimed' AND s.lease_until < now()))) AS contacts
  FROM unnest(CAST(:names AS text[])) WITH ORDINALITY w (crm, position) ORDER BY w.position

-- name: long_selected
SELECT count(*) AS contacts, min(selected_at) AS since FROM crm_syncs
 WHERE crm = :name AND state = 'queued' AND selected_at < now() - interval '1 day'
