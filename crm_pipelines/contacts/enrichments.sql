-- What workflows have found out about contacts.

-- name: earlier
-- The message with this id, if it came before.
SELECT digest, filled, overwritten, kept FROM crm_enrichments
 WHERE contact_id = :contact_id AND crm = :crm AND enrichment_id = :enrichment_id

-- name: is_outdated
-- Whether something was taken of a message that was sent later.
SELECT EXISTS (SELECT FROM crm_enrichments
                WHERE contact_id = :contact_id AND sent_at > :sent_at AND (filled <> '{}' OR overwritten <> '{}')) AS outdated

-- name: is_ahead
SELECT CAST(:sent_at AS timestamptz) > now() + CAST(:margin AS interval) AS ahead

-- name: hold
-- What a workflow found is no news to it: its own row counts as up to date while the contact is filled, so that the trigger on
-- crm_contacts passes it over. A row that an edit has not reached yet is left to that edit. The workflow knows more than it was
-- told from now on, so whoever takes back what it found is news to it.
UPDATE crm_syncs s SET contact_revision = 9223372036854775807,
       payload_hash = CASE WHEN s.crm <> :crm THEN s.payload_hash END
  FROM crm_contacts c
 WHERE c.id = s.contact_id AND s.contact_id = :contact_id AND s.crm = ANY (CAST(:crms AS text[]))
   AND s.contact_revision >= c.revision

-- name: settle
UPDATE crm_syncs s SET contact_revision = c.revision
  FROM crm_contacts c
 WHERE c.id = s.contact_id AND s.contact_id = :contact_id AND s.contact_revision = 9223372036854775807

-- name: insert
INSERT INTO crm_enrichments (contact_id, crm, enrichment_id, digest, status, sent_at, error, confidence, sources,
                             duration_seconds, api_calls, cost_estimate, found, metadata, filled, overwritten, kept)
VALUES (:contact_id, :crm, :enrichment_id, :digest, :status, :sent_at, :error, :confidence, CAST(:sources AS text[]),
        :duration_seconds, :api_calls, :cost_estimate, CAST(:found AS jsonb), CAST(:metadata AS jsonb),
        CAST(:filled AS text[]), CAST(:overwritten AS text[]), CAST(:kept AS jsonb))

-- name: of_contact
SELECT crm, enrichment_id, status, sent_at, received_at, error, confidence, sources, duration_seconds, api_calls,
       cost_estimate, metadata ->> 'source' AS source, metadata ->> 'version' AS version, found, filled, overwritten, kept
  FROM crm_enrichments WHERE contact_id = :contact_id ORDER BY received_at DESC, id DESC LIMIT :limit

-- name: awaited
-- Workflows that were asked and have not told anything since. Asked is who was delivered; an answer may come while the
-- delivery is still under way, so its beginning counts, for as long as the ledger is kept.
SELECT s.crm, asked.at AS asked_at
  FROM crm_syncs s
  LEFT JOIN crm_destinations d ON d.name = s.crm
 CROSS JOIN LATERAL (SELECT coalesce((SELECT a.started_at FROM crm_attempts a
                                       WHERE a.contact_id = s.contact_id AND a.crm = s.crm AND a.outcome = 'synced'
                                       ORDER BY a.claim_no DESC LIMIT 1), s.synced_at) AS at) asked
 WHERE s.contact_id = :contact_id AND coalesce(d.kind, s.crm) = 'n8n' AND asked.at IS NOT NULL
   AND NOT EXISTS (SELECT FROM crm_enrichments e
                    WHERE e.contact_id = s.contact_id AND e.crm = s.crm AND e.received_at >= asked.at)
 ORDER BY s.crm
