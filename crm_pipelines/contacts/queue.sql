-- The queue protocol. docs/architecture.md says why each guard is there.

-- name: claim
-- Disjoint (SKIP LOCKED), never more than asked for (MATERIALIZED), fenced by a growing claim_no.
WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at

-- name: claim_single
-- Those that an import could not bring in, while the others wait for one. Found by an index of their own.
WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes = 0 AND NOT bulk_ok
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at

-- name: claim_suspects
-- Contacts whose delivery took a worker down. They are delivered one at a time, after all others.
WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND run_at <= now() AND crashes > 0
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY crashes, run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at

-- name: claim_chosen
-- Contacts that the user named: a back-off does not hold them up, the gate and another claim do.
WITH picked AS MATERIALIZED (
    SELECT contact_id, run_at FROM crm_syncs
     WHERE crm = :crm AND state = 'queued' AND contact_id = ANY (CAST(:contact_ids AS uuid[]))
       AND (crashes > 0) = :suspects
       AND NOT EXISTS (SELECT 1 FROM crm_gates g WHERE g.crm = :crm AND g.paused_until > now())
     ORDER BY run_at, contact_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'claimed', claim_no = s.claim_no + 1, claimed_by = :run_id, lease_until = now() + :lease
  FROM picked p WHERE s.contact_id = p.contact_id AND s.crm = :crm
RETURNING s.contact_id, s.claim_no, p.run_at

-- name: peek
-- What a claim would take, for a dry run.
SELECT contact_id, claim_no, run_at FROM crm_syncs
 WHERE crm = :crm AND state = 'queued'
   AND CASE WHEN CAST(:contact_ids AS uuid[]) IS NULL THEN run_at <= now()
            ELSE contact_id = ANY (CAST(:contact_ids AS uuid[])) END
 ORDER BY run_at, contact_id LIMIT :limit

-- name: renew
-- What does not come back is lost: it must not be sent. A crash from here on is charged to the row.
UPDATE crm_syncs s SET lease_until = now() + :lease, delivery_started_at = coalesce(s.delivery_started_at, now())
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
 WHERE s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
RETURNING s.contact_id, s.revision

-- name: load
-- Read after the claim, never together with it: joined into the claim, a newer revision could come with older data.
-- address_held_by: the state of another contact under whose remote_key this contact's address is (still) known.
SELECT s.contact_id, s.claim_no, s.remote_key, s.remote_id, s.remote_mark, s.lists, s.sent_attributes, s.payload_hash,
       (SELECT o.state FROM crm_syncs o
         WHERE o.crm = s.crm AND o.remote_key = lower(btrim(c.email)) AND o.contact_id <> s.contact_id
         LIMIT 1) AS address_held_by,
       c.id, c.email, c.name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url, c.source_job_id,
       c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
  JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no
  JOIN crm_contacts c ON c.id = s.contact_id

-- name: glance
-- What `load` would give for a contact without a claim, selected or not.
SELECT c.id AS contact_id, coalesce(s.claim_no, 0) AS claim_no, s.remote_key, s.remote_id, s.remote_mark, s.lists,
       coalesce(s.sent_attributes, '{}') AS sent_attributes, s.payload_hash,
       (SELECT o.state FROM crm_syncs o
         WHERE o.crm = :crm AND o.remote_key = lower(btrim(c.email)) AND o.contact_id <> c.id
         LIMIT 1) AS address_held_by,
       c.id, c.email, c.name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url, c.source_job_id,
       c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at
  FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
 WHERE c.id = :contact_id

-- name: suppressed
-- Those of the contacts that must not be sent: by their id, by their address as it stands here, and by the address in
-- the form in which it would be sent. Asked right before; whatever let the contact get so far was not enough.
SELECT d.contact_id
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:keys AS text[])) AS d(contact_id, key), crm_digest_keys k
 WHERE k.id = 1
   AND EXISTS (SELECT 1 FROM crm_suppressions x
                WHERE x.crm = :crm AND x.lifted_at IS NULL
                  AND x.digest IN (crm_digest(k, 'contact', d.contact_id::text), crm_digest(k, 'email', d.key)))

