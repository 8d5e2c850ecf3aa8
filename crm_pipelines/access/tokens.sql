-- Tokens for the HTTP API.

-- name: create
INSERT INTO crm_tokens (id, name, digest, scopes, expires_at)
VALUES (:id, :name, :digest, :scopes, now() + make_interval(days => CAST(:days AS integer)))
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING id

-- name: find
SELECT id, name, digest, scopes, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale
  FROM crm_tokens WHERE id = :id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- name: touch
UPDATE crm_tokens SET last_used_at = now()
 WHERE id = :id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')

-- name: all
SELECT id, name, scopes, created_at, last_used_at, expires_at, revoked_at FROM crm_tokens ORDER BY created_at, id

-- name: any
SELECT EXISTS (SELECT 1 FROM crm_tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))

-- name: revoke
UPDATE crm_tokens SET revoked_at = now() WHERE (name = :name OR id = :name) AND revoked_at IS NULL RETURNING id
