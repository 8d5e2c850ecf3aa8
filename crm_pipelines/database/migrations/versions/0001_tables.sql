-- Tables of the contacts database. Every time is the database's: now() is the only clock.

CREATE TABLE crm_contacts (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email         text,
    name          text,
    phone_number  text,
    email_type    text,
    has_gmail     boolean,
    context       text,
    source_url    text,
    source_job_id uuid,
    domain_id     uuid,
    page_id       uuid,
    custom_fields jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(custom_fields) = 'object'),
    revision      bigint NOT NULL DEFAULT 1,   -- +1 with every change of what could be sent
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE crm_contacts IS 'One row per person: who they are.';
-- Two rows with one address would overwrite each other in every CRM.
CREATE UNIQUE INDEX crm_contacts_email_key ON crm_contacts (lower(btrim(email)));
CREATE INDEX crm_contacts_updated_at_idx ON crm_contacts (updated_at);

CREATE TABLE crm_syncs (
    contact_id          uuid NOT NULL REFERENCES crm_contacts ON DELETE CASCADE,
    crm                 text NOT NULL CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    state               text NOT NULL DEFAULT 'queued'
                        CHECK (state IN ('queued', 'claimed', 'synced', 'failed', 'skipped', 'unselected')),
    run_at              timestamptz NOT NULL DEFAULT now(),  -- due time; a back-off is only a later run_at
    revision            bigint NOT NULL DEFAULT 1,           -- +1 with every change of what is to be sent
    contact_revision    bigint NOT NULL DEFAULT 0,           -- revision of the contact that the line above has counted
    synced_revision     bigint NOT NULL DEFAULT 0,
    claim_no            bigint NOT NULL DEFAULT 0,           -- fencing token: +1 per claim and per take-over, never less
    claimed_by          text,                                -- id of the Dagster run
    lease_until         timestamptz,
    delivery_started_at timestamptz,                         -- within this claim; a crash is charged only to such rows
    attempts            smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- counted failures since the last success
    crashes             smallint NOT NULL DEFAULT 0 CHECK (crashes >= 0),   -- leases lost while being delivered
    payload_hash        bytea,                               -- of the last confirmed delivery
    sent_attributes     text[] NOT NULL DEFAULT '{}',        -- names the CRM holds a value of ours for
    mapping_version     text,
    remote_key          text,                                -- address under which the CRM holds the contact
    remote_id           text,
    last_error_kind     text,
    last_error_code     text,
    last_error          text CHECK (length(last_error) <= 1000),
    last_http_status    smallint,
    selected_at         timestamptz NOT NULL DEFAULT now(),
    synced_at           timestamptz,
    last_attempt_at     timestamptz,
    PRIMARY KEY (contact_id, crm),
    CONSTRAINT claimed_has_holder CHECK ((state = 'claimed') = (claimed_by IS NOT NULL)
                                         AND (state = 'claimed') = (lease_until IS NOT NULL)),
    CONSTRAINT started_is_claimed CHECK (delivery_started_at IS NULL OR state = 'claimed'),
    CONSTRAINT synced_is_current CHECK (state <> 'synced' OR synced_revision = revision),
    CONSTRAINT synced_not_ahead CHECK (synced_revision <= revision),
    CONSTRAINT given_up_has_reason CHECK (state NOT IN ('failed', 'skipped') OR last_error_kind IS NOT NULL)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE crm_syncs IS 'One row per person and CRM: the state machine of the delivery.';
CREATE INDEX crm_syncs_due_idx ON crm_syncs (crm, run_at, contact_id) WHERE state = 'queued';
-- The lease itself stays out of every index, so that renewing it is a heap-only update.
CREATE INDEX crm_syncs_claimed_idx ON crm_syncs (crm, contact_id) WHERE state = 'claimed';
CREATE INDEX crm_syncs_given_up_idx ON crm_syncs (crm, last_error_kind) WHERE state IN ('failed', 'skipped');
-- Partial, so that no plan made without statistics walks it for the CRM alone.
CREATE INDEX crm_syncs_remote_key_idx ON crm_syncs (crm, remote_key) WHERE remote_key IS NOT NULL;

CREATE TABLE crm_attempts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id      uuid NOT NULL REFERENCES crm_contacts ON DELETE CASCADE,
    crm             text NOT NULL,
    claim_no        bigint NOT NULL,
    run_id          text NOT NULL,
    revision        bigint NOT NULL,
    outcome         text NOT NULL
                    CHECK (outcome IN ('synced', 'unchanged', 'retry', 'snoozed', 'rejected', 'skipped', 'refused')),
    kind            text,
    code            text,
    message         text CHECK (length(message) <= 1000),
    http_status     smallint,
    request_id      text,
    requests        smallint NOT NULL DEFAULT 0,
    retry_after     interval,
    remote_key      text,
    remote_id       text,
    payload_hash    bytea,
    sent_attributes text[] NOT NULL DEFAULT '{}',
    mapping_version text,
    warnings        text[] NOT NULL DEFAULT '{}',
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL DEFAULT now(),
    applied_at      timestamptz,            -- when write_statuses carried the outcome over to crm_syncs
    UNIQUE (contact_id, crm, claim_no)      -- one claim has one outcome
);
COMMENT ON TABLE crm_attempts IS 'One row per delivery attempt: the ledger, append-only but for applied_at.';
CREATE INDEX crm_attempts_recent_idx ON crm_attempts (crm, finished_at);
CREATE INDEX crm_attempts_unapplied_idx ON crm_attempts (crm, run_id) WHERE applied_at IS NULL;

