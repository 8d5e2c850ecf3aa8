-- The custom fields that contacts have.

-- name: in_use
SELECT DISTINCT ON (key) key, value FROM crm_contacts, jsonb_each(custom_fields) WHERE value <> 'null' ORDER BY key

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
