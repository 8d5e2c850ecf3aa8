-- The gate of a CRM account: one rate limiter and one circuit breaker, shared by every run and machine.

-- name: read
-- paused_until is NULL for a pause without end, which psycopg cannot represent.
SELECT crm, account, account_fingerprints, account_since, former_account, contacts_forgotten,
       paused_until IS NOT NULL AND paused_until > now() AS paused,
       CASE WHEN isfinite(paused_until) THEN paused_until END AS paused_until,
       CASE WHEN isfinite(paused_until) THEN extract(epoch FROM paused_until - now())::float8 END AS paused_seconds,
       pause_kind, pause_reason, refused_kind, refused_fingerprint, probing, limit_observed, consecutive_failures, changed_at,
       accepted_account, accepted_mappings,
       greatest(now() - counting_since, interval '0') AS open_for, home = crm_home(tableoid) AS at_home,
       extract(epoch FROM clock_timestamp())::float8 AS moment
  FROM crm_gates WHERE crm = :crm

-- name: reserve
-- Reserves :slots requests in a row and moves the next free slot behind them. No row: the gate is paused.
-- clock_timestamp(), not now(): whoever waited for the row's lock must not get slots that have passed.
-- The 60 s bound: a database clock that was set back must not stop everything.
-- Half the rate for a while after a refusal, and for the first requests after an idle time: they open connections, arrive
-- late for that, and those behind them would catch up.
WITH pace AS (
    SELECT crm, (CASE WHEN slow_until > now() OR next_slot_at < clock_timestamp() - interval '5 s' THEN 2 ELSE 1 END
                 / :rate)::float8 AS spacing
      FROM crm_gates WHERE crm = :crm AND (paused_until IS NULL OR paused_until <= now())
       -- Whose account is no longer that of the deliveries has no business here.
       AND (CAST(:account AS text) IS NULL OR account = :account)
       -- A worker may outlive a restore beneath it.
       AND home = crm_home(tableoid) FOR UPDATE
)
UPDATE crm_gates g SET
    next_slot_at = greatest(least(next_slot_at, clock_timestamp() + interval '60 s'), clock_timestamp())
                   + :slots * pace.spacing * interval '1 s'
  FROM pace WHERE g.crm = pace.crm
RETURNING pace.spacing, extract(epoch FROM next_slot_at - clock_timestamp())::float8 AS end_seconds,
          extract(epoch FROM clock_timestamp())::float8 AS moment

-- name: pause
-- A longer pause is never shortened; one without end (refused credentials) stays until it is opened.
UPDATE crm_gates SET
    paused_until = now() + CAST(:duration AS interval), pause_kind = :kind, pause_reason = left(:reason, 1000),
    slow_until = now() + CAST(:duration AS interval) + interval '10 s',
    changed_at = now()
 WHERE crm = :crm AND (paused_until IS NULL OR paused_until < now() + CAST(:duration AS interval))

-- name: close
UPDATE crm_gates SET paused_until = 'infinity', pause_kind = :kind, pause_reason = left(:reason, 1000),
       refused_kind = :refused_kind, refused_fingerprint = :fingerprint,
       changed_at = CASE WHEN paused_until = 'infinity' OR (probing AND pause_kind = :kind) THEN changed_at ELSE now() END
 -- What only a person opens must not open with the next key.
 WHERE crm = :crm AND coalesce(pause_kind, '') NOT IN ('manual', 'restored')

-- name: open
UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, pause_reason = NULL, refused_kind = NULL, refused_fingerprint = NULL,
       pause_seconds = 0, consecutive_failures = 0, probing = false, counting_since = now(), changed_at = now()
 WHERE crm = :crm AND (paused_until IS NOT NULL OR probing)
   AND (:by_hand OR coalesce(pause_kind, '') NOT IN ('manual', 'restored', 'attributes'))