-- name: record
-- The ledger entry of each delivery. A contact deleted meanwhile leaves none; a second entry for a claim is ignored.
INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, kind, code, message, http_status,
                          request_id, requests, retry_after, remote_key, remote_id, remote_mark, lists, payload_hash,
                          sent_attributes, mapping_version, warnings, started_at)
SELECT c.id, :crm, :claim_no, :run_id, :revision, :outcome, :kind, :code, left(:message, 1000), :http_status,
       :request_id, :requests, :retry_after, :remote_key, :remote_id, :remote_mark, :lists, :payload_hash, :sent_attributes,
       :mapping_version, :warnings, now() - CAST(:duration AS interval)
  FROM crm_contacts c WHERE c.id = :contact_id FOR KEY SHARE
ON CONFLICT (contact_id, crm, claim_no) DO NOTHING

-- name: apply
-- Carries recorded outcomes over to the state machine, each only while its claim is the current one.
-- `queued` is allowed for a success: a late answer after a rescue, before anyone claims again, saves a second send.
WITH outcome AS MATERIALIZED (
    SELECT * FROM crm_attempts
     WHERE crm = :crm AND run_id = :run_id AND applied_at IS NULL
       AND (CAST(:contact_ids AS uuid[]) IS NULL OR contact_id = ANY (CAST(:contact_ids AS uuid[])))
     ORDER BY contact_id FOR UPDATE
), changed AS (
    UPDATE crm_syncs s SET
        state = CASE
            WHEN o.outcome IN ('synced', 'unchanged') THEN CASE WHEN s.revision = o.revision THEN 'synced' ELSE 'queued' END
            WHEN o.outcome = 'rejected' THEN CASE WHEN s.revision = o.revision THEN 'failed' ELSE 'queued' END
            WHEN o.outcome = 'skipped' THEN CASE WHEN s.revision = o.revision THEN 'skipped' ELSE 'queued' END
            WHEN o.outcome = 'retry' THEN CASE WHEN s.attempts >= :max_retries THEN 'failed' ELSE 'queued' END
            ELSE 'queued' END,
        run_at = CASE
            WHEN o.outcome = 'retry' AND s.attempts < :max_retries
                THEN now() + (CAST(:delays AS interval[]))[s.attempts + 1] * (1 + 0.1 * random())
            WHEN o.outcome = 'snoozed' THEN now() + coalesce(o.retry_after, interval '0') * (1 + 0.1 * random())
            WHEN o.outcome IN ('synced', 'unchanged', 'rejected', 'skipped') AND s.revision <> o.revision THEN now()
            ELSE s.run_at END,
        synced_revision = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN o.revision ELSE s.synced_revision END,
        synced_at = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN now() ELSE s.synced_at END,
        payload_hash = CASE WHEN o.outcome = 'synced' THEN o.payload_hash ELSE s.payload_hash END,
        sent_attributes = CASE WHEN o.outcome = 'synced' THEN o.sent_attributes ELSE s.sent_attributes END,
        remote_key = CASE WHEN o.outcome = 'synced' THEN coalesce(o.remote_key, s.remote_key) ELSE s.remote_key END,
        remote_id = CASE WHEN o.outcome = 'synced' THEN coalesce(o.remote_id, s.remote_id) ELSE s.remote_id END,
        remote_mark = CASE WHEN o.outcome = 'synced' THEN o.remote_mark ELSE s.remote_mark END,
        -- Only more: what was asked for once is not asked for again.
        lists = CASE WHEN o.outcome <> 'synced' OR o.lists <@ s.lists THEN s.lists
                     ELSE ARRAY(SELECT unnest(s.lists) UNION SELECT unnest(o.lists)) END,
        mapping_version = coalesce(o.mapping_version, s.mapping_version),
        attempts = CASE
            WHEN o.outcome IN ('synced', 'unchanged', 'skipped') THEN 0
            WHEN o.outcome IN ('retry', 'rejected') THEN s.attempts + 1
            ELSE s.attempts END,
        crashes = CASE WHEN o.outcome IN ('snoozed', 'refused') THEN s.crashes ELSE 0 END,
        bulk_ok = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN true
                       WHEN o.kind = 'unproved' THEN false ELSE s.bulk_ok END,
        claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
        last_error_kind = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                               WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error_kind ELSE o.kind END,
        last_error_code = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                               WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error_code ELSE o.code END,
        last_error = CASE
            WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
            WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error
            WHEN o.outcome = 'retry' AND s.attempts >= :max_retries
                THEN left('Max retries exceeded (' || :max_retries || '). Last error: ' || coalesce(o.message, o.kind), 1000)
            ELSE coalesce(o.message, o.kind) END,
        last_http_status = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                                WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_http_status ELSE o.http_status END,
        last_attempt_at = CASE WHEN o.requests > 0 OR o.outcome = 'synced' THEN o.finished_at ELSE s.last_attempt_at END
      FROM outcome o
     WHERE s.contact_id = o.contact_id AND s.crm = :crm AND s.claim_no = o.claim_no
       AND (s.state = 'claimed' OR (s.state = 'queued' AND o.outcome IN ('synced', 'unchanged')))
    RETURNING s.contact_id, s.state
), marked AS (
    UPDATE crm_attempts a SET applied_at = now() FROM outcome o WHERE a.id = o.id
)
-- FULL, though what changed is a part of the outcomes: for want of statistics a LEFT JOIN is planned as a nested loop, and
-- compares every row with every other.
SELECT o.outcome, coalesce(c.state, 'superseded') AS state, o.kind, count(*) AS contacts, sum(o.requests) AS requests
  FROM outcome o FULL JOIN changed c ON c.contact_id = o.contact_id
 GROUP BY 1, 2, 3

