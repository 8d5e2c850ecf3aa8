-- name: stage
-- For one transaction: behind a pooler the next one may be another session's.
CREATE TEMP TABLE imported (
    line bigint, repeated boolean, opted_out boolean, address text, email text, name text, first_name text, last_name text,
    phone_number text, email_type text, context text, source_url text,
    has_gmail boolean, source_job_id uuid, domain_id uuid, page_id uuid, custom_fields jsonb
) ON COMMIT DROP

-- name: normal_forms
SELECT address, crm_address(address) AS form FROM unnest(CAST(:addresses AS text[])) address

-- name: whole_names
-- Of contacts whose name is known as a whole only.
SELECT address, name FROM crm_contacts
 WHERE address = ANY (CAST(:keys AS text[])) AND name IS NOT NULL AND first_name IS NULL AND last_name IS NULL

-- name: move
-- Before `upsert`: what an earlier import made a custom field of, and has its place elsewhere now, is none any more. Only
-- where the value is the same: another one came otherwise.
WITH given AS MATERIALIZED (
    SELECT key, moved FROM json_to_recordset(CAST(:moved AS json)) AS g (key text, moved jsonb)
), found AS MATERIALIZED (
    SELECT c.id, c.custom_fields, g.moved FROM given g JOIN crm_contacts c ON c.address = g.key
     ORDER BY c.address FOR NO KEY UPDATE OF c
)
UPDATE crm_contacts c SET custom_fields = c.custom_fields - same.names
  FROM found f, LATERAL (SELECT array_agg(m.key) AS names FROM jsonb_each(f.moved) m
                          WHERE f.custom_fields -> m.key = m.value) same
 WHERE c.id = f.id AND same.names IS NOT NULL

-- name: upsert
-- Resolved by address. What the file leaves blank (NULL) stays; a contact that would not change is not written at all.
-- In the order of the index, so that two imports at once do not lock each other out.
WITH written AS (
    INSERT INTO crm_contacts AS c (email, name, first_name, last_name, phone_number, email_type, context, source_url, has_gmail,
                                   source_job_id, domain_id, page_id, custom_fields)
    SELECT DISTINCT ON (address) email, coalesce(name, crm_joined_name(first_name, last_name)), first_name, last_name,
           phone_number, email_type, context, source_url, has_gmail, source_job_id, domain_id, page_id, custom_fields
      FROM imported ORDER BY address, line DESC
    ON CONFLICT (address) WHERE address IS NOT NULL DO UPDATE SET
        (name, first_name, last_name) = (
            SELECT n[1], n[2], n[3] FROM crm_names(ARRAY[c.name, c.first_name, c.last_name],
                                                   ARRAY[excluded.name, excluded.first_name, excluded.last_name]) n),
        phone_number = coalesce(excluded.phone_number, c.phone_number),
        email_type = coalesce(excluded.email_type, c.email_type),
        context = coalesce(excluded.context, c.context),
        source_url = coalesce(excluded.source_url, c.source_url),
        has_gmail = coalesce(excluded.has_gmail, c.has_gmail),
        source_job_id = coalesce(excluded.source_job_id, c.source_job_id),
        domain_id = coalesce(excluded.domain_id, c.domain_id),
        page_id = coalesce(excluded.page_id, c.page_id),
        custom_fields = c.custom_fields || excluded.custom_fields
    -- What is said of the name is mostly what is stored; to ask crm_names takes longer than all the rest.
    WHERE (c.name, c.first_name, c.last_name) IS DISTINCT FROM (excluded.name, excluded.first_name, excluded.last_name)
          AND ARRAY[c.name, c.first_name, c.last_name] IS DISTINCT FROM
              crm_names(ARRAY[c.name, c.first_name, c.last_name],
                        ARRAY[excluded.name, excluded.first_name, excluded.last_name])
       OR (c.phone_number, c.email_type, c.context, c.source_url,
           c.has_gmail, c.source_job_id, c.domain_id, c.page_id, c.custom_fields)
          IS DISTINCT FROM
          (coalesce(excluded.phone_number, c.phone_number),
           coalesce(excluded.email_type, c.email_type), coalesce(excluded.context, c.context),
           coalesce(excluded.source_url, c.source_url), coalesce(excluded.has_gmail, c.has_gmail),
           coalesce(excluded.source_job_id, c.source_job_id), coalesce(excluded.domain_id, c.domain_id),
           coalesce(excluded.page_id, c.page_id),
           c.custom_fields || excluded.custom_fields)
    RETURNING c.address, c.xmax = 0 AS added  -- no earlier version of the row was locked or replaced
)
SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added AND NOT repeated) AS updated
  FROM written JOIN imported i USING (address)

-- name: clashing
WITH given AS MATERIALIZED (
    SELECT line, key, lower(btrim(email)) AS former
      FROM unnest(CAST(:lines AS bigint[]), CAST(:keys AS text[]), CAST(:emails AS text[])) x (line, key, email)
)
SELECT g.line FROM given g
 WHERE EXISTS (SELECT FROM given o WHERE o.former = g.former AND o.key <> g.key)
    OR EXISTS (SELECT FROM crm_contacts c
                WHERE lower(btrim(c.email)) = g.former AND c.address IS DISTINCT FROM g.key)
 ORDER BY g.line

-- name: named
-- The contacts of this chunk, whether or not anything changed. Looked up one by one: for a join the whole table would be
-- read again for each chunk.
SELECT coalesce(string_agg(uuid_send(c.id), ''::bytea), '') AS ids,
       coalesce(string_agg(uuid_send(c.id), ''::bytea) FILTER (WHERE i.opted_out), '') AS opted_out
  FROM (SELECT address, bool_or(opted_out) AS opted_out FROM imported WHERE NOT repeated OR opted_out GROUP BY address) i
 CROSS JOIN LATERAL (SELECT id FROM crm_contacts WHERE crm_contacts.address = i.address LIMIT 1) c

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
