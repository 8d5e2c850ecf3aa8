-- The attributes of a CRM's account, and the contacts of which they left something out.

-- name: read
-- Not those of an account to which nothing is delivered any more.
SELECT a.attributes FROM crm_attributes a JOIN crm_gates g ON g.crm = a.crm
 WHERE a.crm = :crm AND a.attributes IS NOT NULL AND a.account IS NOT DISTINCT FROM g.account

-- name: note_look
INSERT INTO crm_attributes (crm) VALUES (:crm) ON CONFLICT (crm) DO UPDATE SET looked_at = now()

-- name: keep
INSERT INTO crm_attributes (crm, account, attributes, version, seen_at)
SELECT crm, account, CAST(:attributes AS jsonb), :version, now() FROM crm_gates WHERE crm = :crm
ON CONFLICT (crm) DO UPDATE SET account = excluded.account, attributes = excluded.attributes,
       version = excluded.version, seen_at = now(), looked_at = now()

-- name: look_is_due
-- Whether something was left out, and the account was not looked at for a while: somebody may have added an attribute.
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'synced' AND left_out <> '{}'
                  AND NOT left_out <@ CAST(:judged_here AS text[]))
   AND NOT EXISTS (SELECT 1 FROM crm_attributes WHERE crm = :crm AND looked_at > now() - CAST(:pause AS interval))

-- name: sent_names
-- Of all attributes that the CRM is said to hold values of ours for. Reads the whole table.
SELECT DISTINCT unnest(sent_attributes) AS name FROM crm_syncs WHERE crm = :crm

-- name: forget_sent
-- Values of attributes that are gone, or were made anew, are gone with them. What is being delivered
-- is judged again when it ends (`apply` in claims.sql).
WITH lost AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND sent_attributes && CAST(:names AS text[]) AND state <> 'claimed'
     LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET payload_hash = NULL, attributes_version = NULL,
       sent_attributes = ARRAY(SELECT unnest(s.sent_attributes) EXCEPT SELECT unnest(CAST(:names AS text[])) ORDER BY 1),
       left_out = ARRAY(SELECT unnest(s.left_out)
                         UNION (SELECT unnest(s.sent_attributes) INTERSECT SELECT unnest(CAST(:names AS text[]))) ORDER BY 1)
  FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: judge_anew
-- Whoever has a value of these attributes: whether it is still the right one is found when it is prepared.
WITH found AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'synced' AND sent_attributes && CAST(:names AS text[])
     LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', run_at = now(), wanted_since = NULL
  FROM found f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: requeue
-- Whoever has a value for an attribute that can be written, and was last judged by other attributes than these: by the
-- version and not by what has changed, since a delivery under way may still end by the former ones.
WITH found AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'synced' AND left_out <> '{}' AND left_out && CAST(:names AS text[])
       AND attributes_version IS DISTINCT FROM CAST(:version AS text)
     LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', run_at = now(), wanted_since = NULL
  FROM found f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id