-- name: release
-- Gives claims back uncharged. Without ids: all that this run holds and has not begun to deliver.
UPDATE crm_syncs s SET state = 'queued', claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
       run_at = greatest(s.run_at, now() + CAST(:delay AS interval))
 WHERE s.crm = :crm AND s.state = 'claimed' AND s.claimed_by = :run_id
   AND CASE WHEN CAST(:contact_ids AS uuid[]) IS NULL THEN s.delivery_started_at IS NULL
            ELSE s.contact_id = ANY (CAST(:contact_ids AS uuid[])) END
RETURNING s.contact_id

-- name: abandoned_runs
-- Runs with claims that may be stale, or with outcomes that nobody carried over, or with an import not yet sent.
SELECT DISTINCT claimed_by FROM crm_syncs
 WHERE crm = :crm AND state = 'claimed' AND claimed_by <> :run_id AND claimed_by NOT LIKE 'import:%'
UNION
SELECT tended_by FROM crm_bulk_imports WHERE crm = :crm AND state = 'preparing' AND tended_by <> :run_id

-- name: claims_by_run
SELECT claimed_by AS run_id, count(*) AS claims FROM crm_syncs
 WHERE crm = :crm AND state = 'claimed' AND claimed_by NOT LIKE 'import:%' GROUP BY 1 ORDER BY 2 DESC, 1

-- name: silent_runs
-- Runs that let a lease run out, whatever Dagster knows of them.
SELECT DISTINCT claimed_by FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND lease_until < now()

-- name: any_parked
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'failed' AND mapping_version <> :mapping_version)

