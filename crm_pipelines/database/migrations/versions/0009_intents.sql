-- Addresses that the CRM may hold the contact under, beside remote_key: a request that would have given it one was begun,
-- and its answer is not known. Empty once a delivery is confirmed.
ALTER TABLE crm_syncs ADD COLUMN maybe_keys text[] NOT NULL DEFAULT '{}';

-- When the contact was first due, if it was put off since without being charged: a later run_at must not hide its age.
ALTER TABLE crm_syncs ADD COLUMN due_since timestamptz;

COMMENT ON COLUMN crm_syncs.payload_hash IS
    'Of the last delivery, if it was confirmed and no request was begun since.';
COMMENT ON COLUMN crm_syncs.sent_attributes IS 'Names of which the CRM holds, or may hold, a value of ours.';

-- The other contacts under whom the CRM holds an address, or may hold it. The planner inlines it.
CREATE FUNCTION crm_address_holders(p_crm text, p_address text, p_except uuid) RETURNS TABLE (contact_id uuid, state text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT o.contact_id, o.state FROM crm_syncs o
     WHERE o.crm = p_crm AND o.remote_key = lower(btrim(p_address)) AND o.contact_id <> p_except
    UNION ALL
    SELECT o.contact_id, o.state FROM crm_syncs o
     WHERE o.crm = p_crm AND o.maybe_keys <> '{}' AND o.maybe_keys @> ARRAY[lower(btrim(p_address))]
       AND o.contact_id <> p_except
$$;

-- The first delivery of a contact leaves no remote_key until it is confirmed. If the address changes before that, the CRM
-- may hold the contact under the former one. (Of a contact with a remote_key, deliveries note that by themselves.)
CREATE OR REPLACE FUNCTION crm_contacts_requeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF lower(btrim(NEW.email)) IS DISTINCT FROM lower(btrim(OLD.email)) AND OLD.email IS NOT NULL THEN
        UPDATE crm_syncs SET maybe_keys = maybe_keys || lower(btrim(OLD.email))
         WHERE contact_id = NEW.id AND remote_key IS NULL AND claim_no > 0
           AND NOT maybe_keys @> ARRAY[lower(btrim(OLD.email))];
    END IF;
    PERFORM crm_requeue_edited(NEW.id, NEW.revision);
    RETURN NULL;
END $$;
