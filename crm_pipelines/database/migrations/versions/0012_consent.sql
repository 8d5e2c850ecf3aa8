-- What was asked of a CRM once and must not be asked again, and whom the user never wants to be sent.

-- NULL: delivered by a version that asked for its list with every delivery and noted none. Not rewritten for that: a new
-- column without a default costs no pass over the table.
ALTER TABLE crm_syncs ADD COLUMN lists text[];
ALTER TABLE crm_syncs ALTER COLUMN lists SET DEFAULT '{}';
COMMENT ON COLUMN crm_syncs.lists IS 'Lists of the CRM that the contact was put on, or had left before: never asked for again.';
ALTER TABLE crm_syncs ADD COLUMN remote_mark text;
COMMENT ON COLUMN crm_syncs.remote_mark IS 'External id that another system gave the contact at the CRM and that was kept.';
ALTER TABLE crm_attempts ADD COLUMN lists text[] NOT NULL DEFAULT '{}', ADD COLUMN remote_mark text;
ALTER TABLE crm_bulk_rows ADD COLUMN lists text[] NOT NULL DEFAULT '{}';

-- The key of the digests below, as HMAC wants it: 64 bytes, exclusive-or'ed with its two pads. 244 random bits.
CREATE TABLE crm_digest_keys (
    id          smallint PRIMARY KEY,
    inner_block bytea NOT NULL CHECK (length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (length(outer_block) = 64),
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE crm_digest_keys IS 'Keys of the digests in crm_suppressions.';
DO $$
DECLARE
    key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || decode(repeat('00', 32), 'hex');
    inner_block bytea := key;
    outer_block bytea := key;
BEGIN
    FOR i IN 0..63 LOOP
        inner_block := set_byte(inner_block, i, get_byte(key, i) # 54);
        outer_block := set_byte(outer_block, i, get_byte(key, i) # 92);
    END LOOP;
    INSERT INTO crm_digest_keys (id, inner_block, outer_block) VALUES (1, inner_block, outer_block);
END $$;

-- HMAC-SHA-256 of an identifier; p_kind keeps identifiers of two kinds apart. The planner inlines it.
CREATE FUNCTION crm_digest(p_key crm_digest_keys, p_kind text, p_identifier text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256((p_key).outer_block || sha256((p_key).inner_block
                                                || convert_to(p_kind || ':' || p_identifier, 'UTF8')))
$$;

-- Without a reference to the contact: it outlives it.
CREATE TABLE crm_suppressions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person      uuid NOT NULL,               -- all identifiers of one person are suppressed and lifted together
    crm         text NOT NULL CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    digest      bytea NOT NULL,              -- of an address in normal form, or of a contact's id
    key_id      smallint NOT NULL DEFAULT 1 REFERENCES crm_digest_keys,
    reason      text CHECK (length(reason) <= 1000),
    since       timestamptz NOT NULL DEFAULT now(),
    by          text NOT NULL CHECK (length(by) <= 200),
    lifted_at   timestamptz,
    lifted_by   text CHECK (length(lifted_by) <= 200),
    lift_reason text CHECK (length(lift_reason) <= 1000),
    CONSTRAINT lifted_by_somebody CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
COMMENT ON TABLE crm_suppressions IS 'One row per identifier of a person who must never be sent to a CRM, kept once lifted.';
CREATE UNIQUE INDEX crm_suppressions_digest_key ON crm_suppressions (digest, crm) WHERE lifted_at IS NULL;
CREATE INDEX crm_suppressions_person_idx ON crm_suppressions (person) WHERE lifted_at IS NULL;

-- The digests by which contacts are known. An address in another spelling of the same is found before it is sent.
CREATE FUNCTION crm_identifiers(p_contact_ids uuid[]) RETURNS TABLE (contact_id uuid, digest bytea)
LANGUAGE sql STABLE AS $$
    SELECT given, crm_digest(k, 'contact', given::text)
      FROM unnest(p_contact_ids) given, crm_digest_keys k WHERE k.id = 1
    UNION ALL
    SELECT c.id, crm_digest(k, 'email', lower(btrim(c.email)))
      FROM crm_contacts c, crm_digest_keys k WHERE k.id = 1 AND c.id = ANY (p_contact_ids) AND c.email IS NOT NULL
$$;

-- Contacts that must never be sent to this CRM, by decision of the user. Only crm_unsuppress lifts it.
-- Who is suppressed already keeps the reason, and what identifies the person now is added.
DROP FUNCTION crm_suppress(text, uuid[]);
CREATE FUNCTION crm_suppress(p_crm text, p_contact_ids uuid[], p_reason text DEFAULT NULL, p_by text DEFAULT NULL)
RETURNS TABLE (contact_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    WITH known AS MATERIALIZED (
        SELECT i.contact_id, i.digest FROM crm_identifiers(p_contact_ids) i
    ), persons AS MATERIALIZED (
        SELECT k.contact_id, coalesce(min(x.person::text)::uuid, gen_random_uuid()) AS person,
               coalesce(min(x.reason), p_reason) AS reason, coalesce(min(x.by), p_by, session_user) AS by
          FROM known k LEFT JOIN crm_suppressions x ON x.digest = k.digest AND x.crm = p_crm AND x.lifted_at IS NULL
         GROUP BY k.contact_id
    )
    INSERT INTO crm_suppressions (person, crm, digest, reason, by)
    SELECT p.person, p_crm, k.digest, p.reason, p.by
      FROM known k JOIN persons p ON p.contact_id = k.contact_id ORDER BY k.digest
    ON CONFLICT (digest, crm) WHERE lifted_at IS NULL DO NOTHING;
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

-- Lifts the suppression of the persons who have one of these digests, with all else that identifies them.
CREATE FUNCTION crm_lift(p_crm text, p_digests bytea[], p_reason text, p_by text) RETURNS bigint LANGUAGE sql AS $$
    WITH lifted AS (
        UPDATE crm_suppressions x SET lifted_at = now(), lifted_by = coalesce(p_by, session_user), lift_reason = p_reason
         WHERE x.crm = p_crm AND x.lifted_at IS NULL
           AND x.person IN (SELECT y.person FROM crm_suppressions y
                             WHERE y.crm = p_crm AND y.lifted_at IS NULL AND y.digest = ANY (p_digests))
        RETURNING x.person
    )
    SELECT count(DISTINCT person) FROM lifted
$$;

-- Lets contacts be selected again. It selects nobody.
CREATE FUNCTION crm_unsuppress(p_crm text, p_contact_ids uuid[], p_reason text DEFAULT NULL, p_by text DEFAULT NULL)
RETURNS TABLE (contact_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM crm_lift(p_crm, ARRAY(SELECT i.digest FROM crm_identifiers(p_contact_ids) i), p_reason, p_by);
    RETURN QUERY
    UPDATE crm_syncs s SET state = 'unselected', claim_no = s.claim_no + 1,
           last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
     WHERE s.crm = p_crm AND s.contact_id = ANY (p_contact_ids)
       AND s.state = 'skipped' AND s.last_error_kind = 'suppressed'
    RETURNING s.contact_id;
END $$;

-- Takes contacts back: whatever a delivery under way comes to, it no longer changes the state (claim_no moves on).
-- What the CRM holds of the contact stays known. Who is suppressed stays so.
CREATE OR REPLACE FUNCTION crm_unselect(p_crm text, p_contact_ids uuid[])
RETURNS TABLE (contact_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE crm_syncs s SET state = 'unselected', claim_no = s.claim_no + 1, claimed_by = NULL, lease_until = NULL,
           delivery_started_at = NULL, attempts = 0, crashes = 0,
           last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
     WHERE s.crm = p_crm AND s.contact_id IN (SELECT unnest(p_contact_ids)) AND s.state <> 'unselected'
       AND NOT (s.state = 'skipped' AND s.last_error_kind = 'suppressed')
    RETURNING s.contact_id;
END $$;

-- Who comes (again) under a suppressed address is suppressed, whoever writes the row, and whether or not it was another
-- contact before. Once per statement, and without suppressions for nothing.
CREATE FUNCTION crm_suppress_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM crm_suppressions WHERE lifted_at IS NULL) THEN
        RETURN NULL;
    END IF;
    FOR found IN
        SELECT x.crm, array_agg(DISTINCT i.contact_id) AS ids
          FROM crm_identifiers(ARRAY(SELECT a.id FROM added a)) i
          JOIN crm_suppressions x ON x.digest = i.digest AND x.lifted_at IS NULL
         GROUP BY x.crm ORDER BY x.crm
    LOOP
        PERFORM crm_suppress(found.crm, found.ids);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER crm_contacts_suppress_added AFTER INSERT ON crm_contacts REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION crm_suppress_added();

-- The same for a new address. Who is suppressed takes the suppression along to it.
CREATE FUNCTION crm_suppress_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved uuid[];
    found record;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM crm_suppressions WHERE lifted_at IS NULL) THEN
        RETURN NULL;
    END IF;
    moved := ARRAY(SELECT n.id FROM after n JOIN before o ON o.id = n.id WHERE n.email IS DISTINCT FROM o.email);
    IF moved = '{}' THEN
        RETURN NULL;
    END IF;
    FOR found IN
        SELECT x.crm, array_agg(DISTINCT i.contact_id) AS ids
          FROM crm_identifiers(moved) i
          JOIN crm_suppressions x ON x.digest = i.digest AND x.lifted_at IS NULL
         GROUP BY x.crm ORDER BY x.crm
    LOOP
        PERFORM crm_suppress(found.crm, found.ids);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER crm_contacts_suppress_moved AFTER UPDATE ON crm_contacts
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION crm_suppress_moved();

-- Statuses that are written lift nothing: an update of all contacts would lift all suppressions.
CREATE OR REPLACE FUNCTION contacts_decide(p_id uuid, p_crm text, p_old_sync text, p_old_processing text,
                                           p_sync text, p_processing text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    decision text := contacts_decision(p_old_sync, p_old_processing, p_sync, p_processing);
BEGIN
    IF decision IN ('select', 'unselect')
       AND EXISTS (SELECT 1 FROM crm_syncs s WHERE s.contact_id = p_id AND s.crm = p_crm
                      AND s.state = 'skipped' AND s.last_error_kind = 'suppressed')
    THEN
        -- No exception: an update of many contacts must not fail for one.
        RAISE NOTICE 'Contact % is suppressed for % and stays so.', p_id, p_crm
            USING HINT = format('SELECT crm_unsuppress(%L, ARRAY[%L::uuid], ''why'') lifts that.', p_crm, p_id);
        RETURN true;
    END IF;
    CASE decision
        WHEN 'none' THEN
            RETURN false;
        WHEN 'select' THEN
            PERFORM crm_select(p_crm, ARRAY[p_id]);
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

-- Who was suppressed until now.
SELECT crm_suppress(s.crm, array_agg(s.contact_id), NULL, 'before this was recorded')
  FROM crm_syncs s WHERE s.state = 'skipped' AND s.last_error_kind = 'suppressed' GROUP BY s.crm;
