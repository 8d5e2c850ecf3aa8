-- Bulk imports: claims that a whole import holds, under the name 'import:<id>'. docs/architecture.md, "In bulk".
-- tended_by is the id of a run and, behind a slash, a word that one process of it has drawn: two may execute one run. Each
-- change of an import's state is made by whoever tends it.
-- No statement waits for a row that somebody's transaction holds. What an import leaves behind for that reason when it
-- ends, `rescue` in claims.sql returns.

-- name: begin
INSERT INTO crm_bulk_imports (crm, tended_by, mapping_version, attributes_version, walk_id)
VALUES (:crm, :tender, :mapping_version, :attributes_version, :walk_id) RETURNING id

-- name: note_failed
-- One that was given up before it began, since the account could not be read.
INSERT INTO crm_bulk_imports (crm, mapping_version, state, ended_as, submitted_at, ended_at)
VALUES (:crm, :mapping_version, 'ended', 'unanswered', now(), now())

-- name: claim
-- As for single deliveries. Crash suspects and contacts that an import failed to bring in go singly.
-- The floor: what was claimed before in this run's imports need not be scanned again.
WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0 AND bulk_ok
       AND (run_at, contact_id) > (CAST(:after_run_at AS timestamptz), CAST(:after_id AS uuid))
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE crm_syncs s
       SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :holder, lease_until = now() + :lease
      FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
    RETURNING s.contact_id, s.claim_no, s.revision, p.run_at
)
SELECT contact_id, claim_no, revision, run_at FROM claimed ORDER BY run_at, contact_id

-- name: due
-- Whether at least so many contacts could go in bulk.
SELECT count(*) >= :threshold FROM (
    SELECT 1 FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0 AND bulk_ok LIMIT :threshold) AS first

-- name: beat
UPDATE crm_bulk_imports SET tended_at = now() WHERE id = :id AND tended_by = :tender AND state = :state RETURNING id

-- name: set_apart
-- Gives claims back uncharged, to be delivered singly.
WITH free AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'claimed' AND claimed_by = :holder AND contact_id = ANY (CAST(:contact_ids AS uuid[]))
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', bulk_ok = false, claimed_by = NULL, lease_until = NULL
  FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: submitting
-- The intent: from here on the CRM may have the body. Not without a complete and young scan: an import might subscribe
-- again whom nobody has looked for.
UPDATE crm_bulk_imports i SET state = 'submitting', tended_at = now(), submitted_at = now(),
       modified_since = :modified_since, deadline = now() + CAST(:time_limit AS interval)
  FROM crm_walks w
 WHERE i.id = :id AND i.tended_by = :tender AND i.state = 'preparing'
   AND w.id = i.walk_id AND w.completed_at IS NOT NULL AND w.begun_at > now() - CAST(:scan_trust AS interval)
RETURNING i.id

-- name: drop_lost
-- What was taken over since it was prepared must not be sent.
-- OFFSET 0 keeps the look-up one by key for each row: there are no statistics yet of what was claimed a moment ago, and
-- a join planned without them compares every row with every other.
DELETE FROM crm_bulk_rows r
 WHERE r.import_id = :id
   AND NOT EXISTS (SELECT 1 FROM crm_syncs s WHERE s.contact_id = r.contact_id AND s.crm = :crm
                      AND s.claim_no = r.claim_no AND s.state = 'claimed' OFFSET 0)
RETURNING r.key

-- name: accepted
UPDATE crm_bulk_imports SET state = 'waiting', process_id = :process_id, tended_at = now(),
       contacts = (SELECT count(*) FROM crm_bulk_rows WHERE import_id = :id)
 WHERE id = :id AND tended_by = :tender AND state IN ('submitting', 'waiting') RETURNING id

-- name: tend
-- The imports under way at the CRM that nobody else looks after.
UPDATE crm_bulk_imports i SET tended_by = :tender, tended_at = now()
 WHERE i.crm = :crm AND i.state IN ('waiting', 'proving')
   AND (i.tended_by IS NULL OR i.tended_by = :tender OR i.tended_at < now() - CAST(:silence AS interval))