-- name: wait_for_attributes
-- The account lacks what this mapping needs. Not over another pause: the run after it asks anew. Nor if a user has just
-- said that it is sent without.
UPDATE crm_gates SET paused_until = 'infinity', pause_kind = 'attributes', pause_reason = left(:reason, 1000),
       refused_kind = NULL, refused_fingerprint = :mapping, found_lacking_at = now(),
       changed_at = CASE WHEN pause_kind = 'attributes' THEN changed_at ELSE now() END
 WHERE crm = :crm AND account = :account AND (paused_until IS NULL OR paused_until <= now() OR pause_kind = 'attributes')
   AND NOT coalesce(accepted_account = account AND (accepted_mappings = '{}' OR :mapping = ANY (accepted_mappings)), false)

-- name: accept
-- Of several machines some may have another mapping for a while, so that not only the latest is remembered.
UPDATE crm_gates SET
    accepted_mappings = CASE WHEN accepted_account = account
        THEN (array_remove(accepted_mappings, :mapping) || CAST(:mapping AS text))[greatest(1, cardinality(accepted_mappings) - 6):]
        ELSE ARRAY[CAST(:mapping AS text)] END,
    accepted_account = account
 WHERE crm = :crm AND account = :account

-- name: end_wait
-- For the attributes of the account. Whatever else stops sending stays.
UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, pause_reason = NULL, refused_fingerprint = NULL,
       counting_since = now(), changed_at = now()
 WHERE crm = :crm AND account IS NOT DISTINCT FROM :account AND pause_kind = 'attributes'

-- name: end_wait_of_another
-- For a mapping that nobody has any more, it seems. While another machine goes on asking for its own, it stays: the two
-- would open and close in turns.
UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, pause_reason = NULL, refused_fingerprint = NULL,
       counting_since = now(), changed_at = now()
 WHERE crm = :crm AND account = :account AND pause_kind = 'attributes' AND :mapping = ANY (accepted_mappings)
   AND found_lacking_at < now() - CAST(:silence AS interval)

-- name: try_out
-- Where the CRM tells only whoever sends a contact whether the key is right: one contact tries it. Until that has got
-- through it stays what it was, a refusal, also for people.
UPDATE crm_gates SET paused_until = now(), probing = true
 WHERE crm = :crm AND paused_until = 'infinity' AND pause_kind = 'credentials'

