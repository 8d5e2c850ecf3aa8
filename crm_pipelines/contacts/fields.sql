-- The custom fields that contacts have.

-- name: values_in_use
-- Of lists each item as it is, of a text what stands between its semicolons.
SELECT key, item, values FROM (
    SELECT key, item, count(*) OVER (PARTITION BY key) AS values,
           row_number() OVER (PARTITION BY key ORDER BY count(*) DESC, item) AS rank
      FROM crm_contacts, jsonb_each(custom_fields) AS field (key, value),
           jsonb_array_elements(CASE jsonb_typeof(field.value) WHEN 'array' THEN field.value
                                     ELSE jsonb_build_array(field.value) END) AS listed (entry),
           unnest(CASE jsonb_typeof(field.value) WHEN 'array' THEN ARRAY[entry #>> '{}']
                       ELSE string_to_array(entry #>> '{}', ';') END) AS part (written),
           btrim(written) AS item
     WHERE key = ANY (CAST(:fields AS text[])) AND item <> '' GROUP BY key, item
) AS counted WHERE rank <= :most ORDER BY key, rank
