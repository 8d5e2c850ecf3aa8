-- The queue protocol. docs/architecture.md says why each guard is there.
-- No statement waits for a row that somebody's transaction holds: it skips the row, and says so where that matters.

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

-- name: take_put_first
-- Who waits for a retry by now was tried since.
WITH taken AS (DELETE FROM crm_put_first WHERE crm = :crm RETURNING contact_id)
SELECT contact_id FROM taken JOIN crm_syncs USING (contact_id) WHERE crm = :crm AND state = 'queued' AND run_at <= now()

-- name: peek
-- What a claim would take, for a dry run.
SELECT contact_id, claim_no, run_at FROM crm_syncs
 WHERE crm = :crm AND state = 'queued'
   AND CASE WHEN CAST(:contact_ids AS uuid[]) IS NULL THEN run_at <= now()
            ELSE contact_id = ANY (CAST(:contact_ids AS uuid[])) END
 ORDER BY run_at, contact_id LIMIT :limit

-- name: renew
-- What does not come back is lost: it must not be sent. A crash from here on is charged to the row. Without a revision:
-- still ours, but not renewed, since somebody's transaction holds the row.
WITH given AS MATERIALIZED (
    SELECT s.contact_id
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
      JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
), free AS MATERIALIZED (
    SELECT s.contact_id
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
      JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
       FOR NO KEY UPDATE OF s SKIP LOCKED
), renewed AS (
    UPDATE crm_syncs s SET lease_until = now() + :lease, delivery_started_at = coalesce(s.delivery_started_at, now())
      FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
    RETURNING s.contact_id, s.revision
)
SELECT contact_id, r.revision FROM given FULL JOIN renewed r USING (contact_id)

-- name: begin
-- The first renewal, to a number that stands in no file: of the processes that know a claim, one begins its delivery, and
-- the others find a number that is not theirs. Repeated with the same leap, since the answer was lost, it finds its own.
WITH given AS MATERIALIZED (
    SELECT s.contact_id
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
      JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.state = 'claimed'
                      AND s.claim_no IN (d.claim_no, d.claim_no + CAST(:leap AS bigint))
), free AS MATERIALIZED (
    SELECT s.contact_id, d.claim_no + CAST(:leap AS bigint) AS claim_no
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
      JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.state = 'claimed'
                      AND s.claim_no IN (d.claim_no, d.claim_no + CAST(:leap AS bigint))
       FOR NO KEY UPDATE OF s SKIP LOCKED
), begun AS (
    UPDATE crm_syncs s SET claim_no = f.claim_no, lease_until = now() + :lease,
           delivery_started_at = coalesce(s.delivery_started_at, now())
      FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
    RETURNING s.contact_id, s.revision
)
SELECT contact_id, b.revision FROM given FULL JOIN begun b USING (contact_id)

-- name: load
-- Read after the claim, never together with it: joined into the claim, a newer revision could come with older data.
-- Each is found by its key, see `intend`.
SELECT s.contact_id, s.claim_no, s.remote_key, s.remote_id, s.remote_mark, s.lists, s.sent_attributes, s.payload_hash,
       -- What another contact is confirmed to have is not ours.
       CASE WHEN s.maybe_keys = '{}' THEN s.maybe_keys
            ELSE ARRAY(SELECT k FROM unnest(s.maybe_keys) k
                        WHERE NOT EXISTS (SELECT 1 FROM crm_syncs o
                                           WHERE o.crm = :crm AND o.remote_key = k AND o.contact_id <> s.contact_id)) END AS maybe_keys,
       c.revision || '.' || s.synced_revision AS occasion,
       c.id, c.email, c.name, c.first_name, c.last_name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url,
       c.source_job_id, c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at,
       coalesce(c.address, crm_address(c.email)) AS address,
       CASE WHEN c.address IS NULL
            THEN (SELECT o.id FROM crm_contacts o WHERE o.address = crm_address(c.email)) END AS same_as
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no),
       LATERAL (SELECT * FROM crm_syncs
                 WHERE contact_id = d.contact_id AND crm = :crm AND claim_no = d.claim_no OFFSET 0) s,
       LATERAL (SELECT * FROM crm_contacts WHERE id = d.contact_id OFFSET 0) c

