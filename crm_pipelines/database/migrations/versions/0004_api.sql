-- What the HTTP API keeps.

CREATE TABLE crm_tokens (
    id           text PRIMARY KEY,     -- the part of the token that is no secret
    name         text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    digest       bytea NOT NULL,       -- SHA-256 of the secret part, which is 256 random bits
    scopes       text[] NOT NULL CHECK (scopes <> '{}' AND scopes <@ ARRAY['read', 'write']),
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,          -- to the minute
    revoked_at   timestamptz
);
COMMENT ON TABLE crm_tokens IS 'One row per token for the HTTP API. The token itself is stored nowhere.';
CREATE UNIQUE INDEX crm_tokens_name_idx ON crm_tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE crm_api_writes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    token_id    text NOT NULL REFERENCES crm_tokens,
    action      text NOT NULL,
    crms        text[] NOT NULL DEFAULT '{}',
    contacts    integer NOT NULL,                  -- how many it changed
    contact_ids uuid[] NOT NULL DEFAULT '{}',      -- the first hundred that were named
    request_id  text NOT NULL
);
COMMENT ON TABLE crm_api_writes IS 'One row per write through the HTTP API: who did what, when, to how many. Append-only.';
CREATE INDEX crm_api_writes_at_idx ON crm_api_writes (at);

CREATE TABLE crm_idempotency_keys (
    token_id    text NOT NULL REFERENCES crm_tokens,
    key         text NOT NULL CHECK (length(key) <= 255),
    fingerprint bytea NOT NULL,        -- SHA-256 of method, path, query and body
    status      smallint,              -- of the answer
    answer      jsonb,                 -- ids and counts; null where it is a contact, which is read again
    contact_id  uuid,                  -- that contact
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (token_id, key)
);
COMMENT ON TABLE crm_idempotency_keys IS 'One row per write with an Idempotency-Key, for a day: its answer, without personal data.';
CREATE INDEX crm_idempotency_keys_created_at_idx ON crm_idempotency_keys (created_at);

-- Lists of contacts are paged in this order.
CREATE INDEX crm_contacts_created_at_idx ON crm_contacts (created_at, id);

-- An error's words without addresses and long numbers, so that the same words about different contacts count together.
-- The planner inlines it.
CREATE FUNCTION crm_error_text(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(p_text, '\S*(@|%40)\S*', '…', 'gi'),
                          '(?<![\w-])(%2B|\+)?\d[\d ()./-]{5,}\d(?!\w)', '…', 'g')
$$;