RETURNING i.id, i.process_id, i.modified_since, i.deadline <= now() AS overdue, i.state = 'proving' AS completed,
          i.proved, (SELECT count(*) FROM crm_bulk_rows r WHERE r.import_id = i.id) AS contacts

-- name: leave
UPDATE crm_bulk_imports i SET tended_by = NULL
 WHERE i.crm = :crm AND i.tended_by = :tender AND i.state IN ('waiting', 'proving')
RETURNING i.id, (SELECT count(*) FROM crm_bulk_rows r WHERE r.import_id = i.id) AS contacts

-- name: proved
SELECT id, proved FROM crm_bulk_imports WHERE id = ANY (CAST(:ids AS uuid[]))

-- name: any_open
SELECT EXISTS (SELECT 1 FROM crm_bulk_imports WHERE crm = :crm AND state IN ('waiting', 'proving'))

-- name: completed
UPDATE crm_bulk_imports SET state = 'proving', tended_at = now()
 WHERE id = :id AND tended_by = :tender AND state IN ('waiting', 'proving') RETURNING id

-- name: expected
SELECT key, names, proof FROM crm_bulk_rows WHERE import_id = :id AND key = ANY (CAST(:keys AS text[]))

-- name: record_proved
-- The ledger entries of contacts that were seen at the CRM as they were sent. A contact deleted meanwhile leaves none; one
-- that somebody's transaction holds is left for the next call. Of two calls at once that name the same contact, one deletes
-- its row, and what it records and counts is that one's.
-- Where nothing has happened since the claim (`current`), the state is set in the same statement, as `apply` in claims.sql
-- sets it for such an outcome: an entry that is written twice costs as much as all the rest. The others are left to `apply`.
-- There are no statistics of rows as young as these, so the form says how each is found, by its key: planned as a join, all
-- of the import and all contacts would be read for each page. Hence ANY with an array, hashed IN within CASE, since a plain
-- IN is made a join, and FULL JOIN, for the reason that stands at `apply`; and that a state is `claimed` is not asked by
-- its name, which has an index.
WITH import AS MATERIALIZED (
    SELECT mapping_version, attributes_version, submitted_at, 'import:' || id AS holder FROM crm_bulk_imports WHERE id = :id
), there AS MATERIALIZED (
    SELECT id FROM crm_contacts
     WHERE id = ANY (ARRAY(SELECT contact_id FROM crm_bulk_rows
                            WHERE import_id = :id AND key = ANY (CAST(:keys AS text[])))) FOR KEY SHARE SKIP LOCKED
), proved AS (
    DELETE FROM crm_bulk_rows r
     WHERE r.import_id = :id AND r.key = ANY (CAST(:keys AS text[]))
       AND (r.contact_id IN (SELECT id FROM there)
            OR NOT EXISTS (SELECT 1 FROM crm_contacts c WHERE c.id = r.contact_id OFFSET 0))
    RETURNING r.*
), kept AS MATERIALIZED (
    SELECT p.*, d.remote_id, nullif(lower(d.mark), p.contact_id::text) AS remote_mark
      FROM proved p FULL JOIN unnest(CAST(:keys AS text[]), CAST(:remote_ids AS text[]), CAST(:marks AS text[]))
                              AS d(key, remote_id, mark) ON d.key = p.key
     WHERE CASE WHEN p.contact_id IN (SELECT id FROM there) THEN true END
), current AS MATERIALIZED (
    SELECT s.contact_id, s.wanted_since
      FROM kept k,
           LATERAL (SELECT contact_id, wanted_since FROM crm_syncs
                     WHERE contact_id = k.contact_id AND crm = :crm AND claim_no = k.claim_no
                       AND claimed_by = (SELECT holder FROM import) AND revision = k.revision
                       FOR NO KEY UPDATE SKIP LOCKED) s
     WHERE NOT EXISTS (SELECT 1 FROM crm_attributes t
                        WHERE t.crm = :crm AND t.version <> (SELECT attributes_version FROM import))
       AND k.contact_id NOT IN (SELECT contact_id FROM crm_enrichments
                                 WHERE contact_id = ANY (ARRAY(SELECT contact_id FROM kept)) AND crm = :crm)
), entry AS (
    INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, remote_key, remote_id, remote_mark,
                              lists, payload_hash, sent_attributes, mapping_version, warnings, left_out,
                              attributes_version, started_at, applied_at, wanted_since)
    SELECT k.contact_id, :crm, k.claim_no, i.holder, k.revision, 'synced', k.key, k.remote_id, k.remote_mark,
           k.lists, k.payload_hash, k.names, i.mapping_version, k.warnings, k.left_out,
           i.attributes_version, i.submitted_at,
           CASE WHEN c.contact_id IS NOT NULL THEN now() END, c.wanted_since
      FROM kept k CROSS JOIN import i FULL JOIN current c ON c.contact_id = k.contact_id
    ON CONFLICT (contact_id, crm, claim_no) DO NOTHING
    RETURNING contact_id, applied_at
), changed AS (
    UPDATE crm_syncs s SET
        state = 'synced', due_since = NULL, wanted_since = NULL, synced_revision = k.revision, synced_at = now(),
        payload_hash = k.payload_hash, sent_attributes = k.names, maybe_keys = '{}', remote_key = k.key,
        remote_id = coalesce(k.remote_id, s.remote_id), remote_mark = k.remote_mark, left_out = k.left_out,
        lists = CASE WHEN k.lists <@ s.lists THEN s.lists
                     WHEN s.lists = '{}' THEN k.lists
                     ELSE ARRAY(SELECT unnest(s.lists) UNION SELECT unnest(k.lists)) END,
        attributes_version = (SELECT attributes_version FROM import),
        mapping_version = (SELECT mapping_version FROM import), attempts = 0, crashes = 0, bulk_ok = true,
        claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
        last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL,
        last_attempt_at = now()
      FROM kept k
     WHERE CASE WHEN k.contact_id IN (SELECT contact_id FROM entry WHERE applied_at IS NOT NULL) THEN true END
       AND s.contact_id = k.contact_id AND s.crm = :crm
       AND CASE WHEN s.claim_no = k.claim_no AND s.claimed_by = (SELECT holder FROM import) AND s.revision = k.revision
                THEN true END
    RETURNING s.contact_id
), counted AS (
    UPDATE crm_bulk_imports SET proved = proved + (SELECT count(*) FROM proved), tended_at = now() WHERE id = :id
), fate AS (
    SELECT contact_id, contact_id NOT IN (SELECT id FROM there) AS gone,
           contact_id IN (SELECT contact_id FROM changed) AS synced
      FROM proved
)
SELECT count(*) FILTER (WHERE synced) AS synced, count(*) FILTER (WHERE gone) AS gone,
       coalesce(array_agg(contact_id) FILTER (WHERE NOT gone AND NOT synced), '{}') AS others
  FROM fate