-- name: glance
-- What `load` would give for a contact without a claim, selected or not.
SELECT c.id AS contact_id, coalesce(s.claim_no, 0) AS claim_no, s.remote_key, s.remote_id, s.remote_mark, s.lists,
       coalesce(CASE WHEN s.maybe_keys = '{}' THEN s.maybe_keys
            ELSE ARRAY(SELECT k FROM unnest(s.maybe_keys) k
                        WHERE NOT EXISTS (SELECT 1 FROM crm_syncs o
                                           WHERE o.crm = :crm AND o.remote_key = k AND o.contact_id <> s.contact_id)) END, '{}') AS maybe_keys,
       coalesce(s.sent_attributes, '{}') AS sent_attributes, s.payload_hash,
       c.revision || '.' || coalesce(s.synced_revision, 0) AS occasion,
       c.id, c.email, c.name, c.first_name, c.last_name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url,
       c.source_job_id, c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at,
       coalesce(c.address, crm_address(c.email)) AS address,
       CASE WHEN c.address IS NULL
            THEN (SELECT o.id FROM crm_contacts o WHERE o.address = crm_address(c.email)) END AS same_as
  FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
 WHERE c.id = :contact_id

-- name: holders
-- The other contacts under whom the CRM holds these addresses, or may hold them.
-- Sub-selects keep the look-ups of the few that are found by key, whatever the planner expects of the functions.
SELECT d.contact_id, o.contact_id AS holder, o.state,
       (SELECT c.address FROM crm_contacts c WHERE c.id = o.contact_id) AS address,
       (SELECT s.remote_key FROM crm_syncs s WHERE s.contact_id = o.contact_id AND s.crm = :crm) AS remote_key
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:addresses AS text[])) AS d(contact_id, address),
       LATERAL crm_address_holders(:crm, d.address, d.contact_id) o

-- name: is_contact
SELECT EXISTS (SELECT FROM crm_contacts WHERE id = :contact_id) AS found

-- name: intend
-- Before a request: what the CRM was known to hold is forgotten, what it may hold from now on is remembered. If no answer
-- comes, a former value counts as a change again, and a new one can be cleared.
-- maybe_keys only with a change of address, so that a first delivery does not pay for an index: should its address change
-- before it is confirmed, the trigger on crm_contacts notes sent_key. `moved`: it has changed already.
-- Each is found by its key: there are no statistics yet of what was claimed a moment ago, and a join planned without them
-- reads all that are claimed for each call.
WITH free AS MATERIALIZED (
    SELECT d.contact_id, d.key, CAST(d.names AS text[]) AS names,
           c.address IS DISTINCT FROM d.key OR c.revision <> s.contact_revision AS moved
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[]), CAST(:keys AS text[]), CAST(:names AS text[]))
           AS d(contact_id, claim_no, key, names),
           LATERAL (SELECT address, revision FROM crm_contacts WHERE id = d.contact_id OFFSET 0) c,
           LATERAL (SELECT contact_revision FROM crm_syncs
                     WHERE contact_id = d.contact_id AND crm = :crm AND claim_no = d.claim_no AND state = 'claimed'
                       FOR NO KEY UPDATE SKIP LOCKED) s
)
UPDATE crm_syncs s SET
    payload_hash = NULL,
    sent_key = d.key,
    sent_attributes = CASE WHEN s.sent_attributes = '{}' THEN d.names
                           ELSE ARRAY(SELECT unnest(s.sent_attributes) UNION SELECT unnest(d.names) ORDER BY 1) END,
    maybe_keys = CASE WHEN s.remote_key = d.key OR s.maybe_keys @> ARRAY[d.key] OR (s.remote_key IS NULL AND NOT d.moved)
                      THEN s.maybe_keys ELSE s.maybe_keys || d.key END
  FROM free d WHERE s.contact_id = d.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: note_sending
