-- Who delivers to what.

-- name: register
-- The row and its gate. Who looks and finds both takes no lock: this is asked with every tick.
WITH wanted AS (
    SELECT WHERE NOT EXISTS (SELECT FROM crm_destinations WHERE name = :name AND kind = :kind
                                AND seen_at > now() - interval '1 hour')
), gate AS (
    INSERT INTO crm_gates (crm, home) SELECT :name, crm_home('crm_gates'::regclass) FROM wanted ON CONFLICT DO NOTHING
)
INSERT INTO crm_destinations AS d (name, kind) SELECT :name, :kind FROM wanted
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, seen_at = now()

-- name: is_registered
SELECT EXISTS (SELECT FROM crm_destinations WHERE name = :name)

-- name: names
SELECT crm FROM crm_gates ORDER BY crm
