-- Contacts that shared requests: the first has their number in `requests`, the others 0, and `answered` is of each.
-- NULL in rows of before, and of a former version's run that is still writing: there `requests > 0` says the same.
ALTER TABLE crm_attempts ADD COLUMN answered boolean;
COMMENT ON COLUMN crm_attempts.answered IS 'Whether the outcome is the CRM''s answer, or silence; NULL: if requests > 0.';