-- Right before a request that must not be made twice: from here on it may have been applied. Holds for this claim alone, so
-- that nobody has to take it back.
WITH free AS MATERIALIZED (
    SELECT s.contact_id
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
      JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
       FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE crm_syncs s SET sending_claim_no = s.claim_no, last_attempt_at = now()
  FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: lock_contacts
-- Those that exist, and whether an entry about them can be written now: an entry needs its contact to stay.
WITH free AS MATERIALIZED (
    SELECT id FROM crm_contacts WHERE id = ANY (CAST(:contact_ids AS uuid[])) FOR KEY SHARE SKIP LOCKED
)
SELECT c.id, EXISTS (SELECT 1 FROM free f WHERE f.id = c.id) AS free
  FROM crm_contacts c WHERE c.id = ANY (CAST(:contact_ids AS uuid[]))

-- name: suppressed
-- Those of the contacts that must not be sent: by their id, by their address as it stands here, and by the address in
-- the form in which it would be sent. Asked right before; whatever let the contact get so far was not enough.
-- Nothing is digested where nobody is suppressed, else each once. CASE, since a plain IN is made a join.
WITH sought AS MATERIALIZED (
    SELECT d.contact_id, i.digest
      FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:keys AS text[])) AS d(contact_id, key), crm_digest_keys k,
           LATERAL (VALUES (crm_digest(k, 'contact', d.contact_id::text)), (crm_digest(k, 'email', d.key))) AS i(digest)
     WHERE k.id = 1 AND EXISTS (SELECT 1 FROM crm_suppressions WHERE crm = :crm AND lifted_at IS NULL)
)
SELECT DISTINCT contact_id FROM sought
 WHERE CASE WHEN digest IN (SELECT x.digest FROM crm_suppressions x
                             WHERE x.crm = :crm AND x.lifted_at IS NULL
                               AND x.digest = ANY (ARRAY(SELECT digest FROM sought))) THEN true END

-- name: record
-- The ledger entry of each delivery. A contact deleted meanwhile leaves none; a second entry for a claim is ignored.
INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, kind, code, message, http_status,
                          request_id, requests, answered, retry_after, remote_key, remote_id, remote_mark, lists, payload_hash,
                          sent_attributes, mapping_version, warnings, left_out, attributes_version, started_at)
SELECT c.id, :crm, :claim_no, :run_id, :revision, :outcome, :kind, :code, left(:message, 1000), :http_status,
       :request_id, :requests, :answered, :retry_after, :remote_key, :remote_id, :remote_mark, :lists, :payload_hash,
       :sent_attributes, :mapping_version, :warnings, :left_out, :attributes_version, now() - CAST(:duration AS interval)
  FROM crm_contacts c WHERE c.id = :contact_id FOR KEY SHARE
ON CONFLICT (contact_id, crm, claim_no) DO NOTHING

