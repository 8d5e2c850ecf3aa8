-- Bulk imports. An import outlives the run that began it, so all that is known of it is here.

-- false: an import could not be shown to have brought the contact in, so it goes by itself until it has arrived.
ALTER TABLE crm_syncs ADD COLUMN bulk_ok boolean NOT NULL DEFAULT true;
CREATE INDEX crm_syncs_single_idx ON crm_syncs (crm, run_at, contact_id) WHERE state = 'queued' AND NOT bulk_ok;

-- The CRM may be asked again then how its imports stand. Its budget for that is small and belongs to the account.
ALTER TABLE crm_gates ADD COLUMN next_poll_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE crm_bulk_imports (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),  -- its claims are held by 'import:<id>'
    crm          text NOT NULL,
    state        text NOT NULL DEFAULT 'preparing'
                 CHECK (state IN ('preparing', 'submitting', 'waiting', 'proving', 'ended')),
    ended_as     text CHECK (ended_as IN ('proved', 'failed', 'refused', 'overdue', 'given_back', 'lost')),
    process_id   text,                                 -- the CRM's name for it; known only after the CRM has answered
    contacts     integer NOT NULL DEFAULT 0,           -- in the body
    proved       integer NOT NULL DEFAULT 0,           -- seen at the CRM as they were sent
    mapping_version text NOT NULL,
    tended_by    text,                                 -- id of the Dagster run that looks after it at present
    tended_at    timestamptz NOT NULL DEFAULT now(),   -- last sign of life of that run
    created_at   timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    modified_since timestamptz,                        -- by the CRM's clock: nothing of this import is older there
    deadline     timestamptz,                          -- what is not proved by then goes singly
    ended_at     timestamptz,
    CONSTRAINT ended_has_end CHECK ((state = 'ended') = (ended_as IS NOT NULL AND ended_at IS NOT NULL)),
    CONSTRAINT waiting_has_process CHECK (state NOT IN ('waiting', 'proving')
                                          OR (process_id IS NOT NULL AND deadline IS NOT NULL))
);
COMMENT ON TABLE crm_bulk_imports IS 'One row per bulk import.';
CREATE INDEX crm_bulk_imports_open_idx ON crm_bulk_imports (crm) WHERE state <> 'ended';

CREATE TABLE crm_bulk_rows (
    import_id    uuid NOT NULL REFERENCES crm_bulk_imports ON DELETE CASCADE,
    key          text NOT NULL,        -- address under which the CRM is to hold the contact
    contact_id   uuid NOT NULL,        -- without a foreign key: a deletion must not have to look for it here
    claim_no     bigint NOT NULL,
    revision     bigint NOT NULL,      -- of what was sent
    payload_hash bytea NOT NULL,
    proof        bytea NOT NULL,       -- hash of the fields named next, in the CRM's normal form
    names        text[] NOT NULL,      -- attributes that were sent
    warnings     text[] NOT NULL,
    reported     text,                 -- the CRM's report in which the contact was found
    PRIMARY KEY (import_id, key)
);
COMMENT ON TABLE crm_bulk_rows IS 'What an import told the CRM of each contact; gone once it is known what became of it.';
