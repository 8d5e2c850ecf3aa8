-- Whom the user never wants to be sent. Addresses are told to the database, digests are kept.

-- name: suppress
-- An address in all its spellings is one person; who is suppressed already stays so, with the first reason.
WITH given AS MATERIALIZED (
    SELECT DISTINCT d.person, crm_digest(k, 'email', form) AS digest
      FROM unnest(CAST(:persons AS uuid[]), CAST(:addresses AS text[])) AS d(person, address), crm_digest_keys k,
           unnest(ARRAY[d.address, crm_address(d.address)]) form
     WHERE k.id = 1 AND form IS NOT NULL
), persons AS MATERIALIZED (
    SELECT g.person AS given, coalesce(min(x.person::text)::uuid, g.person) AS person, count(x.id) > 0 AS known
      FROM given g LEFT JOIN crm_suppressions x ON x.digest = g.digest AND x.crm = :crm AND x.lifted_at IS NULL
     GROUP BY g.person
), added AS (
    INSERT INTO crm_suppressions (person, crm, digest, reason, by)
    SELECT p.person, :crm, g.digest, :reason, :by FROM given g JOIN persons p ON p.given = g.person ORDER BY g.digest
    ON CONFLICT (digest, crm) WHERE lifted_at IS NULL DO NOTHING
)
SELECT count(*) FILTER (WHERE NOT known) AS added, count(*) FILTER (WHERE known) AS known FROM persons

-- name: suppress_contacts
SELECT count(*) FROM crm_suppress(:crm, ARRAY(
    SELECT c.id FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
     WHERE (c.address = ANY (ARRAY(SELECT crm_address(a) FROM unnest(CAST(:addresses AS text[])) a))
            OR c.id = ANY (CAST(:ids AS uuid[])))
       AND (s.state IS DISTINCT FROM 'skipped' OR s.last_error_kind IS DISTINCT FROM 'suppressed')), :reason, :by)

-- name: lift
-- The contacts first: of those, the person may be known by other identifiers than the address.
WITH contacts AS MATERIALIZED (
    SELECT array_agg(c.id) AS ids FROM crm_contacts c
     WHERE c.address = ANY (ARRAY(SELECT crm_address(a) FROM unnest(CAST(:addresses AS text[])) a))
        OR c.id = ANY (CAST(:ids AS uuid[]))
), digests AS MATERIALIZED (
    SELECT crm_digest(k, 'email', form) AS digest
      FROM unnest(CAST(:addresses AS text[])) AS address, unnest(ARRAY[address, crm_address(address)]) form,
           crm_digest_keys k
     WHERE k.id = 1 AND form IS NOT NULL
    UNION ALL
    SELECT i.digest FROM contacts, crm_identifiers(contacts.ids) i
)
SELECT crm_lift(:crm, ARRAY(SELECT digest FROM digests), :reason, :by) AS persons,
       (SELECT count(*) FROM contacts, crm_unsuppress(:crm, contacts.ids, :reason, :by)) AS contacts

-- name: list
-- One line per person and CRM. The address is known only of who is a contact.
SELECT x.crm, min(x.since) AS since, min(x.by) AS by, min(x.reason) AS reason, min(c.id::text)::uuid AS contact_id,
       min(c.email) AS email
  FROM crm_suppressions x
  LEFT JOIN (SELECT i.digest, c.id, c.email
               FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id, crm_digest_keys k,
                    LATERAL (SELECT crm_digest(k, 'contact', c.id::text) AS digest) i
              WHERE k.id = 1 AND s.state = 'skipped' AND s.last_error_kind = 'suppressed') c ON c.digest = x.digest
 WHERE x.lifted_at IS NULL AND (CAST(:crm AS text) IS NULL OR x.crm = :crm)
 GROUP BY x.person, x.crm ORDER BY 2, 1, x.person