-- name: apply
-- Carries recorded outcomes over to the state machine, each only while its claim is the current one.
-- `queued` is allowed for a success: a late answer after a rescue, before anyone claims again, saves a second send. So is
-- what a rescue found unknown.
WITH outcome AS MATERIALIZED (
    SELECT * FROM crm_attempts
     WHERE crm = :crm AND run_id = :run_id AND applied_at IS NULL
       AND (CAST(:contact_ids AS uuid[]) IS NULL OR contact_id = ANY (CAST(:contact_ids AS uuid[])))
       AND (CAST(:claim_nos AS bigint[]) IS NULL
            OR (contact_id, claim_no) IN (SELECT * FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[]))))
     ORDER BY contact_id FOR UPDATE SKIP LOCKED
), free AS MATERIALIZED (
    SELECT o.*,
           -- Somebody has seen other attributes at the account since: what was sent may have been dropped.
           o.outcome IN ('synced', 'unchanged')
           AND EXISTS (SELECT 1 FROM crm_attributes t WHERE t.crm = :crm AND t.version <> o.attributes_version) AS outdated,
           -- Not where the only edit is one that this delivery does not cover.
           CASE WHEN o.outcome = 'synced' AND s.claim_no = o.claim_no
                 AND (s.state <> 'failed' OR s.last_error_kind = 'unknown')
                 AND NOT coalesce(s.wanted_again_claim_no = s.claim_no AND s.wanted_again_at = s.wanted_since, false)
                THEN s.wanted_since END AS covered_since
      FROM outcome o JOIN crm_syncs s ON s.contact_id = o.contact_id AND s.crm = :crm
       FOR NO KEY UPDATE OF s SKIP LOCKED
), changed AS (
    UPDATE crm_syncs s SET
        state = CASE
            WHEN o.outdated THEN 'queued'
            WHEN o.outcome IN ('synced', 'unchanged') THEN CASE WHEN s.revision = o.revision THEN 'synced' ELSE 'queued' END
            WHEN o.outcome = 'unknown' THEN 'failed'  -- whatever is newer here: that would be sent again as well
            WHEN o.outcome = 'rejected' THEN CASE WHEN s.revision = o.revision THEN 'failed' ELSE 'queued' END
            WHEN o.outcome = 'skipped' THEN CASE WHEN s.revision = o.revision THEN 'skipped' ELSE 'queued' END
            WHEN o.outcome = 'retry' THEN CASE WHEN s.attempts >= :max_retries THEN 'failed' ELSE 'queued' END
            ELSE 'queued' END,
        due_since = CASE WHEN o.outcome IN ('snoozed', 'refused') THEN coalesce(s.due_since, s.run_at) END,
        run_at = CASE
            WHEN o.outcome = 'retry' AND s.attempts < :max_retries
                THEN now() + (CAST(:delays AS interval[]))[s.attempts + 1] * (1 + 0.1 * random())
            WHEN o.outcome = 'snoozed' THEN now() + coalesce(o.retry_after, interval '0') * (1 + 0.1 * random())
            WHEN o.outdated THEN now()
            WHEN o.outcome IN ('synced', 'unchanged', 'rejected', 'skipped') AND s.revision <> o.revision THEN now()
            ELSE s.run_at END,
        -- What this delivery carried is at the CRM, or given up: what waits from here on is what came meanwhile.
        wanted_since = CASE
            WHEN o.outdated OR o.outcome NOT IN ('synced', 'unchanged', 'rejected', 'skipped', 'unknown') THEN s.wanted_since
            WHEN s.wanted_again_claim_no = s.claim_no THEN s.wanted_again_at END,
        synced_revision = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN o.revision ELSE s.synced_revision END,
        synced_at = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN now() ELSE s.synced_at END,
        -- NULL, too, when the workflow has found something meanwhile: it knows more than it was told.
        payload_hash = CASE WHEN NOT o.outdated
                             AND NOT EXISTS (SELECT 1 FROM crm_enrichments e
                                              WHERE e.contact_id = s.contact_id AND e.crm = s.crm
                                                AND (e.filled <> '{}' OR e.overwritten <> '{}')
                                                AND e.received_at >= coalesce(s.delivery_started_at, o.started_at))
                            THEN CASE WHEN o.outcome = 'synced' THEN o.payload_hash ELSE s.payload_hash END END,
        -- With a remote_key the CRM has confirmed a request: a delivery, or a step aside.
        sent_attributes = CASE WHEN o.outcome = 'synced' OR o.remote_key IS NOT NULL THEN o.sent_attributes
                               ELSE s.sent_attributes END,
        maybe_keys = CASE WHEN o.outcome = 'synced' OR o.remote_key IS NOT NULL THEN '{}' ELSE s.maybe_keys END,
        remote_key = coalesce(o.remote_key, s.remote_key),
        remote_id = coalesce(o.remote_id, s.remote_id),
        left_out = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN o.left_out ELSE s.left_out END,
        attributes_version = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN o.attributes_version
                                  ELSE s.attributes_version END,
        remote_mark = CASE WHEN o.outcome = 'synced' OR o.remote_key IS NOT NULL THEN o.remote_mark ELSE s.remote_mark END,
        -- Only more: what was asked for once is not asked for again.
        lists = CASE WHEN (o.outcome <> 'synced' AND o.remote_key IS NULL) OR o.lists <@ s.lists THEN s.lists
                     ELSE ARRAY(SELECT unnest(s.lists) UNION SELECT unnest(o.lists)) END,
        -- NULL: no other mapping queues it again.
        mapping_version = CASE WHEN o.outcome <> 'unknown' THEN coalesce(o.mapping_version, s.mapping_version) END,
        attempts = CASE
            WHEN o.outcome IN ('synced', 'unchanged', 'skipped') THEN 0
            WHEN o.outcome IN ('retry', 'rejected') THEN s.attempts + 1
            ELSE s.attempts END,
        crashes = CASE WHEN o.outcome IN ('snoozed', 'refused') THEN s.crashes ELSE 0 END,
        bulk_ok = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN true
                       WHEN o.kind = 'unproved' THEN false ELSE s.bulk_ok END,
        claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
        last_error_kind = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                               WHEN o.outcome = 'unknown' THEN 'unknown'
                               WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error_kind ELSE o.kind END,
        last_error_code = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                               WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error_code ELSE o.code END,
        last_error = CASE
            WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
            WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_error
            WHEN o.outcome = 'unknown' THEN left(coalesce(o.message, o.kind), 700) || ' ' || :if_unknown
            WHEN o.outcome = 'retry' AND s.attempts >= :max_retries
                THEN left('Max retries exceeded (' || :max_retries || '). Last error: ' || coalesce(o.message, o.kind), 1000)
            ELSE coalesce(o.message, o.kind) END,
        last_http_status = CASE WHEN o.outcome IN ('synced', 'unchanged') THEN NULL
                                WHEN o.outcome IN ('snoozed', 'refused') THEN s.last_http_status ELSE o.http_status END,
        -- NULL: by a former version, in whose requests no two contacts were.
        last_attempt_at = CASE WHEN coalesce(o.answered, o.requests > 0) OR o.outcome = 'synced' THEN o.finished_at
                               ELSE s.last_attempt_at END
      FROM free o
     WHERE s.contact_id = o.contact_id AND s.crm = :crm AND s.claim_no = o.claim_no
       AND (s.state = 'claimed' OR (o.outcome IN ('synced', 'unchanged')
                                    AND (s.state = 'queued' OR (s.state = 'failed' AND s.last_error_kind = 'unknown'))))
    RETURNING s.contact_id, s.state
), marked AS (
    UPDATE crm_attempts a SET applied_at = now(), wanted_since = CASE WHEN NOT o.outdated THEN o.covered_since END
      FROM free o WHERE a.id = o.id
)
-- FULL, though what changed is a part of the outcomes: for want of statistics a LEFT JOIN is planned as a nested loop, and
-- compares every row with every other.
SELECT o.outcome, coalesce(c.state, 'superseded') AS state, o.kind, count(*) AS contacts, sum(o.requests) AS requests
  FROM free o FULL JOIN changed c ON c.contact_id = o.contact_id
 GROUP BY 1, 2, 3

