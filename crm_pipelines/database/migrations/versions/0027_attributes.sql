-- For which account, and for which versions of the mapping, it is settled that deliveries may begin: the account lacked
-- nothing, or a user sends without it. No versions: it was in use before this was asked; its first run notes its mapping.
-- While it waits: when a run or a tick last found that the account lacks something.
DO $$
DECLARE
    -- Found before the table is locked, since deliveries wait for it: there may be millions of contacts.
    in_use text[] := ARRAY(SELECT g.crm FROM crm_gates g
                            WHERE EXISTS (SELECT 1 FROM crm_syncs s WHERE s.crm = g.crm AND s.synced_at IS NOT NULL));
BEGIN
    ALTER TABLE crm_gates
        ADD COLUMN accepted_account  text,
        ADD COLUMN accepted_mappings text[] NOT NULL DEFAULT '{}',
        ADD COLUMN found_lacking_at  timestamptz,
        DROP CONSTRAINT crm_gates_pause_kind_check,
        ADD CONSTRAINT crm_gates_pause_kind_check CHECK (pause_kind IN
            ('credentials', 'rate_limit', 'outage', 'rejects', 'settings', 'manual', 'restored', 'attributes'));
    UPDATE crm_gates SET accepted_account = account WHERE crm = ANY (in_use);
END $$;
