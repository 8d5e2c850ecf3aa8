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
