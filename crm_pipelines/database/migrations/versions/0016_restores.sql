-- Where the gates' rows lie. A restore or a copy of the database brings them to another place.

ALTER TABLE crm_gates ADD COLUMN home text;
COMMENT ON COLUMN crm_gates.home IS 'crm_home() when the row was last trusted; another one now: it was restored or copied.';

ALTER TABLE crm_gates DROP CONSTRAINT crm_gates_pause_kind_check;
ALTER TABLE crm_gates ADD CONSTRAINT crm_gates_pause_kind_check
    CHECK (pause_kind IN ('credentials', 'rate_limit', 'outage', 'rejects', 'settings', 'manual', 'restored'));

-- The server's cluster, the database, and the table: each gets a number of its own when it is made, and keeps it through
-- restarts, renames, failovers and VACUUM FULL. SECURITY DEFINER: where the server tells its number to some roles only,
-- all of them get the same answer here.
CREATE FUNCTION crm_home(p_table oid) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    server text;
BEGIN
    BEGIN
        SELECT system_identifier INTO server FROM pg_control_system();
    EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
        server := '-';
    END;
    RETURN server || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || p_table;
END $$;

UPDATE crm_gates SET home = crm_home(tableoid);
