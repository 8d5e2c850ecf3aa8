-- The fields that contacts have values of.

-- name: in_use
SELECT DISTINCT ON (key) key, value FROM crm_contacts, jsonb_each(custom_fields) WHERE value NOT IN ('null', '""') ORDER BY key

-- name: filled
-- Of each field, by the name that a mapping has for it: how many contacts have a value, and some of them, in one pass.
-- Parts of a name that were not given come out of the whole one.
SELECT field, count(*) AS contacts, min(id::text) AS example
  FROM crm_contacts c, LATERAL (
        SELECT * FROM unnest(ARRAY[
            CASE WHEN btrim(coalesce(first_name, '')) <> '' OR (btrim(coalesce(last_name, '')) = '' AND btrim(name) <> '') THEN 'first_name' END,
            CASE WHEN btrim(coalesce(last_name, '')) <> '' OR (btrim(coalesce(first_name, '')) = '' AND btrim(name) ~ '\s') THEN 'last_name' END,
            CASE WHEN btrim(name) <> '' THEN 'name' END,
            CASE WHEN btrim(phone_number) <> '' THEN 'phone_number' END,
            CASE WHEN btrim(email_type) <> '' THEN 'email_type' END,
            CASE WHEN has_gmail IS NOT NULL THEN 'has_gmail' END,
            CASE WHEN btrim(context) <> '' THEN 'context' END,
            CASE WHEN btrim(source_url) <> '' THEN 'source_url' END,
            CASE WHEN source_job_id IS NOT NULL THEN 'source_job_id' END,
            CASE WHEN domain_id IS NOT NULL THEN 'domain_id' END,
            CASE WHEN page_id IS NOT NULL THEN 'page_id' END,
            'created_at', 'updated_at']) AS of_column (field) WHERE field IS NOT NULL
        UNION ALL
        SELECT 'custom_fields.' || key FROM jsonb_each(custom_fields) WHERE value NOT IN ('null', '""')
       ) AS filled
 GROUP BY field, get_byte(uuid_send(id), 15) % 16 ORDER BY field

-- name: examples
SELECT * FROM crm_contacts WHERE id = ANY (CAST(:ids AS uuid[]))

-- name: values_in_use
-- Of lists each item as it is, of a text what stands between its semicolons, bars and line ends, or else the whole list
-- in JSON. Commas stay: whether they divide is for the CRM to say.
SELECT key, item, of_list, values FROM (
    SELECT key, item, jsonb_typeof(field.value) = 'array' AND item ~ '[,;|\n]' AS of_list, count(*) OVER (PARTITION BY key) AS values,
           row_number() OVER (PARTITION BY key ORDER BY count(*) DESC, item) AS rank
      FROM crm_contacts, jsonb_each(custom_fields) AS field (key, value),
           jsonb_array_elements(CASE jsonb_typeof(field.value) WHEN 'array' THEN field.value
                                     ELSE jsonb_build_array(field.value) END) AS listed (entry),
           unnest(CASE WHEN jsonb_typeof(field.value) = 'array' OR entry #>> '{}' ~ '^\s*\[.*\]\s*$'
                       THEN ARRAY[entry #>> '{}'] ELSE regexp_split_to_array(entry #>> '{}', '[;|\n]') END)
               AS part (written),
           btrim(written) AS item
     WHERE key = ANY (CAST(:fields AS text[])) AND item <> '' GROUP BY key, item, of_list
) AS counted WHERE rank <= :most ORDER BY key, rank

-- name: texts_in_use
-- Of the contacts that were changed last, by the index on updated_at: the texts with a digit in these custom fields,
-- the most frequent first, and how many contacts have each.
SELECT key, written, contacts FROM (
    SELECT field.key, field.value #>> '{}' AS written, count(*) AS contacts,
           row_number() OVER (PARTITION BY field.key ORDER BY count(*) DESC, field.value #>> '{}') AS rank
      FROM (SELECT custom_fields FROM crm_contacts ORDER BY updated_at DESC LIMIT :contacts) AS latest,
           jsonb_each(latest.custom_fields) AS field (key, value)
     WHERE field.key = ANY (CAST(:fields AS text[])) AND jsonb_typeof(field.value) = 'string'
       AND length(field.value #>> '{}') <= :longest AND field.value #>> '{}' ~ '[0-9]'
     GROUP BY field.key, field.value #>> '{}'
) AS counted WHERE rank <= :most ORDER BY key, rank