-- name: record_unproved
-- The ledger entries of some of the others, by their keys behind `after`, and the last key that was looked at. They go back
-- to the queue uncharged and are delivered singly. One that somebody's transaction holds is passed over. Nothing, if
-- somebody else tends the import by now: whoever slept has not seen what is at the CRM.
-- Each is found by its key, see `record_proved`; and the rows in the order of their key: asked for by the import alone, all
-- that are left of it would be sorted for each call.
WITH tended AS MATERIALIZED (
    SELECT * FROM crm_bulk_imports WHERE id = :id AND tended_by = :tender
), next AS MATERIALIZED (
    SELECT * FROM crm_bulk_rows WHERE (import_id, key) > (CAST(:id AS uuid), CAST(:after AS text))
     ORDER BY import_id, key LIMIT :limit
), sent AS MATERIALIZED (
    SELECT n.* FROM next n CROSS JOIN tended t WHERE n.import_id = t.id
), there AS MATERIALIZED (
    SELECT id FROM crm_contacts WHERE id = ANY (ARRAY(SELECT contact_id FROM sent)) FOR KEY SHARE SKIP LOCKED
), kept AS MATERIALIZED (
    SELECT * FROM sent WHERE CASE WHEN contact_id IN (SELECT id FROM there) THEN true END
), unproved AS (
    DELETE FROM crm_bulk_rows r
     WHERE r.import_id = :id AND r.key = ANY (ARRAY(SELECT key FROM sent))
       AND (r.contact_id IN (SELECT id FROM there)
            OR NOT EXISTS (SELECT 1 FROM crm_contacts c WHERE c.id = r.contact_id OFFSET 0))
    RETURNING r.contact_id
), entry AS (
    INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, kind, message, mapping_version,
                              warnings, started_at)
    SELECT k.contact_id, :crm, k.claim_no, 'import:' || t.id, k.revision, 'snoozed', 'unproved',
           left(:reason || coalesce(' The CRM''s report says: ' || k.reported || '.', ''), 1000),
           t.mapping_version, k.warnings, t.submitted_at
      FROM kept k CROSS JOIN tended t
    ON CONFLICT (contact_id, crm, claim_no) DO NOTHING
), counted AS (
    UPDATE crm_bulk_imports SET tended_at = now() WHERE id = (SELECT id FROM tended)
), fate AS (
    SELECT coalesce(u.contact_id, k.contact_id) AS contact_id, k.contact_id IS NULL AS gone
      FROM unproved u FULL JOIN kept k ON k.contact_id = u.contact_id
)
SELECT coalesce(array_agg(contact_id) FILTER (WHERE NOT gone), '{}') AS contacts,
       count(*) FILTER (WHERE gone) AS gone, (SELECT max(key) FROM sent) AS last
  FROM fate