-- name: any_unapplied
SELECT EXISTS (SELECT 1 FROM crm_attempts
                WHERE crm = :crm AND run_id = :run_id AND applied_at IS NULL
                  AND (CAST(:contact_ids AS uuid[]) IS NULL OR contact_id = ANY (CAST(:contact_ids AS uuid[])))
                  AND (CAST(:claim_nos AS bigint[]) IS NULL
                       OR (contact_id, claim_no) IN (SELECT * FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])))))

-- name: release
-- Gives claims back uncharged. Without any named: all that this run holds and has not begun to deliver. Named ones by their
-- number: another process of the run may hold the contact by now.
WITH free AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs s
     WHERE s.crm = :crm AND s.state = 'claimed' AND s.claimed_by = :run_id
       AND CASE WHEN CAST(:contact_ids AS uuid[]) IS NULL THEN s.delivery_started_at IS NULL
                ELSE s.contact_id = ANY (CAST(:contact_ids AS uuid[]))
                     AND (s.contact_id, s.claim_no) IN (SELECT * FROM unnest(CAST(:contact_ids AS uuid[]),
                                                                             CAST(:claim_nos AS bigint[]))) END
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
       due_since = coalesce(s.due_since, s.run_at), run_at = greatest(s.run_at, now() + CAST(:delay AS interval))
  FROM free f WHERE s.contact_id = f.contact_id AND s.crm = :crm
RETURNING s.contact_id

-- name: being_delivered
-- How many contacts the run is delivering at present.
SELECT count(*) AS contacts FROM crm_syncs
 WHERE crm = :crm AND state = 'claimed' AND claimed_by = :run_id AND delivery_started_at IS NOT NULL AND lease_until > now()

