-- Rows of before that are one address are twins. One of them goes on, the others are never sent, and say so.

-- What is said of a twin; the same words as a run's (delivery/preparing.py).
CREATE FUNCTION crm_same_address(p_holder uuid) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'Contact ' || p_holder || ' has the same address: merge the two, delete one, or correct an address.'
$$;

-- Of the contacts that are one address, the one that goes on: whom a CRM holds under it, the last delivered first; then who
-- is selected; then the oldest. With p_keep, whoever has the address keeps it.
CREATE FUNCTION crm_twins(p_addresses text[], p_keep boolean)
RETURNS TABLE (id uuid, address text, is_settled boolean, first_id uuid) LANGUAGE sql STABLE AS $$
    SELECT c.id, c.form, c.is_settled,
           first_value(c.id) OVER (PARTITION BY c.form ORDER BY p_keep AND c.is_settled DESC, s.delivered DESC NULLS LAST,
                                                                s.selected DESC NULLS LAST, c.created_at, c.id)
      FROM (SELECT c.id, c.address AS form, true AS is_settled, c.created_at FROM crm_contacts c
             WHERE c.address = ANY (p_addresses)
            UNION ALL
            SELECT c.id, crm_address(c.email), false, c.created_at FROM crm_contacts c
             WHERE c.address IS NULL AND c.email IS NOT NULL AND crm_address(c.email) = ANY (p_addresses)) c
      LEFT JOIN LATERAL (
           SELECT max(coalesce(x.synced_at, x.selected_at)) FILTER (WHERE x.remote_key = c.form) AS delivered,
                  bool_or(x.state NOT IN ('unselected', 'skipped')) AS selected
             FROM crm_syncs x WHERE x.contact_id = c.id) s ON true
$$;

-- When an address is free again: the next of its twins is an ordinary contact from now on, and goes where it was kept from
-- going. If somebody else takes the address in the same moment, all stays as it is.
CREATE FUNCTION crm_contacts_freed() RETURNS trigger LANGUAGE plpgsql AS $$
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
            UPDATE crm_syncs SET state = 'queued', run_at = now(), attempts = 0,
                   last_error_kind = NULL, last_error_code = NULL, last_error = NULL, last_http_status = NULL
             WHERE contact_id = twin.id AND state = 'skipped' AND last_error_kind = 'same_address';
        ELSE
            UPDATE crm_syncs SET last_error = crm_same_address(twin.first_id)
             WHERE contact_id = twin.id AND state = 'skipped' AND last_error_kind = 'same_address';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER crm_contacts_freed AFTER DELETE ON crm_contacts
    FOR EACH ROW WHEN (OLD.address IS NOT NULL) EXECUTE FUNCTION crm_contacts_freed();
CREATE TRIGGER crm_contacts_freed_by_change AFTER UPDATE OF email, address ON crm_contacts
    FOR EACH ROW WHEN (OLD.address IS NOT NULL AND OLD.address IS DISTINCT FROM NEW.address)
    EXECUTE FUNCTION crm_contacts_freed();

