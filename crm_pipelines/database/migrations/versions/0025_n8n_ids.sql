-- n8n knows a contact by the id that the workflow answered, else by ours.
CREATE OR REPLACE VIEW contacts AS
SELECT c.id, c.email, c.name, c.phone_number, c.email_type, c.has_gmail, c.context, c.source_url, c.source_job_id,
       c.domain_id, c.page_id, c.custom_fields, c.created_at, c.updated_at,
       crm_sync_status(b.state, b.attempts) AS brevo_sync_status,
       crm_processing_status(b.state) AS brevo_processing_status,
       b.last_error AS brevo_processing_error,
       b.remote_key AS brevo_contact_id,
       b.remote_id AS brevo_id,
       crm_sync_status(h.state, h.attempts) AS hubspot_sync_status,
       crm_processing_status(h.state) AS hubspot_processing_status,
       h.last_error AS hubspot_processing_error,
       h.remote_id AS hubspot_contact_id,
       h.remote_id AS hubspot_id,
       crm_sync_status(m.state, m.attempts) AS mautic_sync_status,
       crm_processing_status(m.state) AS mautic_processing_status,
       m.last_error AS mautic_processing_error,
       m.remote_id AS mautic_contact_id,
       m.remote_id AS mautic_id,
       crm_sync_status(n.state, n.attempts) AS n8n_sync_status,
       crm_processing_status(n.state) AS n8n_processing_status,
       n.last_error AS n8n_processing_error,
       n.remote_id AS n8n_contact_id,
       n.remote_id AS n8n_id,
       coalesce(CASE f.state WHEN 'failed' THEN greatest(f.attempts - 1, 0) ELSE f.attempts END, 0) AS retry_count,
       CASE WHEN f.state = 'queued' AND f.attempts > 0 THEN f.run_at END AS next_retry_at,
       CASE WHEN f.attempts > 1 THEN f.last_attempt_at END AS last_retry_at,
       f.crm AS last_failed_crm,
       c.first_name, c.last_name
  FROM crm_contacts c
  LEFT JOIN crm_syncs b ON b.contact_id = c.id AND b.crm = 'brevo'
  LEFT JOIN crm_syncs h ON h.contact_id = c.id AND h.crm = 'hubspot'
  LEFT JOIN crm_syncs m ON m.contact_id = c.id AND m.crm = 'mautic'
  LEFT JOIN crm_syncs n ON n.contact_id = c.id AND n.crm = 'n8n'
  LEFT JOIN crm_syncs f ON f.contact_id = c.id AND f.crm = (
       SELECT l.crm FROM crm_syncs l
        WHERE l.contact_id = c.id AND l.state IN ('queued', 'claimed', 'failed') AND l.last_error_kind IS NOT NULL
        ORDER BY coalesce(l.last_attempt_at, l.selected_at) DESC, l.crm LIMIT 1);
