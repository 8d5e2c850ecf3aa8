-- Contacts that are one address with another one. There are none but those of before addresses had a normal form.

-- name: count
SELECT count(*) FROM crm_contacts WHERE address IS NULL AND email IS NOT NULL AND crm_address(email) IS NOT NULL

-- name: list
SELECT t.id, t.email, t.name, o.id AS first_id, o.email AS first_email, o.name AS first_name
  FROM crm_contacts t JOIN crm_contacts o ON o.address = crm_address(t.email)
 WHERE t.address IS NULL AND t.email IS NOT NULL ORDER BY o.created_at, o.id, t.created_at, t.id LIMIT 1000

-- name: merge
SELECT crm_merge_twins()

-- name: settle
-- Contacts that came in past the trigger, as from a replica's or a restore's session: they get their normal form, unless
-- another contact has it. Of several that are one address, the oldest.
WITH free AS MATERIALIZED (
    SELECT id, crm_address(email) AS address, created_at FROM crm_contacts c
     WHERE address IS NULL AND email IS NOT NULL AND crm_address(email) IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM crm_contacts o WHERE o.address = crm_address(c.email) OFFSET 0)
       FOR NO KEY UPDATE SKIP LOCKED
), first AS (SELECT DISTINCT ON (address) id, address FROM free ORDER BY address, created_at, id)
UPDATE crm_contacts c SET address = f.address FROM first f WHERE c.id = f.id