-- Twins become one contact with the one that goes on: what is blank there is filled, and they are deleted. Who is never to be
-- sent as one of them is never sent as the other. Whatever columns there are; NULL: all twins.
CREATE FUNCTION crm_merge_twins(p_ids uuid[] DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    filled text := (SELECT string_agg(format('%1$I = coalesce(f.%1$I, t.%1$I)', attname), ', ') FROM pg_attribute
                     WHERE attrelid = 'crm_contacts'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
                       AND attname NOT IN ('id', 'email', 'address', 'revision', 'created_at', 'updated_at',
                                           'custom_fields'));
    twin record;
    suppressed record;
    merged bigint := 0;
BEGIN
    FOR twin IN
        SELECT t.id, o.id AS first_id FROM crm_contacts t JOIN crm_contacts o ON o.address = crm_address(t.email)
         WHERE t.address IS NULL AND t.email IS NOT NULL AND (p_ids IS NULL OR t.id = ANY (p_ids))
         ORDER BY t.created_at, t.id
    LOOP
        EXECUTE format('UPDATE crm_contacts f SET %s, custom_fields = t.custom_fields || f.custom_fields '
                       'FROM crm_contacts t WHERE f.id = $1 AND t.id = $2', filled) USING twin.first_id, twin.id;
        FOR suppressed IN
            SELECT s.crm FROM crm_syncs s
             WHERE s.contact_id = twin.id AND s.state = 'skipped' AND s.last_error_kind = 'suppressed'
        LOOP
            PERFORM crm_suppress(suppressed.crm, ARRAY[twin.first_id]);
        END LOOP;
        DELETE FROM crm_contacts WHERE id = twin.id;
        merged := merged + 1;
    END LOOP;
    RETURN merged;
END $$;

-- The other contacts under whom the CRM holds an address, or may hold it. The planner inlines it.
CREATE OR REPLACE FUNCTION crm_address_holders(p_crm text, p_address text, p_except uuid)
RETURNS TABLE (contact_id uuid, state text) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT o.contact_id, o.state FROM crm_syncs o
     WHERE o.crm = p_crm AND o.remote_key = p_address AND o.contact_id <> p_except
    UNION ALL
    SELECT o.contact_id, o.state FROM crm_syncs o
     WHERE o.crm = p_crm AND o.maybe_keys <> '{}' AND o.maybe_keys @> ARRAY[p_address] AND o.contact_id <> p_except
$$;
UPDATE crm_syncs SET maybe_keys = ARRAY(SELECT DISTINCT crm_address(k) FROM unnest(maybe_keys) k WHERE crm_address(k) IS NOT NULL)
 WHERE maybe_keys <> '{}';

CREATE OR REPLACE FUNCTION crm_contacts_requeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.address IS DISTINCT FROM OLD.address AND OLD.address IS NOT NULL THEN
        UPDATE crm_syncs SET maybe_keys = maybe_keys || OLD.address
         WHERE contact_id = NEW.id AND remote_key IS NULL AND claim_no > 0 AND NOT maybe_keys @> ARRAY[OLD.address];
    END IF;
    PERFORM crm_requeue_edited(NEW.id, NEW.revision);
    RETURN NULL;
END $$;

-- Two contacts with one address are refused by id: the address belongs into no log.
CREATE OR REPLACE FUNCTION contacts_refuse_duplicate(p_constraint text, p_id uuid, p_email text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    holder uuid;
BEGIN
    IF p_constraint = 'crm_contacts_pkey' THEN
        RAISE EXCEPTION 'Contact % exists already.', p_id
            USING ERRCODE = 'unique_violation', CONSTRAINT = p_constraint, TABLE = 'contacts',
                  HINT = 'Update it, or leave the id out to get a new one.';
    END IF;
    SELECT id INTO holder FROM crm_contacts WHERE address = crm_address(p_email);
    IF holder IS NULL THEN  -- the former index, of what has no normal form
        SELECT id INTO holder FROM crm_contacts WHERE lower(btrim(email)) = lower(btrim(p_email));
    END IF;
    RAISE EXCEPTION 'Contact % has this address already.', coalesce(holder::text, '(just being written)')
        USING ERRCODE = 'unique_violation', CONSTRAINT = p_constraint, TABLE = 'contacts',
              HINT = 'Update that contact, or delete one of the two.';
END $$;

-- The digests by which contacts are known. That of the address as it is written was the only one of earlier versions, and of
-- who is no contact any more there is no other.
CREATE OR REPLACE FUNCTION crm_identifiers(p_contact_ids uuid[]) RETURNS TABLE (contact_id uuid, digest bytea)
LANGUAGE sql STABLE AS $$
    SELECT given, crm_digest(k, 'contact', given::text)
      FROM unnest(p_contact_ids) given, crm_digest_keys k WHERE k.id = 1
    UNION
    SELECT c.id, crm_digest(k, 'email', form)
      FROM crm_contacts c, crm_digest_keys k, unnest(ARRAY[crm_address(c.email), lower(btrim(c.email))]) form
     WHERE k.id = 1 AND c.id = ANY (p_contact_ids) AND form IS NOT NULL
$$;

-- Who is suppressed is known by the normal form, too, from now on.
SELECT crm_suppress(s.crm, array_agg(s.contact_id))
  FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id
 WHERE s.state = 'skipped' AND s.last_error_kind = 'suppressed' AND crm_address(c.email) <> lower(btrim(c.email))
 GROUP BY s.crm;

-- Who of the twins goes on.
DO $$
DECLARE
    twins text[] := ARRAY(SELECT DISTINCT crm_address(email) FROM crm_contacts
                           WHERE address IS NULL AND email IS NOT NULL AND crm_address(email) IS NOT NULL);
    selected record;
BEGIN
    IF twins = '{}' THEN
        RETURN;
    END IF;
    CREATE TEMP TABLE twin ON COMMIT DROP AS
    SELECT id, address, first_id FROM crm_twins(twins, false) WHERE id <> first_id;
    UPDATE crm_contacts c SET address = NULL FROM twin t WHERE c.id = t.id AND c.address IS NOT NULL;
    UPDATE crm_contacts c SET address = t.address FROM (SELECT DISTINCT first_id, address FROM twin) t
     WHERE c.id = t.first_id AND c.address IS NULL;
    -- Who was selected as one of them is delivered as the other.
    FOR selected IN
        SELECT s.crm, array_agg(DISTINCT t.first_id) AS ids FROM twin t JOIN crm_syncs s ON s.contact_id = t.id
         WHERE s.state IN ('queued', 'claimed', 'synced')
           AND NOT EXISTS (SELECT 1 FROM crm_syncs f WHERE f.contact_id = t.first_id AND f.crm = s.crm)
         GROUP BY s.crm
    LOOP
        PERFORM crm_select(selected.crm, selected.ids);
    END LOOP;
    -- What the CRM holds under the address is one entry: the first one's, whoever was delivered last.
    UPDATE crm_syncs f SET
        remote_key = t.address, remote_id = coalesce(f.remote_id, o.remote_id), payload_hash = NULL,
        lists = ARRAY(SELECT unnest(f.lists) UNION SELECT unnest(o.lists)),
        sent_attributes = ARRAY(SELECT unnest(f.sent_attributes) UNION SELECT unnest(o.sent_attributes))
      FROM (SELECT DISTINCT ON (t.first_id, s.crm) t.first_id, t.address, s.* FROM twin t JOIN crm_syncs s ON s.contact_id = t.id
             WHERE s.remote_key = t.address ORDER BY t.first_id, s.crm, s.synced_at DESC NULLS LAST) o,
           LATERAL (SELECT o.address) t
     WHERE f.contact_id = o.first_id AND f.crm = o.crm AND (f.remote_key IS NULL OR f.remote_key = t.address);
    UPDATE crm_syncs s SET
        remote_key = NULL, remote_id = NULL, payload_hash = NULL, sent_attributes = '{}'
      FROM twin t WHERE s.contact_id = t.id AND s.remote_key = t.address;
    UPDATE crm_syncs s SET
        state = 'skipped', claim_no = s.claim_no + 1, claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL,
        attempts = 0, crashes = 0, last_error_kind = 'same_address', last_error = crm_same_address(t.first_id),
        last_error_code = NULL, last_http_status = NULL
      FROM twin t WHERE s.contact_id = t.id AND s.state <> 'unselected'
       AND NOT (s.state = 'skipped' AND s.last_error_kind = 'suppressed');
END $$;
