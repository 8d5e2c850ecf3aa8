-- The view `contacts`: what users, scripts and existing apps read and write. The status pairs are derived from the one
-- state in crm_syncs, so a contradictory pair cannot exist; what is written is turned into a decision about the contact.

-- The unique index is on lower(btrim(email)); a plain `WHERE email = …` needs its own.
CREATE INDEX crm_contacts_email_idx ON crm_contacts (email);

-- The planner inlines these two.
CREATE FUNCTION crm_sync_status(p_state text, p_attempts smallint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_state WHEN 'queued' THEN CASE WHEN p_attempts > 0 THEN 'Queued' ELSE 'Selected' END
                        WHEN 'claimed' THEN 'Processing'
                        WHEN 'synced' THEN 'Complete'
                        WHEN 'failed' THEN 'Error'
                        WHEN 'skipped' THEN 'Skipped'
                        ELSE 'New' END
$$;
CREATE FUNCTION crm_processing_status(p_state text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_state WHEN 'queued' THEN 'Queued'
                        WHEN 'claimed' THEN 'Processing'
                        WHEN 'synced' THEN 'Complete'
                        WHEN 'failed' THEN 'Error' END
$$;

-- Every join is on a primary key, so the planner drops those whose columns a query does not name.
-- f is the row of the most recent failure, whichever the CRM.
CREATE VIEW contacts AS
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
       f.crm AS last_failed_crm
  FROM crm_contacts c
  LEFT JOIN crm_syncs b ON b.contact_id = c.id AND b.crm = 'brevo'
  LEFT JOIN crm_syncs h ON h.contact_id = c.id AND h.crm = 'hubspot'
  LEFT JOIN crm_syncs m ON m.contact_id = c.id AND m.crm = 'mautic'
  LEFT JOIN crm_syncs n ON n.contact_id = c.id AND n.crm = 'n8n'
  LEFT JOIN crm_syncs f ON f.contact_id = c.id AND f.crm = (
       SELECT l.crm FROM crm_syncs l
        WHERE l.contact_id = c.id AND l.state IN ('queued', 'claimed', 'failed') AND l.last_error_kind IS NOT NULL
        ORDER BY coalesce(l.last_attempt_at, l.selected_at) DESC, l.crm LIMIT 1);
COMMENT ON VIEW contacts IS 'One row per person with a status pair per CRM, to be read and written by users and apps.';
ALTER VIEW contacts ALTER COLUMN id SET DEFAULT gen_random_uuid();
ALTER VIEW contacts ALTER COLUMN custom_fields SET DEFAULT '{}';
ALTER VIEW contacts ALTER COLUMN created_at SET DEFAULT now();
ALTER VIEW contacts ALTER COLUMN brevo_sync_status SET DEFAULT 'New';
ALTER VIEW contacts ALTER COLUMN hubspot_sync_status SET DEFAULT 'New';
ALTER VIEW contacts ALTER COLUMN mautic_sync_status SET DEFAULT 'New';
ALTER VIEW contacts ALTER COLUMN n8n_sync_status SET DEFAULT 'New';

-- The decision that a written status pair stands for. One of the two columns may be written alone: a sync status without
-- its processing status says the same as the pair, and the processing status 'Queued' asks for a delivery.
CREATE FUNCTION contacts_decision(p_old_sync text, p_old_processing text, p_sync text, p_processing text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_sync = p_old_sync AND p_processing IS NOT DISTINCT FROM p_old_processing THEN 'none'
        WHEN p_sync IN ('Selected', 'Queued', p_old_sync) AND p_processing = 'Queued' THEN 'select'
        WHEN p_processing IS NULL OR p_processing = p_old_processing
            THEN CASE p_sync WHEN 'Selected' THEN 'select' WHEN 'New' THEN 'unselect' WHEN 'Skipped' THEN 'suppress'
                             ELSE 'refuse' END
        ELSE 'refuse' END
$$;

-- Carries out the decision about one contact and one CRM; true if there was one.
CREATE FUNCTION contacts_decide(p_id uuid, p_crm text, p_old_sync text, p_old_processing text,
                                p_sync text, p_processing text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    CASE contacts_decision(p_old_sync, p_old_processing, p_sync, p_processing)
        WHEN 'none' THEN
            RETURN false;
        WHEN 'select' THEN
            -- No exception: an update of many contacts must not fail for one.
            IF EXISTS (SELECT 1 FROM crm_select(p_crm, ARRAY[p_id]) s WHERE s.outcome = 'suppressed') THEN
                RAISE NOTICE 'Contact % is suppressed for % and stays so.', p_id, p_crm
                    USING HINT = format('Set %s_sync_status to ''New'' first to lift that.', p_crm);
            END IF;
        WHEN 'unselect' THEN
            PERFORM crm_unselect(p_crm, ARRAY[p_id]);
        WHEN 'suppress' THEN
            PERFORM crm_suppress(p_crm, ARRAY[p_id]);
        WHEN 'refuse' THEN
            RAISE EXCEPTION 'Contact % cannot be set to %/% for %: only deliveries bring a contact there.',
                p_id, p_sync, coalesce(p_processing, 'NULL'), p_crm
                USING ERRCODE = 'check_violation',
                      HINT = format('Set %1$s_sync_status, %1$s_processing_status to ''Selected'', ''Queued'' (deliver), '
                                    '''New'', NULL (take back) or ''Skipped'', NULL (never deliver).', p_crm);
    END CASE;
    RETURN true;
END $$;

-- Two contacts with one address are refused by id: the address belongs into no log.
CREATE FUNCTION contacts_refuse_duplicate(p_constraint text, p_id uuid, p_email text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    holder uuid;
BEGIN
    IF p_constraint = 'crm_contacts_pkey' THEN
        RAISE EXCEPTION 'Contact % exists already.', p_id
            USING ERRCODE = 'unique_violation', CONSTRAINT = p_constraint, TABLE = 'contacts',
                  HINT = 'Update it, or leave the id out to get a new one.';
    END IF;
    SELECT id INTO holder FROM crm_contacts WHERE lower(btrim(email)) = lower(btrim(p_email));
    RAISE EXCEPTION 'Contact % has this address already.', coalesce(holder::text, '(just being written)')
        USING ERRCODE = 'unique_violation', CONSTRAINT = p_constraint, TABLE = 'contacts',
              HINT = 'Update that contact, or delete one of the two.';
END $$;

-- What the deliveries keep may be written back as it is. The errors and the retry columns may also be cleared together
-- with a decision, which clears them anyway: so the original's apps reset a failed contact.
CREATE FUNCTION contacts_check_derived(p_old contacts, p_new contacts, p_decided boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    refused text;
BEGIN
    SELECT string_agg(key, ', ' ORDER BY key) INTO refused
      FROM jsonb_each(to_jsonb(p_old)) o (key, old_value) JOIN jsonb_each(to_jsonb(p_new)) n (key, new_value) USING (key)
     WHERE new_value <> old_value
       AND (key ~ '^(brevo|hubspot|mautic|n8n)_(contact_id|id)$'
            OR (key ~ '_processing_error$' OR key IN ('retry_count', 'next_retry_at', 'last_retry_at', 'last_failed_crm'))
               AND NOT (p_decided AND new_value IN ('null', '0')));
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'Contact %: % cannot be written; deliveries keep that.', p_new.id, refused
            USING ERRCODE = 'check_violation',
                  HINT = 'To have a contact delivered again, set its sync status to ''Selected'' and its processing status '
                         'to ''Queued''.';
    END IF;
END $$;

-- Both run once per row of a statement, so they plan once. Without sequential scans, since a plan made while crm_syncs is
-- small is used on while the statement makes it large, and would read the whole of it for every contact.
CREATE FUNCTION contacts_insert() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    blank contacts;
    violated text;
BEGIN
    NEW.id := coalesce(NEW.id, gen_random_uuid());
    BEGIN
        INSERT INTO crm_contacts (id, email, name, phone_number, email_type, has_gmail, context, source_url,
                                  source_job_id, domain_id, page_id, custom_fields, created_at, updated_at)
        VALUES (NEW.id, NEW.email, NEW.name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context,
                NEW.source_url, NEW.source_job_id, NEW.domain_id, NEW.page_id, coalesce(NEW.custom_fields, '{}'),
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
CREATE TRIGGER contacts_insert INSTEAD OF INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION contacts_insert();

CREATE FUNCTION contacts_update() RETURNS trigger LANGUAGE plpgsql
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
    IF (NEW.email, NEW.name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context, NEW.source_url,
        NEW.source_job_id, NEW.domain_id, NEW.page_id, NEW.custom_fields)
       IS DISTINCT FROM
       (OLD.email, OLD.name, OLD.phone_number, OLD.email_type, OLD.has_gmail, OLD.context, OLD.source_url,
        OLD.source_job_id, OLD.domain_id, OLD.page_id, OLD.custom_fields)
    THEN
        BEGIN
            -- Only what this update changes: somebody else may have changed another column since it was read.
            UPDATE crm_contacts c SET
                email = CASE WHEN NEW.email IS DISTINCT FROM OLD.email THEN NEW.email ELSE c.email END,
                name = CASE WHEN NEW.name IS DISTINCT FROM OLD.name THEN NEW.name ELSE c.name END,
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
CREATE TRIGGER contacts_update INSTEAD OF UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION contacts_update();

CREATE FUNCTION contacts_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM crm_contacts WHERE id = OLD.id;
    IF NOT FOUND THEN  -- deleted by somebody else meanwhile
        RETURN NULL;
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER contacts_delete INSTEAD OF DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION contacts_delete();
