-- Suppressions of one database for another one with the same key of digests, and its revoked tokens.

-- name: key
SELECT sha256(inner_block || outer_block) FROM crm_digest_keys WHERE id = 1

-- name: in_force
SELECT person, crm, digest, reason, since, by FROM crm_suppressions
 WHERE lifted_at IS NULL AND key_id = 1 ORDER BY id

-- name: count
SELECT count(*) FROM crm_suppressions WHERE lifted_at IS NULL

-- name: take
INSERT INTO crm_suppressions (person, crm, digest, reason, since, by)
VALUES (:person, :crm, :digest, :reason, :since, :by)
ON CONFLICT (digest, crm) WHERE lifted_at IS NULL DO NOTHING

-- name: revoked
SELECT id, revoked_at FROM crm_tokens WHERE revoked_at IS NOT NULL

-- name: revoke
UPDATE crm_tokens SET revoked_at = :revoked_at WHERE id = :id AND revoked_at IS NULL

-- name: end_sessions
-- Some of them were signed out of since.
DELETE FROM crm_sessions