-- name: judge
-- The breaker, after a group of outcomes. Trips on failures in a row, on the share of failures in five minutes, or on a
-- failed probe: 30 s, doubled each time up to 15 minutes. Trips on the share of rejects, since a mistake in the mapping
-- must not bury the whole table: 15 minutes.
-- Failures go by requests, each counted once by the contact that carries it (requests > 0); rejects go by contacts.
WITH attempt AS (
    SELECT outcome, requests > 0 AND finished_at > now() - interval '5 min' AS carries_a_request,
           -- A defect of ours counts as a reject: it has to do with the mapping, and would bury the table as well.
           kind IS NOT DISTINCT FROM 'internal' OR (outcome = 'rejected' AND coalesce(answered, requests > 0)) AS is_reject
      FROM crm_attempts
     WHERE crm = :crm AND (:failures > 0 OR :rejects > 0)
       AND finished_at > greatest(now() - interval '1 hour', (SELECT counting_since FROM crm_gates WHERE crm = :crm))
), recent AS (
    SELECT count(*) FILTER (WHERE outcome IN ('retry', 'unknown') AND carries_a_request) AS failures,
           count(*) FILTER (WHERE outcome IN ('synced', 'retry', 'unknown', 'rejected') AND carries_a_request) AS answers,
           count(*) FILTER (WHERE is_reject) AS rejects,
           count(*) FILTER (WHERE outcome = 'synced' OR is_reject) AS judged
      FROM attempt
), verdict AS (
    SELECT CASE
        WHEN :failures > 0 AND ((g.probing AND :successes = 0)
                                OR g.consecutive_failures * (:successes = 0)::int + :trailing_failures >= :max_in_a_row
                                OR (r.answers >= 10 AND r.failures >= 0.7 * r.answers)) THEN 'outage'
        WHEN :rejects > 0 AND r.judged >= 50 AND r.rejects >= 0.2 * r.judged THEN 'rejects'
        END AS kind,
        r.rejects, r.judged,
        least(greatest(g.pause_seconds * 2, 30), 900) AS pause
      FROM crm_gates g, recent r WHERE g.crm = :crm
)
UPDATE crm_gates g SET
    consecutive_failures = CASE WHEN v.kind = 'outage' THEN 0
                                ELSE g.consecutive_failures * (:successes = 0)::int + :trailing_failures END,
    probing = CASE WHEN v.kind = 'outage' THEN true WHEN :successes > 0 THEN false ELSE g.probing END,
    pause_seconds = CASE WHEN v.kind = 'outage' THEN v.pause WHEN :successes > 0 THEN 0 ELSE g.pause_seconds END,
    paused_until = CASE WHEN v.kind IS NULL OR g.paused_until > now() + interval '15 min' THEN g.paused_until
                        WHEN v.kind = 'outage' THEN now() + v.pause * interval '1 s'
                        ELSE now() + interval '15 min' END,
    pause_kind = CASE WHEN v.kind IS NULL OR g.paused_until > now() + interval '15 min' THEN g.pause_kind ELSE v.kind END,
    pause_reason = CASE
        WHEN v.kind IS NULL OR g.paused_until > now() + interval '15 min' THEN g.pause_reason
        WHEN v.kind = 'outage' THEN left('The CRM does not answer as it should: ' || :last_failure, 1000)
        ELSE v.rejects || ' of the last ' || v.judged || ' contacts were rejected; the mapping or the data is wrong. Last: '
             || left(:last_reject, 800) END,
    counting_since = CASE WHEN v.kind = 'outage' THEN now() + v.pause * interval '1 s'
                          WHEN v.kind = 'rejects' THEN now() + interval '15 min' ELSE g.counting_since END,
    changed_at = CASE WHEN v.kind IS NULL THEN g.changed_at ELSE now() END
  FROM verdict v WHERE g.crm = :crm
RETURNING v.kind

-- name: observe_limit
UPDATE crm_gates SET limit_observed = :limit WHERE crm = :crm AND limit_observed IS DISTINCT FROM CAST(:limit AS real)

-- name: reserve_poll
-- One of the requests that the CRM counts apart, for a look at its imports. No row: the bucket has none to spare.
-- The bucket is described by the moment at which it is full again: each request moves that on by a refill. A moment that
-- no bucket can have comes of a database clock that was set back; one look mends that. clock_timestamp() as at `reserve`.
UPDATE crm_gates SET
    aside_full_at = greatest(least(aside_full_at, clock_timestamp() + :most * CAST(:refill AS interval)), clock_timestamp())
                    + CAST(:refill AS interval)
 WHERE crm = :crm AND next_poll_at <= clock_timestamp()
   AND (aside_full_at <= clock_timestamp() + (:most - :reserve - 1) * CAST(:refill AS interval)
        OR aside_full_at > clock_timestamp() + (:most + 1) * CAST(:refill AS interval))
RETURNING crm

-- name: count_aside
-- One of them that is made in any case.
UPDATE crm_gates SET
    aside_full_at = greatest(least(aside_full_at, clock_timestamp() + (:most - 1) * CAST(:refill AS interval)), clock_timestamp())
                    + CAST(:refill AS interval)
 WHERE crm = :crm

-- name: delay_poll
UPDATE crm_gates SET next_poll_at = greatest(next_poll_at, now() + CAST(:pause AS interval)) WHERE crm = :crm

-- name: one_comes_first
-- Of two destinations that come to one account at the same time. Not by locks on both gates: one that forgets its former
-- account, which takes a while, would keep the other from sending.
SELECT pg_advisory_xact_lock(hashtextextended('crm-pipelines account ' || :account, 0))