-- name: rescue
-- Claims whose lease ran out, and those not begun whose run is known to have ended: before such a row is sent, its
-- lease must be renewed, and that fails from now on. The predicate is checked again under the lock.
-- Only a row that was being delivered is charged, and only when its run did not end in an orderly way.
WITH lost AS MATERIALIZED (
    SELECT contact_id,
           delivery_started_at IS NOT NULL AND NOT claimed_by = ANY (CAST(:orderly_runs AS text[])) AS charged
      FROM crm_syncs
     WHERE crm = :crm AND state = 'claimed'
       AND (lease_until < now()
            OR (delivery_started_at IS NULL AND (claimed_by = ANY (CAST(:orderly_runs AS text[]))
                                                 OR claimed_by = ANY (CAST(:crashed_runs AS text[])))))
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET
    state = CASE WHEN l.charged AND s.crashes + 1 >= :max_crashes THEN 'failed' ELSE 'queued' END,
    crashes = s.crashes + l.charged::int,
    run_at = now(),
    claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
    last_error_kind = CASE WHEN l.charged THEN 'crash' ELSE s.last_error_kind END,
    last_error_code = CASE WHEN l.charged THEN NULL ELSE s.last_error_code END,
    last_error = CASE WHEN l.charged
                      THEN 'The worker died while this contact was being delivered (' || s.crashes + 1 || ' of ' || :max_crashes || ').'
                      ELSE s.last_error END,
    last_http_status = CASE WHEN l.charged THEN NULL ELSE s.last_http_status END
  FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm AND s.state = 'claimed'
RETURNING l.charged, s.state

-- name: requeue_parked
-- Contacts that were refused for good under another mapping get a new chance.
UPDATE crm_syncs SET state = 'queued', run_at = now(), attempts = 0,
       last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
 WHERE crm = :crm AND state = 'failed' AND mapping_version <> :mapping_version

-- name: requeue_edited
-- The promise behind the trigger on crm_contacts: an edit that it missed (disabled during a restore, say) is found.
SELECT crm_requeue_edited(c.id, c.revision)
  FROM crm_contacts c JOIN crm_syncs s ON s.contact_id = c.id
 WHERE s.crm = :crm AND c.updated_at > now() - interval '1 day' AND s.contact_revision < c.revision

-- name: backlog
-- due: could be claimed now. oldest_due: since when the longest waiting one has been due.
SELECT count(*) AS due, min(run_at) AS oldest_due, extract(epoch FROM now() - min(run_at))::float8 AS oldest_due_seconds
  FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now()

-- name: pace
SELECT count(*) AS contacts, extract(epoch FROM now() - min(finished_at))::float8 AS seconds
  FROM crm_attempts
 WHERE crm = :crm AND finished_at > now() - interval '10 min' AND outcome NOT IN ('retry', 'snoozed', 'refused')

-- name: any_due
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now())
    OR EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND lease_until < now())
    OR EXISTS (SELECT 1 FROM crm_bulk_imports WHERE crm = :crm AND state <> 'ended')

-- name: is_delivering
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND claimed_by = :run_id
                  AND delivery_started_at IS NOT NULL AND lease_until > now())
    OR EXISTS (SELECT 1 FROM crm_attempts WHERE crm = :crm AND finished_at > now() - interval '2 min' AND run_id = :run_id)
    OR EXISTS (SELECT 1 FROM crm_bulk_imports WHERE crm = :crm AND state <> 'ended' AND tended_by = :run_id
                  AND tended_at > now() - interval '2 min')
    -- A run reads the account for up to five minutes before it claims anything.
    OR EXISTS (SELECT 1 FROM crm_walks WHERE crm = :crm AND begun_at > now() - interval '6 min')

-- name: unattempted
-- Of these claims, those without an entry in the ledger: free (given back, taken over, deleted) or still held.
SELECT count(*) FILTER (WHERE s.contact_id IS NULL) AS free, count(s.contact_id) AS held
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
  LEFT JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
 WHERE NOT EXISTS (SELECT 1 FROM crm_attempts a
                    WHERE a.contact_id = d.contact_id AND a.crm = :crm AND a.claim_no = d.claim_no)
