-- What a workflow has told about a contact, each message once and for as long as there is the contact: a message that comes
-- again years later must still be known.
CREATE TABLE crm_enrichments (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id       uuid NOT NULL REFERENCES crm_contacts ON DELETE CASCADE,
    crm              text NOT NULL,                           -- the destination whose secret the message showed
    enrichment_id    text NOT NULL CHECK (enrichment_id <> '' AND length(enrichment_id) <= 255),
    digest           bytea NOT NULL,                          -- SHA-256 of what it says, without its time and metadata
    status           text NOT NULL CHECK (status IN ('complete', 'partial', 'failed')),
    sent_at          timestamptz NOT NULL,                    -- the message's own time
    received_at      timestamptz NOT NULL DEFAULT now(),
    error            text,
    confidence       smallint CHECK (confidence BETWEEN 0 AND 100),
    sources          text[] NOT NULL DEFAULT '{}',
    duration_seconds double precision,
    api_calls        bigint,
    cost_estimate    double precision,
    found            jsonb NOT NULL DEFAULT '{}',             -- all that it says of the contact, also what nobody asked for
    metadata         jsonb NOT NULL DEFAULT '{}',
    filled           text[] NOT NULL DEFAULT '{}',            -- fields of the contact that were blank
    overwritten      text[] NOT NULL DEFAULT '{}',            -- fields that had another value, and were to be overwritten
    kept             jsonb NOT NULL DEFAULT '{}',             -- field: why it was left as it was
    UNIQUE (contact_id, crm, enrichment_id)
);
COMMENT ON TABLE crm_enrichments IS 'One row per message of a workflow about a contact: what it found, and what of it was taken.';

-- Whoever shows the secret of a destination has no token: NULL, and `crms` names the destination.
ALTER TABLE crm_api_writes ALTER COLUMN token_id DROP NOT NULL;
