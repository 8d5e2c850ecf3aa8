-- Without a reference to the contact, which would lock crm_contacts while it is added: a run for these contacts empties the table.
CREATE TABLE crm_put_first (
    contact_id uuid,
    crm        text CHECK (crm IN ('brevo', 'hubspot', 'mautic', 'n8n')),
    PRIMARY KEY (contact_id, crm)
);
COMMENT ON TABLE crm_put_first IS 'One row per contact that somebody has put first in the queue, until a run takes it.';

-- Imports left values out and called them sent.
WITH told AS (
    SELECT DISTINCT ON (contact_id, crm) contact_id, crm, claim_no,
           (SELECT string_to_array(substring(warning FROM '^(.*) left out: at Brevo there is no such attribute'), ', ')
              FROM unnest(warnings) AS warning
             WHERE warning ~ ' left out: at Brevo there is no such attribute' LIMIT 1) AS names
      FROM crm_attempts WHERE outcome = 'synced' ORDER BY contact_id, crm, id DESC
)
UPDATE crm_syncs s SET left_out = t.names, payload_hash = NULL
  FROM told t WHERE t.names IS NOT NULL AND s.contact_id = t.contact_id AND s.crm = t.crm AND s.payload_hash IS NOT NULL;
