-- A moment that Python cannot hold, infinity say, would make every batch and every page with this contact unreadable.

UPDATE crm_contacts SET created_at = now() WHERE created_at NOT BETWEEN '0001-01-02 00:00Z' AND '9999-12-30 00:00Z';
UPDATE crm_contacts SET updated_at = now() WHERE updated_at NOT BETWEEN '0001-01-02 00:00Z' AND '9999-12-30 00:00Z';
ALTER TABLE crm_contacts ADD CONSTRAINT moments_are_of_four_digit_years CHECK (
    created_at BETWEEN '0001-01-02 00:00Z' AND '9999-12-30 00:00Z'
    AND updated_at BETWEEN '0001-01-02 00:00Z' AND '9999-12-30 00:00Z');
