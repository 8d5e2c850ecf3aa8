-- What an account takes is known before anything is sent, and what it did not take of a contact is not called sent.

CREATE TABLE crm_attributes (
    crm        text PRIMARY KEY CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    account    text,                                -- of crm_gates, when they were seen; those of another do not count
    attributes jsonb CHECK (jsonb_typeof(attributes) = 'array'),
    version    text,                                -- changes with whatever decides if a value can be sent
    seen_at    timestamptz,
    looked_at  timestamptz NOT NULL DEFAULT now()   -- asked for, with or without an answer
);
COMMENT ON TABLE crm_attributes IS 'One row per CRM: the attributes of its account, as they were last seen.';

-- left_out: attributes that have a value here which the account did not take, as it was at attributes_version.
ALTER TABLE crm_syncs ADD COLUMN left_out text[] NOT NULL DEFAULT '{}', ADD COLUMN attributes_version text;
ALTER TABLE crm_attempts ADD COLUMN left_out text[] NOT NULL DEFAULT '{}', ADD COLUMN attributes_version text;
ALTER TABLE crm_bulk_rows ADD COLUMN left_out text[] NOT NULL DEFAULT '{}';
ALTER TABLE crm_bulk_imports ADD COLUMN attributes_version text;
