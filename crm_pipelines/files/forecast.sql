-- name: expect
-- What `upsert` of loading.sql would do with these records, without writing.
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(CAST(:records AS json)) AS g(
        line bigint, key text, email text, name text, first_name text, last_name text, phone_number text, email_type text, context text, source_url text,
        has_gmail boolean, source_job_id uuid, domain_id uuid, page_id uuid, custom_fields jsonb)
), matched AS MATERIALIZED (
    SELECT g.line, g.email, c.id, c.email AS stored,
           (ARRAY[c.name, c.first_name, c.last_name], c.phone_number, c.email_type, c.context, c.source_url,
            c.has_gmail, c.source_job_id, c.domain_id, c.page_id, c.custom_fields)
           IS DISTINCT FROM
           (crm_names(ARRAY[c.name, c.first_name, c.last_name], ARRAY[g.name, g.first_name, g.last_name]),
            coalesce(g.phone_number, c.phone_number),
            coalesce(g.email_type, c.email_type), coalesce(g.context, c.context),
            coalesce(g.source_url, c.source_url), coalesce(g.has_gmail, c.has_gmail),
            coalesce(g.source_job_id, c.source_job_id), coalesce(g.domain_id, c.domain_id),
            coalesce(g.page_id, c.page_id),
            c.custom_fields || g.custom_fields) AS changed
      FROM given g LEFT JOIN crm_contacts c ON c.address = g.key
)
SELECT count(*) FILTER (WHERE id IS NULL) AS added,
       count(*) FILTER (WHERE id IS NOT NULL AND changed) AS updated,
       count(*) FILTER (WHERE stored <> email) AS respelt,
       ARRAY(SELECT ARRAY[line::text, email, stored] FROM matched WHERE stored <> email ORDER BY line LIMIT :shown)
           AS respellings
  FROM matched

-- name: expect_selected
-- What `select` of loading.sql would do. Who is suppressed and no contact yet comes in suppressed.
SELECT count(*) FILTER (WHERE c.state IS NULL AND x.digest IS NULL) AS selected,
       count(*) FILTER (WHERE c.state = 'unselected') AS taken_back,
       count(*) FILTER (WHERE x.digest IS NOT NULL OR (c.state = 'skipped' AND c.last_error_kind = 'suppressed'))
           AS suppressed
  FROM unnest(CAST(:keys AS text[]), CAST(:emails AS text[])) g (key, email)
  LEFT JOIN LATERAL (
       SELECT c.id, s.state, s.last_error_kind
         FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
        WHERE c.address = key LIMIT 1) c ON true
  LEFT JOIN LATERAL (
       SELECT x.digest FROM crm_digest_keys k, crm_suppressions x
        WHERE k.id = 1 AND c.id IS NULL AND x.crm = :crm AND x.lifted_at IS NULL
          AND x.digest IN (crm_digest(k, 'email', key), crm_digest(k, 'email', lower(btrim(email)))) LIMIT 1) x ON true