-- name: report
UPDATE crm_bulk_rows r SET reported = d.reported
  FROM unnest(CAST(:keys AS text[]), CAST(:reports AS text[])) AS d(key, reported)
 WHERE r.import_id = :id AND r.key = d.key

-- name: end
UPDATE crm_bulk_imports SET state = 'ended', ended_as = :ended_as, ended_at = now(), tended_by = NULL
 WHERE id = :id AND tended_by = :tender AND state <> 'ended' RETURNING id

-- name: give_back
WITH free AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'claimed' AND claimed_by = :holder FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', claimed_by = NULL, lease_until = NULL
  FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: latest_ends
-- How those imports ended that were sent and came to something, the newest first: at this account, and not those that a
-- closed gate or a stop held back. One that ended of itself and brought nobody in counts as unproved.
SELECT CASE WHEN i.ended_as = 'proved' AND i.proved = 0 THEN 'unproved' ELSE i.ended_as END AS ended_as,
       now() - i.ended_at AS age
  FROM crm_bulk_imports i JOIN crm_gates g ON g.crm = i.crm
 WHERE i.crm = :crm AND i.state = 'ended' AND i.submitted_at IS NOT NULL AND i.ended_as <> 'given_back'
   AND i.ended_at > coalesce(g.account_since, '-infinity')
 ORDER BY i.ended_at DESC, i.id LIMIT :limit

-- name: drop_rows
DELETE FROM crm_bulk_rows WHERE import_id = :id RETURNING key

-- name: lose
-- Imports whose worker died before the CRM's answer was written down. One that was still being prepared by a run that has
-- ended can be taken at once: before it is sent, its state must change, and that fails from now on.
UPDATE crm_bulk_imports SET state = 'ended', ended_as = 'lost', ended_at = now(), tended_by = NULL
 WHERE crm = :crm AND state IN ('preparing', 'submitting')
   AND (tended_at < now() - CAST(:silence AS interval)
        OR (state = 'preparing' AND split_part(tended_by, '/', 1) = ANY (CAST(:ended_runs AS text[]))))
RETURNING id

-- name: without_nested_loops
-- There are no statistics of rows as young as these; a nested loop would compare every one with every other.
SET LOCAL enable_nestloop = off

-- name: return_lost
-- An import is an upsert, so what was ready goes again. What was being prepared when the worker died may be why it died:
-- that goes singly, where a crash is charged.
WITH held AS MATERIALIZED (
    SELECT s.contact_id, r.key IS NOT NULL AS ready
      FROM crm_syncs s LEFT JOIN crm_bulk_rows r ON r.import_id = :id AND r.contact_id = s.contact_id
     WHERE s.crm = :crm AND s.state = 'claimed' AND s.claimed_by = :holder FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', bulk_ok = h.ready, claimed_by = NULL, lease_until = NULL
  FROM held h WHERE s.contact_id = h.contact_id AND s.crm = :crm AND s.state = 'claimed' AND s.claimed_by = :holder
RETURNING s.contact_id
