-- The delay from an edit, or a selection, to the CRM: docs/glossary.md. clock_timestamp() and not now(): of what Postgres
-- tells of a transaction without track_commit_timestamp, this is nearest to its commit.
-- No default for the rows that are there, which would be a pass over the table, and would not be true of them.

ALTER TABLE crm_attempts ADD COLUMN wanted_since timestamptz;
COMMENT ON COLUMN crm_attempts.wanted_since IS
    'Of a delivery that the CRM has confirmed: finished_at less this is its delay. NULL: nobody waited, or it is not known.';
COMMENT ON TABLE crm_attempts IS
    'One row per delivery attempt: the ledger, append-only but for applied_at, and wanted_since, which is set with it.';

ALTER TABLE crm_syncs ADD COLUMN wanted_since timestamptz,
    ADD COLUMN wanted_again_at timestamptz,
    ADD COLUMN wanted_again_claim_no bigint;
ALTER TABLE crm_syncs ALTER COLUMN wanted_since SET DEFAULT clock_timestamp();
COMMENT ON COLUMN crm_syncs.wanted_since IS
    'While queued or claimed: the earliest edit or selection that is not at the CRM. NULL: nobody''s, or not known. Whoever '
    'queues a contact sets it.';
COMMENT ON COLUMN crm_syncs.wanted_again_at IS
    'The earliest edit or selection since the delivery with wanted_again_claim_no began, which does not cover it.';

-- Brings the rows of crm_syncs up to the contact's revision: what was done with is queued again.
-- A contact that took a worker down keeps one crash, so that it is delivered alone. A suppressed one stays so. One that may
-- have arrived stays for a user to decide about: to send what is newer would be to send it twice.
CREATE OR REPLACE FUNCTION crm_requeue_edited(p_contact_id uuid, p_revision bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    UPDATE crm_syncs SET revision = revision + 1, contact_revision = p_revision,
           wanted_since = coalesce(wanted_since, moment),
           wanted_again_at = CASE WHEN wanted_again_claim_no = claim_no THEN wanted_again_at ELSE moment END,
           wanted_again_claim_no = claim_no
     WHERE contact_id = p_contact_id AND contact_revision < p_revision
       AND (state IN ('queued', 'claimed', 'unselected') OR last_error_kind = 'suppressed'
            OR (state = 'failed' AND last_error_kind = 'unknown'));
    UPDATE crm_syncs SET
        revision = revision + 1, contact_revision = p_revision,
        state = 'queued', run_at = now(), wanted_since = moment, attempts = 0, crashes = least(crashes, 1::smallint),
        last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
     WHERE contact_id = p_contact_id AND contact_revision < p_revision
       AND state IN ('synced', 'failed', 'skipped');
END $$;

-- Selects contacts for a CRM; the single place that knows what selecting means.
-- selected: goes into the queue with its full number of attempts, and is sent even if nothing changed.
-- already_queued: a back-off is not bypassed. claimed: goes again after the present delivery.
-- With p_only_new, whatever was selected before stays as it is. Contacts that do not exist are not in the answer.
-- unchanged: among them who has come to an unknown end since it was asked for. Whoever asked could not know that.
CREATE OR REPLACE FUNCTION crm_select(p_crm text, p_contact_ids uuid[], p_only_new boolean DEFAULT false)
RETURNS TABLE (contact_id uuid, outcome text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM crm_notice_unattended(p_crm);
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT c.id, c.revision, s.state, s.last_error_kind
          FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = p_crm
         WHERE c.id IN (SELECT unnest(p_contact_ids))
    ), changed AS (
        INSERT INTO crm_syncs AS s (contact_id, crm, contact_revision)
        SELECT w.id, p_crm, w.revision FROM wanted w
         WHERE NOT p_only_new OR w.state IS NULL OR w.state = 'unselected'
         ORDER BY w.id
        ON CONFLICT ON CONSTRAINT crm_syncs_pkey DO UPDATE SET
            state = CASE WHEN s.state = 'claimed' THEN 'claimed' ELSE 'queued' END,
            revision = s.revision + 1,
            run_at = CASE WHEN s.state = 'claimed' THEN s.run_at ELSE now() END,
            wanted_since = CASE WHEN s.state = 'claimed' THEN coalesce(s.wanted_since, excluded.wanted_since)
                                ELSE excluded.wanted_since END,
            wanted_again_at = CASE WHEN s.wanted_again_claim_no = s.claim_no THEN s.wanted_again_at
                                   ELSE excluded.wanted_since END,
            wanted_again_claim_no = s.claim_no,
            attempts = CASE WHEN s.state = 'claimed' THEN s.attempts ELSE 0 END,
            crashes = CASE WHEN s.state = 'claimed' THEN s.crashes ELSE least(s.crashes, 1::smallint) END,
            payload_hash = NULL,
            selected_at = now(),
            last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
        WHERE s.state <> 'queued'
          AND NOT (s.state = 'skipped' AND s.last_error_kind = 'suppressed')
          AND NOT (p_only_new AND s.state <> 'unselected')
          AND NOT (s.state = 'failed' AND s.last_error_kind = 'unknown'
                   AND s.contact_id NOT IN (SELECT w.id FROM wanted w WHERE w.last_error_kind = 'unknown'))
        RETURNING s.contact_id, s.state
    )
    SELECT w.id, CASE WHEN c.state = 'claimed' THEN 'claimed'
                      WHEN c.state = 'queued' THEN 'selected'
                      WHEN w.state = 'skipped' AND w.last_error_kind = 'suppressed' THEN 'suppressed'
                      WHEN w.state = 'queued' THEN 'already_queued'
                      ELSE 'unchanged' END
      FROM wanted w LEFT JOIN changed c ON c.contact_id = w.id;
END $$;

-- When an address is free again: the next of its twins is an ordinary contact from now on, and goes where it was kept from
-- going. If somebody else takes the address in the same moment, all stays as it is.
CREATE OR REPLACE FUNCTION crm_contacts_freed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    twin record;
BEGIN
    FOR twin IN SELECT t.id, t.first_id FROM crm_twins(ARRAY[OLD.address], true) t WHERE NOT t.is_settled
                 ORDER BY t.id <> t.first_id LOOP
        IF twin.id = twin.first_id THEN
            BEGIN
                UPDATE crm_contacts SET address = OLD.address WHERE id = twin.id;
            EXCEPTION WHEN unique_violation THEN
                RETURN NULL;
            END;
            UPDATE crm_syncs SET state = 'queued', run_at = now(), wanted_since = clock_timestamp(), attempts = 0,
                   last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
             WHERE contact_id = twin.id AND state = 'skipped' AND last_error_kind = 'same_address';
        ELSE
            UPDATE crm_syncs SET last_error = crm_same_address(twin.first_id)
             WHERE contact_id = twin.id AND state = 'skipped' AND last_error_kind = 'same_address';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
