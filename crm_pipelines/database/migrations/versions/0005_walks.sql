-- Whom a CRM has on its block-lists: an import might subscribe them again, so they go singly.

CREATE TABLE crm_walks (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    crm          text NOT NULL CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    begun_at     timestamptz NOT NULL DEFAULT now(),  -- nothing that was seen is older
    completed_at timestamptz                          -- the account was read to its end
);
COMMENT ON TABLE crm_walks IS 'One row per walk over an account before imports; gone after them.';

CREATE TABLE crm_blocked (
    walk_id uuid NOT NULL REFERENCES crm_walks ON DELETE CASCADE,
    digest  bytea NOT NULL                            -- of an identifier, keyed by the walk
);
COMMENT ON TABLE crm_blocked IS 'Identifiers of contacts that the walk saw on a block-list.';
-- Not unique: two blocked contacts may share an identifier.
CREATE INDEX crm_blocked_idx ON crm_blocked (walk_id, digest);

-- The walk that an import relies on. No foreign key: the import's row outlives it.
ALTER TABLE crm_bulk_imports ADD COLUMN walk_id uuid;
