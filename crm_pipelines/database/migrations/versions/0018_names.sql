-- First and last name as they were given apart. NULL, both: only the whole name is known.
-- The view first and alone: whoever writes through it locks it before the table, too.
ALTER VIEW contacts ALTER COLUMN id SET DEFAULT gen_random_uuid();
ALTER TABLE crm_contacts ADD COLUMN first_name text, ADD COLUMN last_name text;

-- Of immutable functions only, so that a statement takes it in instead of calling it.
CREATE FUNCTION crm_joined_name(p_first text, p_last text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(btrim(coalesce(btrim(p_first), '') || ' ' || coalesce(btrim(p_last), '')), '')
$$;

-- Whether the whole name says no more and no less than its parts.
CREATE FUNCTION crm_is_joined_name(p_name text, p_first text, p_last text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(btrim(p_name) IN (crm_joined_name(p_first, p_last), btrim(p_last) || ', ' || btrim(p_first)), false)
$$;

-- What is stored and what a file says of a name (NULL: nothing), each as name, first name, last name: what is to be stored.
-- The same file once more changes nothing. Where it has all three and they differ, what it says is kept as it stands;
-- but parts of a name that was edited since, and so made unknown, do not come back.
CREATE FUNCTION crm_names(p_stored text[], p_said text[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    name text := p_said[1];
    parts text[] := ARRAY[coalesce(p_said[2], p_stored[2]), coalesce(p_said[3], p_stored[3])];
    unknown boolean := p_stored[2] IS NULL AND p_stored[3] IS NULL;
BEGIN
    IF p_said[2] IS NULL AND p_said[3] IS NULL THEN
        RETURN coalesce(name, p_stored[1]) || p_stored[2:3];
    END IF;
    IF name = p_stored[1] AND unknown AND NOT crm_is_joined_name(name, parts[1], parts[2]) THEN
        RETURN p_stored;
    END IF;
    -- An import joins what a file without a whole name says.
    IF name IS NULL OR name = crm_joined_name(p_said[2], p_said[3]) THEN
        name := CASE WHEN parts = p_stored[2:3] OR (unknown AND crm_is_joined_name(p_stored[1], parts[1], parts[2]))
                     THEN p_stored[1] ELSE crm_joined_name(parts[1], parts[2]) END;
    END IF;
    RETURN name || parts;
END $$;

-- A whole name that is written alone makes its parts unknown: by this version, and by one that knows no parts.
-- Fires before crm_contacts_revise, in the order of their names.
CREATE FUNCTION crm_contacts_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT crm_is_joined_name(NEW.name, NEW.first_name, NEW.last_name) THEN
        NEW.first_name := NULL;
        NEW.last_name := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER crm_contacts_names BEFORE UPDATE ON crm_contacts FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name AND (OLD.first_name IS NOT NULL OR OLD.last_name IS NOT NULL)
          AND NEW.first_name IS NOT DISTINCT FROM OLD.first_name AND NEW.last_name IS NOT DISTINCT FROM OLD.last_name)
    EXECUTE FUNCTION crm_contacts_names();

CREATE OR REPLACE FUNCTION crm_contacts_revise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.email, NEW.name, NEW.first_name, NEW.last_name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context,
        NEW.source_url, NEW.source_job_id, NEW.domain_id, NEW.page_id, NEW.custom_fields)
       IS DISTINCT FROM
       (OLD.email, OLD.name, OLD.first_name, OLD.last_name, OLD.phone_number, OLD.email_type, OLD.has_gmail, OLD.context,
        OLD.source_url, OLD.source_job_id, OLD.domain_id, OLD.page_id, OLD.custom_fields)
    THEN
        NEW.revision := OLD.revision + 1;
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE VIEW contacts AS
SELECT c.id, c.email, c.name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url, c.source_job_id,
       c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at,
       crm_sync_status(b.state, b.attempts) AS brevo_sync_status,
       crm_processing_status(b.state) AS brevo_processing_status,
       b.last_error AS brevo_processing_error,
       b.remote_key AS brevo_contact_id,
       b.remote_id AS brevo_id,
       crm_sync_status(h.state, h.attempts) AS hubspot_sync_status,
       crm_processing_status(h.state) AS hubspot_processing_status,
       h.last_error AS hubspot_processing_error,
       h.remote_key AS hubspot_contact_id,
       h.remote_id AS hubspot_id,
       crm_sync_status(m.state, m.attempts) AS mautic_sync_status,
       crm_processing_status(m.state) AS mautic_processing_status,
       m.last_error AS mautic_processing_error,
       m.remote_key AS mautic_contact_id,
       m.remote_id AS mautic_id,
       crm_sync_status(n.state, n.attempts) AS n8n_sync_status,
       crm_processing_status(n.state) AS n8n_processing_status,
       n.last_error AS n8n_processing_error,
       n.remote_key AS n8n_contact_id,
       n.remote_id AS n8n_id,
       coalesce(CASE f.state WHEN 'failed' THEN greatest(f.attempts - 1, 0) ELSE f.attempts END, 0) AS retry_count,
       CASE WHEN f.state = 'queued' AND f.attempts > 0 THEN f.run_at END AS next_retry_at,
       CASE WHEN f.attempts > 1 THEN f.last_attempt_at END AS last_retry_at,
       f.crm AS last_failed_crm,
       c.first_name, c.last_name
  FROM crm_contacts c
  LEFT JOIN crm_syncs b ON b.contact_id = c.id AND b.crm = 'brevo'
  LEFT JOIN crm_syncs h ON h.contact_id = c.id AND h.crm = 'hubspot'
  LEFT JOIN crm_syncs m ON m.contact_id = c.id AND m.crm = 'mautic'
  LEFT JOIN crm_syncs n ON n.contact_id = c.id AND n.crm = 'n8n'
  LEFT JOIN crm_syncs f ON f.contact_id = c.id AND f.crm = (
       SELECT l.crm FROM crm_syncs l
        WHERE l.contact_id = c.id AND l.state IN ('queued', 'claimed', 'failed') AND l.last_error_kind IS NOT NULL
        ORDER BY coalesce(l.last_attempt_at, l.selected_at) DESC, l.crm LIMIT 1);

CREATE OR REPLACE FUNCTION contacts_insert() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    blank contacts;
    violated text;
BEGIN
    NEW.id := coalesce(NEW.id, gen_random_uuid());
    BEGIN
        INSERT INTO crm_contacts (id, email, name, first_name, last_name, phone_number, email_type, has_gmail, context,
                                  source_url, source_job_id, domain_id, page_id, custom_fields, created_at, updated_at)
        VALUES (NEW.id, NEW.email, coalesce(nullif(NEW.name, ''), crm_joined_name(NEW.first_name, NEW.last_name)),
                NEW.first_name, NEW.last_name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context, NEW.source_url,
                NEW.source_job_id, NEW.domain_id, NEW.page_id, coalesce(NEW.custom_fields, '{}'),
                coalesce(NEW.created_at, now()), coalesce(NEW.updated_at, now()));
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
        PERFORM contacts_refuse_duplicate(violated, NEW.id, NEW.email);
    END;
    PERFORM contacts_decide(NEW.id, 'brevo', 'New', NULL, coalesce(NEW.brevo_sync_status, 'New'),
                            NEW.brevo_processing_status);
    PERFORM contacts_decide(NEW.id, 'hubspot', 'New', NULL, coalesce(NEW.hubspot_sync_status, 'New'),
                            NEW.hubspot_processing_status);
    PERFORM contacts_decide(NEW.id, 'mautic', 'New', NULL, coalesce(NEW.mautic_sync_status, 'New'),
                            NEW.mautic_processing_status);
    PERFORM contacts_decide(NEW.id, 'n8n', 'New', NULL, coalesce(NEW.n8n_sync_status, 'New'),
                            NEW.n8n_processing_status);
    PERFORM contacts_check_derived(blank, NEW, true);
    SELECT * INTO NEW FROM contacts WHERE id = NEW.id;  -- so that RETURNING says what is stored
    RETURN NEW;
END $$;

-- Parts that are written without the whole name change it.
CREATE OR REPLACE FUNCTION contacts_update() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    decided boolean := false;
    violated text;
BEGIN
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF NEW.id IS DISTINCT FROM OLD.id OR NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        RAISE EXCEPTION 'The id and created_at of contact % cannot be changed.', OLD.id
            USING ERRCODE = 'check_violation', HINT = 'Leave both columns out of the update.';
    END IF;
    NEW.custom_fields := coalesce(NEW.custom_fields, '{}');
    IF NEW.name IS NOT DISTINCT FROM OLD.name
       AND (NEW.first_name, NEW.last_name) IS DISTINCT FROM (OLD.first_name, OLD.last_name)
    THEN
        IF OLD.first_name IS NULL AND OLD.last_name IS NULL AND OLD.name IS NOT NULL
           AND (NEW.first_name IS NULL OR NEW.last_name IS NULL)
        THEN
            RAISE NOTICE 'Of contact % only one part of the name is known now; the whole name stays as it is.', OLD.id
                USING HINT = 'Write first_name and last_name together.';
        ELSE
            NEW.name := coalesce(crm_joined_name(NEW.first_name, NEW.last_name), NEW.name);
        END IF;
    END IF;
    IF (NEW.email, NEW.name, NEW.first_name, NEW.last_name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context, NEW.source_url,
        NEW.source_job_id, NEW.domain_id, NEW.page_id, NEW.custom_fields)
       IS DISTINCT FROM
       (OLD.email, OLD.name, OLD.first_name, OLD.last_name, OLD.phone_number, OLD.email_type, OLD.has_gmail, OLD.context, OLD.source_url,
        OLD.source_job_id, OLD.domain_id, OLD.page_id, OLD.custom_fields)
    THEN
        BEGIN
            -- Only what this update changes: somebody else may have changed another column since it was read.
            UPDATE crm_contacts c SET
                email = CASE WHEN NEW.email IS DISTINCT FROM OLD.email THEN NEW.email ELSE c.email END,
                name = CASE WHEN NEW.name IS DISTINCT FROM OLD.name THEN NEW.name ELSE c.name END,
                first_name = CASE WHEN NEW.first_name IS DISTINCT FROM OLD.first_name THEN NEW.first_name ELSE c.first_name END,
                last_name = CASE WHEN NEW.last_name IS DISTINCT FROM OLD.last_name THEN NEW.last_name ELSE c.last_name END,
                phone_number = CASE WHEN NEW.phone_number IS DISTINCT FROM OLD.phone_number THEN NEW.phone_number ELSE c.phone_number END,
                email_type = CASE WHEN NEW.email_type IS DISTINCT FROM OLD.email_type THEN NEW.email_type ELSE c.email_type END,
                has_gmail = CASE WHEN NEW.has_gmail IS DISTINCT FROM OLD.has_gmail THEN NEW.has_gmail ELSE c.has_gmail END,
                context = CASE WHEN NEW.context IS DISTINCT FROM OLD.context THEN NEW.context ELSE c.context END,
                source_url = CASE WHEN NEW.source_url IS DISTINCT FROM OLD.source_url THEN NEW.source_url ELSE c.source_url END,
                source_job_id = CASE WHEN NEW.source_job_id IS DISTINCT FROM OLD.source_job_id THEN NEW.source_job_id ELSE c.source_job_id END,
                domain_id = CASE WHEN NEW.domain_id IS DISTINCT FROM OLD.domain_id THEN NEW.domain_id ELSE c.domain_id END,
                page_id = CASE WHEN NEW.page_id IS DISTINCT FROM OLD.page_id THEN NEW.page_id ELSE c.page_id END,
                custom_fields = CASE WHEN NEW.custom_fields IS DISTINCT FROM OLD.custom_fields THEN NEW.custom_fields ELSE c.custom_fields END
             WHERE c.id = OLD.id;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            PERFORM contacts_refuse_duplicate(violated, NEW.id, NEW.email);
        END;
    END IF;
    decided := contacts_decide(OLD.id, 'brevo', OLD.brevo_sync_status, OLD.brevo_processing_status,
                               coalesce(NEW.brevo_sync_status, 'New'), NEW.brevo_processing_status) OR decided;
    decided := contacts_decide(OLD.id, 'hubspot', OLD.hubspot_sync_status, OLD.hubspot_processing_status,
                               coalesce(NEW.hubspot_sync_status, 'New'), NEW.hubspot_processing_status) OR decided;
    decided := contacts_decide(OLD.id, 'mautic', OLD.mautic_sync_status, OLD.mautic_processing_status,
                               coalesce(NEW.mautic_sync_status, 'New'), NEW.mautic_processing_status) OR decided;
    decided := contacts_decide(OLD.id, 'n8n', OLD.n8n_sync_status, OLD.n8n_processing_status,
                               coalesce(NEW.n8n_sync_status, 'New'), NEW.n8n_processing_status) OR decided;
    IF (NEW.retry_count, NEW.next_retry_at, NEW.last_retry_at, NEW.last_failed_crm, NEW.brevo_processing_error, NEW.brevo_contact_id, NEW.brevo_id,
        NEW.hubspot_processing_error, NEW.hubspot_contact_id, NEW.hubspot_id,
        NEW.mautic_processing_error, NEW.mautic_contact_id, NEW.mautic_id,
        NEW.n8n_processing_error, NEW.n8n_contact_id, NEW.n8n_id)
       IS DISTINCT FROM
       (OLD.retry_count, OLD.next_retry_at, OLD.last_retry_at, OLD.last_failed_crm, OLD.brevo_processing_error, OLD.brevo_contact_id, OLD.brevo_id,
        OLD.hubspot_processing_error, OLD.hubspot_contact_id, OLD.hubspot_id,
        OLD.mautic_processing_error, OLD.mautic_contact_id, OLD.mautic_id,
        OLD.n8n_processing_error, OLD.n8n_contact_id, OLD.n8n_id)
    THEN
        PERFORM contacts_check_derived(OLD, NEW, decided);
    END IF;
    SELECT * INTO NEW FROM contacts WHERE id = OLD.id;  -- so that RETURNING says what is stored
    IF NOT FOUND THEN  -- deleted by somebody else meanwhile
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
