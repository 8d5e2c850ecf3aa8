-- name: stage
CREATE TEMP TABLE imported (
    line bigint, repeated boolean, email text, name text, phone_number text, email_type text, context text, source_url text,
    has_gmail boolean, source_job_id uuid, domain_id uuid, page_id uuid, custom_fields jsonb
) ON COMMIT DELETE ROWS

-- name: upsert
-- Resolved by address. What the file leaves blank (NULL) stays; a contact that would not change is not written at all.
-- In the order of the index, so that two imports at once do not lock each other out.
WITH written AS (
    INSERT INTO crm_contacts AS c (email, name, phone_number, email_type, context, source_url, has_gmail, source_job_id,
                                   domain_id, page_id, custom_fields)
    SELECT DISTINCT ON (lower(btrim(email))) email, name, phone_number, email_type, context, source_url, has_gmail,
           source_job_id, domain_id, page_id, custom_fields
      FROM imported ORDER BY lower(btrim(email)), line DESC
    ON CONFLICT (lower(btrim(email))) DO UPDATE SET
        name = coalesce(excluded.name, c.name),
        phone_number = coalesce(excluded.phone_number, c.phone_number),
        email_type = coalesce(excluded.email_type, c.email_type),
        context = coalesce(excluded.context, c.context),
        source_url = coalesce(excluded.source_url, c.source_url),
        has_gmail = coalesce(excluded.has_gmail, c.has_gmail),
        source_job_id = coalesce(excluded.source_job_id, c.source_job_id),
        domain_id = coalesce(excluded.domain_id, c.domain_id),
        page_id = coalesce(excluded.page_id, c.page_id),
        custom_fields = c.custom_fields || excluded.custom_fields
    WHERE (c.name, c.phone_number, c.email_type, c.context, c.source_url,
           c.has_gmail, c.source_job_id, c.domain_id, c.page_id, c.custom_fields)
          IS DISTINCT FROM
          (coalesce(excluded.name, c.name), coalesce(excluded.phone_number, c.phone_number),
           coalesce(excluded.email_type, c.email_type), coalesce(excluded.context, c.context),
           coalesce(excluded.source_url, c.source_url), coalesce(excluded.has_gmail, c.has_gmail),
           coalesce(excluded.source_job_id, c.source_job_id), coalesce(excluded.domain_id, c.domain_id),
           coalesce(excluded.page_id, c.page_id),
           c.custom_fields || excluded.custom_fields)
    RETURNING lower(btrim(c.email)) AS key, c.xmax = 0 AS added  -- no earlier version of the row was locked or replaced
)
SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added AND NOT repeated) AS updated
  FROM written JOIN imported i ON lower(btrim(i.email)) = key

-- name: named
-- The contacts of this chunk, whether or not anything changed. Looked up one by one: for a join the whole table would be
-- read again for each chunk.
SELECT c.id FROM (SELECT DISTINCT lower(btrim(email)) AS email FROM imported WHERE NOT repeated) i
 CROSS JOIN LATERAL (SELECT id FROM crm_contacts WHERE lower(btrim(crm_contacts.email)) = i.email LIMIT 1) c

-- name: select
-- Only who was never selected: whoever has a row was, or was taken back by somebody, or must never be sent.
WITH known AS MATERIALIZED (
    SELECT named AS id, s.state, s.last_error_kind
      FROM unnest(CAST(:ids AS uuid[])) named LEFT JOIN crm_syncs s ON s.contact_id = named AND s.crm = :crm
)
SELECT (SELECT count(*) FROM crm_select(:crm, ARRAY(SELECT id FROM known WHERE state IS NULL), true)
         WHERE outcome = 'selected') AS selected,
       count(*) FILTER (WHERE state = 'unselected') AS taken_back,
       count(*) FILTER (WHERE state = 'skipped' AND last_error_kind = 'suppressed') AS suppressed
  FROM known
