-- The claim under which a request was begun that must not be made twice, at a destination that is not repeatable. If that is
-- the present claim, has no outcome, and its run is over, it is not known whether the contact arrived.
ALTER TABLE crm_syncs ADD COLUMN sending_claim_no bigint;

-- Brings the rows of crm_syncs up to the contact's revision: what was done with is queued again.
-- A contact that took a worker down keeps one crash, so that it is delivered alone. A suppressed one stays so. One that may
-- have arrived stays for a user to decide about: to send what is newer would be to send it twice.
CREATE OR REPLACE FUNCTION crm_requeue_edited(p_contact_id uuid, p_revision bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE crm_syncs SET revision = revision + 1, contact_revision = p_revision
     WHERE contact_id = p_contact_id AND contact_revision < p_revision
       AND (state IN ('queued', 'claimed', 'unselected') OR last_error_kind = 'suppressed'
            OR (state = 'failed' AND last_error_kind = 'unknown'));
    UPDATE crm_syncs SET
        revision = revision + 1, contact_revision = p_revision,
        state = 'queued', run_at = now(), attempts = 0, crashes = least(crashes, 1::smallint),
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
