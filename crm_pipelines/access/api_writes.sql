-- Writes through the HTTP API: who made them, and the answers that a repeated request gets again.

-- name: record
INSERT INTO crm_api_writes (token_id, action, crms, contacts, contact_ids, request_id)
VALUES (:token_id, :action, :crms, :contacts, CAST(:contact_ids AS uuid[]), :request_id)

-- name: prune
-- A part of what is older, oldest first.
DELETE FROM crm_api_writes WHERE id IN (
    SELECT id FROM crm_api_writes WHERE at < now() - make_interval(days => :days) ORDER BY at LIMIT :most)

-- name: count_old
SELECT count(*) FROM crm_api_writes WHERE at < now() - make_interval(days => :days)

-- name: forget_old_keys
DELETE FROM crm_idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM crm_idempotency_keys WHERE created_at < now() - interval '1 day' LIMIT 1000 FOR UPDATE SKIP LOCKED))

-- name: claim_key
-- While the first request with this key is under way, the second waits here for its end.
INSERT INTO crm_idempotency_keys (token_id, key, fingerprint) VALUES (:token_id, :key, :fingerprint)
ON CONFLICT DO NOTHING RETURNING key

-- name: kept
SELECT fingerprint, status, answer, contact_id FROM crm_idempotency_keys WHERE token_id = :token_id AND key = :key

-- name: keep
UPDATE crm_idempotency_keys SET status = :status, answer = CAST(:answer AS jsonb), contact_id = :contact_id
 WHERE token_id = :token_id AND key = :key
