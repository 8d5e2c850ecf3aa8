-- Sessions of the status page.

-- name: forget_ended
DELETE FROM crm_sessions WHERE expires_at <= now()

-- name: begin
INSERT INTO crm_sessions (digest, token_id, expires_at) VALUES (:digest, :token_id, now() + :lifetime)

-- name: find
-- It ends with its token.
SELECT t.id, t.name, t.scopes, t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute' AS stale
  FROM crm_sessions s JOIN crm_tokens t ON t.id = s.token_id
 WHERE s.digest = :digest AND s.expires_at > now()
   AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())

-- name: end
DELETE FROM crm_sessions WHERE digest = :digest
