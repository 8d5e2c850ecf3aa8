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
