-- Scans of an account, in search of those who are on its block-lists. docs/architecture.md, "In bulk".

-- name: forget_old
DELETE FROM crm_walks WHERE crm = :crm AND begun_at < now() - CAST(:longest_life AS interval)

-- name: begin
INSERT INTO crm_walks (crm) VALUES (:crm) RETURNING id

-- name: complete
UPDATE crm_walks SET completed_at = now() WHERE id = :id
RETURNING (SELECT count(*) FROM crm_blocked WHERE walk_id = :id) AS blocked

-- name: among
SELECT DISTINCT digest FROM crm_blocked WHERE walk_id = :id AND digest = ANY (CAST(:digests AS bytea[]))

-- name: written_down
SELECT digest FROM crm_blocked WHERE walk_id = :id

-- name: forget
DELETE FROM crm_walks WHERE id = :id

-- name: ours
SELECT id::text FROM crm_contacts WHERE id = ANY (CAST(:ids AS uuid[]))