CREATE TABLE crm_gates (
    crm                     text PRIMARY KEY CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    account                 text,           -- whose answers the rows of crm_syncs are; see bind_account
    next_slot_at            timestamptz NOT NULL DEFAULT now(),  -- the next request may leave then
    limit_observed          real,           -- requests per second that the CRM's headers reported
    slow_until              timestamptz,    -- slow start after a refusal for rate
    paused_until            timestamptz,
    pause_kind              text CHECK (pause_kind IN ('credentials', 'rate_limit', 'outage', 'rejects')),
    pause_reason            text CHECK (length(pause_reason) <= 1000),
    refused_fingerprint     text,           -- of the credentials that were refused
    pause_seconds           integer NOT NULL DEFAULT 0,  -- last pause of the breaker; the next one is twice as long
    consecutive_failures    integer NOT NULL DEFAULT 0,
    probing                 boolean NOT NULL DEFAULT false,  -- after a pause a single contact goes first
    counting_since          timestamptz NOT NULL DEFAULT now(),  -- the breaker's shares count attempts after this
    changed_at              timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT paused_has_reason CHECK ((paused_until IS NULL) = (pause_kind IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE crm_gates IS 'One row per CRM account: the shared rate limiter and circuit breaker.';
INSERT INTO crm_gates (crm) VALUES ('brevo'), ('hubspot'), ('mautic'), ('n8n');

-- A change of what could be sent makes a new revision.
CREATE FUNCTION crm_contacts_revise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.email, NEW.name, NEW.phone_number, NEW.email_type, NEW.has_gmail, NEW.context, NEW.source_url,
        NEW.source_job_id, NEW.domain_id, NEW.page_id, NEW.custom_fields)
       IS DISTINCT FROM
       (OLD.email, OLD.name, OLD.phone_number, OLD.email_type, OLD.has_gmail, OLD.context, OLD.source_url,
        OLD.source_job_id, OLD.domain_id, OLD.page_id, OLD.custom_fields)
    THEN
        NEW.revision := OLD.revision + 1;
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER crm_contacts_revise BEFORE UPDATE ON crm_contacts
    FOR EACH ROW EXECUTE FUNCTION crm_contacts_revise();

-- Brings the rows of crm_syncs up to the contact's revision: what was done with is queued again.
-- A contact that took a worker down keeps one crash, so that it is delivered alone. A suppressed one stays so.
-- plpgsql here and below, since it keeps its plans: called per row, a function in SQL is planned each time.
CREATE FUNCTION crm_requeue_edited(p_contact_id uuid, p_revision bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE crm_syncs SET revision = revision + 1, contact_revision = p_revision
     WHERE contact_id = p_contact_id AND contact_revision < p_revision
       AND (state IN ('queued', 'claimed', 'unselected') OR last_error_kind = 'suppressed');
    UPDATE crm_syncs SET
        revision = revision + 1, contact_revision = p_revision,
        state = 'queued', run_at = now(), attempts = 0, crashes = least(crashes, 1::smallint),
        last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
     WHERE contact_id = p_contact_id AND contact_revision < p_revision
       AND state IN ('synced', 'failed', 'skipped');
END $$;
CREATE FUNCTION crm_contacts_requeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_requeue_edited(NEW.id, NEW.revision);
    RETURN NULL;
END $$;
CREATE TRIGGER crm_contacts_requeue AFTER UPDATE ON crm_contacts
    FOR EACH ROW WHEN (NEW.revision > OLD.revision) EXECUTE FUNCTION crm_contacts_requeue();

-- Selects contacts for a CRM; the single place that knows what selecting means.
-- selected: goes into the queue with its full number of attempts, and is sent even if nothing changed.
-- already_queued: a back-off is not bypassed. claimed: goes again after the present delivery.
-- With p_only_new, whatever was selected before stays as it is. Contacts that do not exist are not in the answer.
CREATE FUNCTION crm_select(p_crm text, p_contact_ids uuid[], p_only_new boolean DEFAULT false)
RETURNS TABLE (contact_id uuid, outcome text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
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

-- Takes contacts back: whatever a delivery under way comes to, it no longer changes the state (claim_no moves on).
-- What the CRM holds of the contact stays known.
CREATE FUNCTION crm_unselect(p_crm text, p_contact_ids uuid[])
RETURNS TABLE (contact_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE crm_syncs s SET state = 'unselected', claim_no = s.claim_no + 1, claimed_by = NULL, lease_until = NULL,
           delivery_started_at = NULL, attempts = 0, crashes = 0,
           last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
     WHERE s.crm = p_crm AND s.contact_id IN (SELECT unnest(p_contact_ids)) AND s.state <> 'unselected'
    RETURNING s.contact_id;
END $$;

-- A contact that must never be sent to this CRM, by decision of the user. Only crm_unselect lifts it.
CREATE FUNCTION crm_suppress(p_crm text, p_contact_ids uuid[])
RETURNS TABLE (contact_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    INSERT INTO crm_syncs AS s (contact_id, crm, contact_revision, state, last_error_kind, last_error)
    SELECT c.id, p_crm, c.revision, 'skipped', 'suppressed', 'Suppressed: never to be sent to this CRM.'
      FROM crm_contacts c WHERE c.id = ANY (p_contact_ids)
     ORDER BY c.id
    ON CONFLICT ON CONSTRAINT crm_syncs_pkey DO UPDATE SET
        state = 'skipped', claim_no = s.claim_no + 1, claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
        attempts = 0, crashes = 0, last_error_kind = excluded.last_error_kind, last_error = excluded.last_error,
        last_error_code = NULL, last_http_status = NULL
    RETURNING s.contact_id;
END $$;