-- name: taken_within_run
-- Of these claims, those whose contacts another process of the same run has taken since: it holds them, or has an outcome.
SELECT count(*) AS contacts
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
 WHERE EXISTS (SELECT FROM crm_syncs s WHERE s.contact_id = d.contact_id AND s.crm = :crm AND s.claimed_by = :run_id
                  AND s.claim_no > d.claim_no)
    OR EXISTS (SELECT FROM crm_attempts a WHERE a.contact_id = d.contact_id AND a.crm = :crm AND a.run_id = :run_id
                  AND a.claim_no > d.claim_no)

-- name: abandoned_runs
-- Runs with claims that may be stale, or with outcomes that nobody carried over, or with an import not yet sent.
SELECT DISTINCT claimed_by FROM crm_syncs
 WHERE :claimed AND crm = :crm AND state = 'claimed' AND claimed_by <> :run_id AND claimed_by NOT LIKE 'import:%'
UNION
SELECT split_part(tended_by, '/', 1) FROM crm_bulk_imports
 WHERE crm = :crm AND state = 'preparing' AND split_part(tended_by, '/', 1) <> :run_id

-- name: claims_by_run
SELECT claimed_by AS run_id, count(*) AS claims FROM crm_syncs
 WHERE crm = :crm AND state = 'claimed' AND claimed_by NOT LIKE 'import:%' GROUP BY 1 ORDER BY 2 DESC, 1

-- name: silent_runs
-- Runs that let a lease run out, whatever Dagster knows of them, and imports that are over.
SELECT DISTINCT claimed_by FROM crm_syncs
 WHERE crm = :crm AND state = 'claimed'
   AND (lease_until < now() OR claimed_by IN (SELECT 'import:' || id FROM crm_bulk_imports
                                               WHERE crm = :crm AND state = 'ended' AND ended_at > now() - interval '1 day'))

-- name: any_parked
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'failed' AND mapping_version <> :mapping_version)

