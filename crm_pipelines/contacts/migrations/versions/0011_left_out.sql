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

-- Both are empty while every value arrives. The first finds whom a new attribute concerns, the second whether anybody.
CREATE INDEX crm_syncs_left_out_idx ON crm_syncs USING gin (left_out) WHERE left_out <> '{}';
CREATE INDEX crm_syncs_any_left_out_idx ON crm_syncs (crm) WHERE left_out <> '{}';

-- Imports left values out and called them sent.
WITH told AS (
    SELECT DISTINCT ON (contact_id, crm) contact_id, crm, claim_no,
           (SELECT string_to_array(substring(warning FROM '^(.*) left out: at Brevo there is no such attribute'), ', ')
              FROM unnest(warnings) AS warning
             WHERE warning ~ ' left out: at Brevo there is no such attribute' LIMIT 1) AS names
      FROM crm_attempts WHERE outcome = 'synced' ORDER BY contact_id, crm, id DESC
)
UPDATE crm_syncs s SET left_out = t.names, payload_hash = NULL
  FROM told t WHERE t.names IS NOT NULL AND s.contact_id = t.contact_id AND s.crm = t.crm AND s.payload_hash IS NOT NULL;
