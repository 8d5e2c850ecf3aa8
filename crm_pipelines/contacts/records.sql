-- Contacts as an application keeps them.

-- name: insert
INSERT INTO crm_contacts (email, name, first_name, last_name, phone_number, email_type, has_gmail, context, source_url,
                          source_job_id, domain_id, page_id, custom_fields)
VALUES (:email, :name, :first_name, :last_name, :phone_number, :email_type, :has_gmail, :context, :source_url, :source_job_id,
        :domain_id, :page_id, CAST(:custom_fields AS jsonb))
ON CONFLICT DO NOTHING RETURNING id

-- name: holder
SELECT id FROM crm_contacts WHERE address = crm_address(:email)

-- name: lock
SELECT email, name, first_name, last_name, phone_number, email_type, has_gmail, context, source_url, source_job_id,
       domain_id, page_id, custom_fields
  FROM crm_contacts WHERE id = :id FOR NO KEY UPDATE

-- name: update
UPDATE crm_contacts SET
    email = :email, name = :name, first_name = :first_name, last_name = :last_name, phone_number = :phone_number,
    email_type = :email_type, has_gmail = :has_gmail, context = :context, source_url = :source_url, source_job_id = :source_job_id, domain_id = :domain_id,
    page_id = :page_id, custom_fields = CAST(:custom_fields AS jsonb)
 WHERE id = :id RETURNING first_name, last_name

-- name: delete
DELETE FROM crm_contacts WHERE id = :id

-- name: read
SELECT id, email, name, first_name, last_name, phone_number, email_type, has_gmail, context, source_url,
       source_job_id, domain_id, page_id, custom_fields, revision, created_at, updated_at
  FROM crm_contacts WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY created_at, id

-- name: standings
-- A row for every CRM, known to crm_syncs or not.
SELECT c.id AS contact_id, w.crm, crm_sync_status(s.state, s.attempts) AS sync_status,
       crm_processing_status(s.state) AS processing_status, s.last_error AS processing_error, s.remote_id
  FROM unnest(CAST(:ids AS uuid[])) c (id), unnest(CAST(:crms AS text[])) WITH ORDINALITY w (crm, position)
  LEFT JOIN LATERAL (SELECT * FROM crm_syncs x WHERE x.contact_id = c.id AND x.crm = w.crm) s ON true
 ORDER BY w.position

-- name: page
-- With a pair of created_at and id that lies before everything, it is the first.
SELECT c.id, c.created_at FROM crm_contacts c LEFT JOIN crm_syncs s ON s.contact_id = c.id AND s.crm = :crm
 WHERE {matching} AND (c.created_at, c.id) > (:after_created_at, CAST(:after_id AS uuid))
 ORDER BY c.created_at, c.id LIMIT :limit
