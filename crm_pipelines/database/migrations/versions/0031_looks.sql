-- Looks at imports, and other requests that the CRM counts apart: the moment at which their bucket is full again.
ALTER TABLE crm_gates ADD COLUMN aside_full_at timestamptz NOT NULL DEFAULT now();