-- name: lock_account
SELECT account, account_fingerprints,
       (SELECT min(other.crm) FROM crm_gates other
         WHERE other.crm = ANY (CAST(:others AS text[])) AND other.account = :account) AS taken_by
  FROM crm_gates WHERE crm = :crm FOR UPDATE

-- name: taken_by
SELECT min(crm) FROM crm_gates WHERE crm = ANY (CAST(:others AS text[])) AND account = :account

-- name: known_as
-- Other names under which this account was delivered to: a destination may have been renamed.
SELECT x.crm FROM crm_gates x JOIN crm_destinations d ON d.name = x.crm
  JOIN crm_destinations own ON own.name = :crm AND own.kind = d.kind
 WHERE x.account = :account AND x.crm <> :crm

-- name: suppress_everybody_as_there
INSERT INTO crm_suppressions (person, crm, digest, key_id, reason, since, by)
SELECT person, :crm, digest, key_id, reason, since, by FROM crm_suppressions
 WHERE lifted_at IS NULL AND crm = ANY (CAST(:there AS text[]))
ON CONFLICT (digest, crm) WHERE lifted_at IS NULL DO NOTHING

-- name: suppress_contacts_as_there
SELECT count(*) FROM crm_suppress(:crm, ARRAY(
    SELECT contact_id FROM crm_syncs
     WHERE crm = ANY (CAST(:there AS text[])) AND state = 'skipped' AND last_error_kind = 'suppressed'))

-- name: remember_account
-- What was accepted of it under the name that earlier versions gave it, holds under its own.
UPDATE crm_gates SET account = :account, account_fingerprints = :fingerprints,
       accepted_account = CASE WHEN accepted_account = account THEN :account ELSE accepted_account END
 WHERE crm = :crm

-- name: distrust_key
-- A key that opens another account now than it did. One that no key has takes its place: an account without any would pass
-- for the host name of earlier versions.
UPDATE crm_gates SET account_fingerprints = array_replace(account_fingerprints, :fingerprint, 'no longer ' || :fingerprint)
 WHERE crm = :crm AND account = :account AND :fingerprint = ANY (account_fingerprints)

-- name: change_account
-- What was counted and learned belongs to the former account. The pause lasts until all slots that were reserved for it
-- are over: meanwhile nothing is claimed, so no request to it can be about a claim that was made after this.
UPDATE crm_gates SET
    account = :account, account_fingerprints = :fingerprints, account_since = now(), former_account = account,
    -- Who goes to and fro within a day forgets nothing the second time; people are to hear of the first all the same.
    contacts_forgotten = :forgotten
                         + CASE WHEN account_since > now() - interval '1 day' THEN contacts_forgotten ELSE 0 END,
    limit_observed = NULL, next_poll_at = now(), aside_full_at = now(), consecutive_failures = 0, pause_seconds = 0, probing = false,
    counting_since = now(), changed_at = now(),
    -- What only a person opens stays closed.
    paused_until = CASE WHEN pause_kind IN ('manual', 'restored') THEN paused_until
                        ELSE greatest(next_slot_at, clock_timestamp()) + interval '1 s' END,
    pause_kind = CASE WHEN pause_kind IN ('manual', 'restored') THEN pause_kind ELSE 'rate_limit' END,
    pause_reason = CASE WHEN pause_kind IN ('manual', 'restored') THEN pause_reason
                        ELSE 'The account has changed; requests to the former one come to their end first.' END
 WHERE crm = :crm

-- name: at_leisure
-- There may be millions of contacts; but whoever is waited for holds up everybody at the gate.
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '20s', true)

-- name: forget_rows
DELETE FROM crm_bulk_rows r USING crm_bulk_imports i WHERE r.import_id = i.id AND i.crm = :crm

-- name: forget_imports
-- The other account's processes have numbers, too.
UPDATE crm_bulk_imports SET state = 'ended', ended_as = 'lost', ended_at = now(), tended_by = NULL
 WHERE crm = :crm AND state <> 'ended'