-- name: rescue
-- Claims whose lease ran out, those of imports that are over (somebody's transaction held the row then), and those not begun whose run is known to have ended: before such a row is sent, its
-- lease must be renewed, and that fails from now on. The predicate is checked again under the lock.
-- Only a row that was being delivered is charged, and only when its run did not end in an orderly way.
-- unknown: sent in a request that must not be made twice (note_sending), and its outcome is in no ledger: what is there is
-- carried over by `apply`. It is not sent again; should a user want it to be, it goes alone if its worker died.
WITH lost AS MATERIALIZED (
    SELECT contact_id, sending_claim_no IS NOT DISTINCT FROM claim_no AS unknown,
           delivery_started_at IS NOT NULL AND NOT claimed_by = ANY (CAST(:orderly_runs AS text[])) AS charged
      FROM crm_syncs
     WHERE crm = :crm AND state = 'claimed'
       AND (lease_until < now()
            OR claimed_by IN (SELECT 'import:' || id FROM crm_bulk_imports
                               WHERE crm = :crm AND state = 'ended' AND ended_at > now() - interval '1 day')
            OR (delivery_started_at IS NULL AND (claimed_by = ANY (CAST(:orderly_runs AS text[]))
                                                 OR claimed_by = ANY (CAST(:crashed_runs AS text[])))))
       AND NOT (sending_claim_no IS NOT DISTINCT FROM claim_no
                AND EXISTS (SELECT 1 FROM crm_attempts a
                             WHERE a.contact_id = crm_syncs.contact_id AND a.crm = :crm AND a.claim_no = crm_syncs.claim_no))
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET
    state = CASE WHEN l.unknown OR (l.charged AND s.crashes + 1 >= :max_crashes) THEN 'failed' ELSE 'queued' END,
    crashes = s.crashes + l.charged::int,
    due_since = CASE WHEN l.unknown OR (l.charged AND s.crashes + 1 >= :max_crashes) THEN NULL
                     ELSE coalesce(s.due_since, s.run_at) END,
    run_at = now(),
    claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
    -- NULL: no other mapping queues it again.
    mapping_version = CASE WHEN NOT l.unknown THEN s.mapping_version END,
    last_error_kind = CASE WHEN l.unknown THEN 'unknown' WHEN l.charged THEN 'crash' ELSE s.last_error_kind END,
    last_error_code = CASE WHEN l.unknown OR l.charged THEN NULL ELSE s.last_error_code END,
    last_error = CASE WHEN l.unknown
                      THEN 'The run ended, or lost the database, while it sent this contact. ' || :if_unknown
                      WHEN l.charged
                      THEN 'The worker died while this contact was being delivered (' || s.crashes + 1 || ' of ' || :max_crashes || ').'
                      ELSE s.last_error END,
    last_http_status = CASE WHEN l.unknown OR l.charged THEN NULL ELSE s.last_http_status END
  FROM lost l WHERE s.contact_id = l.contact_id AND s.crm = :crm AND s.state = 'claimed'
RETURNING l.charged, l.unknown, s.state

-- name: pass_over_refused
-- After the CRM has accepted the credentials: whom it refused before goes to the back of the queue, since what was
-- refused was not the account. Where others got through since its first refusal, it is the contact: it is charged.
WITH refused AS MATERIALIZED (
    SELECT s.contact_id, a.kind, a.code, a.message, a.http_status,
           EXISTS (SELECT 1 FROM crm_attempts o
                    WHERE o.crm = a.crm AND o.outcome = 'synced' AND o.finished_at > (
                          SELECT min(f.finished_at) FROM crm_attempts f
                           WHERE f.contact_id = a.contact_id AND f.crm = a.crm AND f.outcome = 'refused'
                             AND f.finished_at >= s.selected_at)) AS charged
      FROM crm_attempts a
      JOIN crm_syncs s ON s.contact_id = a.contact_id AND s.crm = a.crm AND s.claim_no = a.claim_no AND s.state = 'queued'
     -- An outcome may have been recorded a moment before the gate was closed for it.
     WHERE a.crm = :crm AND a.outcome = 'refused' AND a.finished_at >= CAST(:since AS timestamptz) - interval '1 min'
       FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE crm_syncs s SET
    state = CASE WHEN r.charged AND s.attempts >= :max_retries THEN 'failed' ELSE 'queued' END,
    attempts = s.attempts + r.charged::int,
    due_since = CASE WHEN r.charged THEN NULL ELSE coalesce(s.due_since, s.run_at) END,
    run_at = CASE WHEN r.charged AND s.attempts < :max_retries
                      THEN now() + (CAST(:delays AS interval[]))[s.attempts + 1] * (1 + 0.1 * random())
                  ELSE now() END,
    last_error_kind = CASE WHEN r.charged THEN r.kind ELSE s.last_error_kind END,
    last_error_code = CASE WHEN r.charged THEN r.code ELSE s.last_error_code END,
    last_error = CASE WHEN r.charged THEN coalesce(r.message, r.kind) ELSE s.last_error END,
    last_http_status = CASE WHEN r.charged THEN r.http_status ELSE s.last_http_status END
  FROM refused r WHERE s.contact_id = r.contact_id AND s.crm = :crm
RETURNING r.charged

-- name: requeue_parked
-- Contacts that were refused for good under another mapping get a new chance. Nobody has edited them, so none has a delay.
WITH parked AS MATERIALIZED (
    SELECT contact_id FROM crm_syncs
     WHERE crm = :crm AND state = 'failed' AND mapping_version <> :mapping_version FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE crm_syncs s SET state = 'queued', run_at = now(), wanted_since = NULL, attempts = 0,
       last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
  FROM parked p WHERE s.contact_id = p.contact_id AND s.crm = :crm

-- name: look_for_edits
-- A run that looks for minutes has no claim yet by which it is known to live.
SELECT pg_advisory_xact_lock_shared(hashtextextended(:run_id, 0))

-- name: requeue_edited
-- The promise behind the trigger on crm_contacts: an edit that it missed (disabled during a restore, say) is found.
WITH edited AS MATERIALIZED (
    SELECT c.id, c.revision
      FROM crm_contacts c JOIN crm_syncs s ON s.contact_id = c.id
     WHERE s.crm = :crm AND c.revision > 1 AND c.updated_at > now() - interval '1 day' AND s.contact_revision < c.revision
       FOR NO KEY UPDATE OF s SKIP LOCKED
)
SELECT crm_requeue_edited(id, revision) FROM edited

-- name: any_edited
-- Among the latest only: a tick has no minute for a day with millions. The next run looks at all.
WITH latest AS MATERIALIZED (
    SELECT id, revision FROM crm_contacts
     WHERE revision > 1 AND updated_at > now() - interval '1 day' ORDER BY updated_at DESC LIMIT :most
)
SELECT EXISTS (SELECT 1 FROM latest c JOIN crm_syncs s ON s.contact_id = c.id
                WHERE s.crm = :crm AND s.contact_revision < c.revision)

-- name: backlog
-- due: could be claimed now. put_off: were due, and wait uncharged for a later time. oldest_due: since when the longest
-- waiting one of both has been due; an age of before the present selection does not count. delivering: with a claim that holds.
SELECT due, put_off, (SELECT count(*) FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND lease_until > now()) AS delivering, least(d.oldest, p.oldest) AS oldest_due,
       extract(epoch FROM now() - least(d.oldest, p.oldest))::float8 AS oldest_due_seconds
  FROM (SELECT count(*) AS due, min(run_at) AS oldest
          FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now()) d,
       (SELECT count(*) FILTER (WHERE run_at > now()) AS put_off, min(greatest(due_since, selected_at)) AS oldest
          FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND due_since IS NOT NULL) p

-- name: pace
SELECT count(*) AS contacts, extract(epoch FROM now() - min(finished_at))::float8 AS seconds
  FROM crm_attempts
 WHERE crm = :crm AND finished_at > now() - interval '10 min' AND outcome NOT IN ('retry', 'snoozed', 'refused')

-- name: any_due
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now())
    OR EXISTS (SELECT 1 FROM crm_bulk_imports WHERE crm = :crm AND state <> 'ended')
    OR EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'claimed'
                  AND (lease_until < now() OR claimed_by IN (SELECT 'import:' || id FROM crm_bulk_imports
                           WHERE crm = :crm AND state = 'ended' AND ended_at > now() - interval '1 day')))

-- name: any_claimed
-- Behind somebody's old snapshot each look for claims goes over all that were held since, so a run that finds none here
-- looks no further.
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'claimed')

-- name: waiting
-- suspects: those of them during whose delivery a worker died.
SELECT count(*) AS due, count(*) FILTER (WHERE crashes > 0) AS suspects
  FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now()

-- name: any_takeable
-- Whether a claim would take somebody, if nobody's transaction holds the row.
SELECT EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'queued' AND run_at <= now())

