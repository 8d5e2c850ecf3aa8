-- A batch of contacts that have no normal form yet, in the order of their ids; returns the last of them. Of several that are
-- one address, one gets it for now. OFFSET 0 keeps the look-up one by index for each row.
WITH batch AS MATERIALIZED (
    SELECT id, crm_address(email) AS address FROM crm_contacts
     WHERE id > :after AND address IS NULL AND email IS NOT NULL
     ORDER BY id LIMIT 2000 FOR NO KEY UPDATE {skipping}
), free AS MATERIALIZED (
    SELECT DISTINCT ON (b.address) b.id, b.address FROM batch b
     WHERE b.address IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM crm_contacts o WHERE o.address = b.address OFFSET 0)
     ORDER BY b.address, b.id
), settled AS (
    UPDATE crm_contacts c SET address = f.address FROM free f WHERE c.id = f.id
)
SELECT id FROM batch ORDER BY id DESC LIMIT 1