-- name: forget_walks
DELETE FROM crm_walks WHERE crm = :crm

-- name: forget_deliveries
-- What one account holds, another does not: nothing is delivered, and nothing goes there unless the user says so. Who is
-- suppressed stays so, but is not known there either.
WITH kept AS MATERIALIZED (
    SELECT contact_id, state, state = 'skipped' AND last_error_kind = 'suppressed' AS suppressed
      FROM crm_syncs WHERE crm = :crm FOR NO KEY UPDATE
), forgotten AS (
    UPDATE crm_syncs s SET
        state = CASE WHEN k.suppressed THEN s.state ELSE 'unselected' END,
        claim_no = s.claim_no + 1, claimed_by = NULL, lease_until = NULL,
        delivery_started_at = NULL, attempts = 0, crashes = 0, synced_revision = 0, payload_hash = NULL,
        sent_attributes = '{}', mapping_version = NULL, remote_key = NULL, remote_id = NULL, remote_mark = NULL,
        maybe_keys = '{}', sent_key = NULL, lists = '{}', left_out = '{}', attributes_version = NULL, synced_at = NULL, due_since = NULL,
        bulk_ok = true,
        last_error_kind = CASE WHEN k.suppressed THEN s.last_error_kind END,
        last_error_code = CASE WHEN k.suppressed THEN s.last_error_code END,
        last_error = CASE WHEN k.suppressed THEN s.last_error END,
        last_http_status = NULL
      FROM kept k WHERE s.contact_id = k.contact_id AND s.crm = :crm
)
SELECT count(*) FROM kept WHERE NOT suppressed AND state <> 'unselected'

-- name: close_by_hand
-- Not over a restore: what was not known then is not known now.
UPDATE crm_gates SET paused_until = 'infinity', pause_kind = 'manual', pause_reason = left(:reason, 1000),
       refused_kind = NULL, refused_fingerprint = NULL, changed_at = now()
 WHERE crm = :crm AND pause_kind IS DISTINCT FROM 'restored'

-- name: lock_home
SELECT home IS NULL AS never_noted, coalesce(home = crm_home(tableoid), false) AS at_home
  FROM crm_gates WHERE crm = :crm FOR UPDATE

-- name: settle
UPDATE crm_gates SET home = crm_home(tableoid) WHERE crm = :crm

-- name: park_sent
-- Who was just being sent where nothing must be sent twice, as by `rescue` in claims.sql.
UPDATE crm_syncs SET
    state = 'failed', claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL, mapping_version = NULL,
    last_error_kind = 'unknown', last_error_code = NULL, last_http_status = NULL,
    last_error = 'This contact was being sent when the backup was made. ' || :if_unknown
 WHERE crm = :crm AND state = 'claimed' AND sending_claim_no = claim_no

-- name: forget_held
-- After a restore the CRM holds what was sent before it and since: what is known of that is not certain any more. A
-- worker of before may hold claims that this state has never seen; none of the next ones may have their numbers, of which
-- each delivery takes up to 2^30. Who is on no list as far as is known may have been put on it since, and have left it: a
-- bulk import would not look.
UPDATE crm_syncs SET
    state = CASE WHEN state = 'claimed' THEN 'queued' ELSE state END, claim_no = claim_no + (1::bigint << 40), claimed_by = NULL,
    lease_until = NULL, delivery_started_at = NULL, payload_hash = NULL, bulk_ok = bulk_ok AND lists IS DISTINCT FROM '{}'
 WHERE crm = :crm

-- name: close_restored
UPDATE crm_gates SET paused_until = 'infinity', pause_kind = 'restored', pause_reason = :reason, refused_kind = NULL,
       refused_fingerprint = NULL,
       probing = false, consecutive_failures = 0, pause_seconds = 0, next_poll_at = now(), counting_since = now(),
       changed_at = now()
 WHERE crm = :crm
