-- Which credentials open the account, so that the CRM need not be asked again; and the last change of account, for people.

ALTER TABLE crm_gates
    ADD COLUMN account_fingerprints text[] NOT NULL DEFAULT '{}',  -- of credentials that are known to open the account
    ADD COLUMN account_since        timestamptz,                   -- when it took the place of another one
    ADD COLUMN former_account       text,                          -- the one before
    ADD COLUMN contacts_forgotten   bigint NOT NULL DEFAULT 0;     -- how many became New then
