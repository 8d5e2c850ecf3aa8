-- The address of the latest request that was begun. Until a delivery is confirmed the CRM may hold the contact under it.
ALTER TABLE crm_syncs ADD COLUMN sent_key text;
UPDATE crm_syncs s SET sent_key = c.address
  FROM crm_contacts c WHERE c.id = s.contact_id AND s.remote_key IS NULL AND s.claim_no > 0;

-- Of an address that changes, only what may have been sent is remembered: under another one somebody else may be found.
-- After the row is locked, so that it is seen what a request noted meanwhile.
CREATE OR REPLACE FUNCTION crm_contacts_requeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_requeue_edited(NEW.id, NEW.revision);
    IF NEW.address IS DISTINCT FROM OLD.address THEN
        -- A former version that runs on, or again, notes no sent_key, only which attributes it sent.
        UPDATE crm_syncs SET sent_key = OLD.address
         WHERE contact_id = NEW.id AND remote_key IS NULL AND sent_key IS NULL AND sent_attributes <> '{}';
        UPDATE crm_syncs SET maybe_keys = maybe_keys || sent_key
         WHERE contact_id = NEW.id AND remote_key IS NULL AND sent_key <> NEW.address AND NOT maybe_keys @> ARRAY[sent_key];
    END IF;
    RETURN NULL;
END $$;
