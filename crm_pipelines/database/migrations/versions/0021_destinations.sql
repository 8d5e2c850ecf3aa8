-- Who delivers to what. The gate of a destination is made with its row; those of the four that have columns in the view
-- `contacts` are there from the beginning.
CREATE TABLE crm_destinations (
    name    text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,29}$'),
    kind    text NOT NULL,                        -- the CRM's product
    seen_at timestamptz NOT NULL DEFAULT now()    -- when somebody last had it in the settings, to the hour
);
COMMENT ON TABLE crm_destinations IS 'One row per account that contacts are delivered to, or were.';

-- What the CRM's refusal was about, in the words of its module; NULL while open, and of gates that an earlier version closed.
ALTER TABLE crm_gates ADD COLUMN refused_kind text;

-- Says it when contacts are selected for a destination that nobody delivers to: once in each statement, not per contact.
-- What was set locally is gone with the transaction. Roles of before, which may not read the table, are told nothing. A name
-- that nobody ever had is refused, as it always was.
CREATE FUNCTION crm_notice_unattended(p_crm text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    asked text := 'crm_pipelines.asked_' || p_crm;
    known boolean := coalesce(p_crm IN ('brevo', 'hubspot', 'mautic', 'n8n'), false);
    seen timestamptz;
BEGIN
    -- Other texts are no part of a setting's name, either.
    IF p_crm ~ '^[a-z][a-z0-9_]{0,29}$' THEN
        IF current_setting(asked, true) = statement_timestamp()::text THEN
            RETURN;
        END IF;
        PERFORM set_config(asked, statement_timestamp()::text, true);
        IF has_table_privilege('crm_destinations', 'SELECT') THEN
            SELECT d.seen_at INTO seen FROM crm_destinations d WHERE d.name = p_crm;
            known := known OR FOUND;
        ELSIF known THEN
            RETURN;
        ELSIF EXISTS (SELECT FROM crm_gates g WHERE g.crm = p_crm) THEN
            RETURN;
        END IF;
    END IF;
    IF NOT known THEN
        RAISE EXCEPTION 'There is no CRM named %.', coalesce(p_crm, 'NULL') USING ERRCODE = 'invalid_parameter_value',
              HINT = 'CRM_DESTINATIONS names further ones; each is known here once a crm-pipelines has it set up.';
    ELSIF seen IS NULL THEN
        RAISE NOTICE 'Nobody delivers to %: what is selected for it waits until a crm-pipelines runs that has it set up.', p_crm
            USING HINT = 'CRM_DESTINATIONS names it, or its credentials are set.';
    ELSIF seen < now() - interval '1 day' THEN
        RAISE NOTICE 'Nobody has delivered to % since %: what is selected for it waits until crm-pipelines runs again.',
            p_crm, to_char(seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');
    END IF;
END $$;

-- Selects contacts for a CRM; the single place that knows what selecting means.
-- selected: goes into the queue with its full number of attempts, and is sent even if nothing changed.
-- already_queued: a back-off is not bypassed. claimed: goes again after the present delivery.
-- With p_only_new, whatever was selected before stays as it is. Contacts that do not exist are not in the answer.
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
        RETURNING s.contact_id, s.state
    )
    SELECT w.id, CASE WHEN c.state = 'claimed' THEN 'claimed'
                      WHEN c.state = 'queued' THEN 'selected'
                      WHEN w.state = 'skipped' AND w.last_error_kind = 'suppressed' THEN 'suppressed'
                      WHEN w.state = 'queued' THEN 'already_queued'
                      ELSE 'unchanged' END
      FROM wanted w LEFT JOIN changed c ON c.contact_id = w.id;
END $$;
