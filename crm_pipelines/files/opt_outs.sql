-- name: fields
-- Few, however many contacts there are.
SELECT DISTINCT field FROM crm_contacts c, jsonb_object_keys(c.custom_fields) field
 WHERE c.address = ANY (CAST(:keys AS text[]))

-- name: values
SELECT c.address, field, c.custom_fields -> field AS value
  FROM crm_contacts c, unnest(CAST(:fields AS text[])) field
 WHERE c.address = ANY (CAST(:keys AS text[])) AND jsonb_exists(c.custom_fields, field)
