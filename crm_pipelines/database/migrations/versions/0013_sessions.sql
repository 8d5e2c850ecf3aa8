-- Who is signed in at the status page, and until when a token is taken.

ALTER TABLE crm_tokens ADD COLUMN expires_at timestamptz;
COMMENT ON COLUMN crm_tokens.expires_at IS 'Refused from then on; null: never.';

CREATE TABLE crm_sessions (
    digest     bytea PRIMARY KEY,      -- SHA-256 of the cookie's value, which is 256 random bits
    token_id   text NOT NULL REFERENCES crm_tokens ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE crm_sessions IS 'One row per browser that is signed in at the status page. The cookie itself is stored nowhere.';