-- name: is_delivering
-- Claims last: see `any_claimed`.
SELECT EXISTS (SELECT 1 FROM crm_attempts WHERE crm = :crm AND finished_at > now() - interval '2 min' AND run_id = :run_id)
    OR EXISTS (SELECT 1 FROM crm_bulk_imports WHERE crm = :crm AND state <> 'ended'
                  AND split_part(tended_by, '/', 1) = :run_id AND tended_at > now() - interval '2 min')
    -- See `look_for_edits`. The lock goes with its connection.
    OR EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND (classid::bigint << 32) | objid::bigint = hashtextextended(:run_id, 0))
    -- A run reads the account for up to five minutes before it claims anything.
    OR EXISTS (SELECT 1 FROM crm_walks WHERE crm = :crm AND begun_at > now() - interval '6 min')
    OR EXISTS (SELECT 1 FROM crm_syncs WHERE crm = :crm AND state = 'claimed' AND claimed_by = :run_id
                  AND delivery_started_at IS NOT NULL AND lease_until > now())

-- name: unattempted
-- Of these claims, those without an entry in the ledger: free (given back, taken over, deleted) or still held.
SELECT count(*) FILTER (WHERE s.contact_id IS NULL) AS free, count(s.contact_id) AS held
  FROM unnest(CAST(:contact_ids AS uuid[]), CAST(:claim_nos AS bigint[])) AS d(contact_id, claim_no)
  LEFT JOIN crm_syncs s ON s.contact_id = d.contact_id AND s.crm = :crm AND s.claim_no = d.claim_no AND s.state = 'claimed'
 WHERE NOT EXISTS (SELECT 1 FROM crm_attempts a
                    WHERE a.contact_id = d.contact_id AND a.crm = :crm AND a.claim_no = d.claim_no)
