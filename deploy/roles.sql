-- What the roles of the stack may do in the database that one is connected to, as its superuser. Safe to repeat.
--
-- crm_owner owns what the migrations make, and they alone connect as it. crm_services is everybody else: it reads and
-- writes rows, and changes no table. Both roles are there before this runs, and the setting crm_pipelines.all says
-- whether all that is in the schema is ours (Dagster's database) or what bears our names (contacts).

DO $$
DECLARE
    everything CONSTANT boolean := current_setting('crm_pipelines.all')::boolean;
    one        record;
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO crm_owner', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO crm_services', current_database());

    -- What a former version has made as the superuser, or a restore has. A column's sequence goes with its table.
    FOR one IN
        SELECT format('ALTER %s %s OWNER TO crm_owner',
                      CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                                     ELSE 'TABLE' END, c.oid::regclass) AS change
          FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner AND r.rolsuper
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
           AND (everything OR c.relname ~ '^(crm_|contacts$)')
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                                       AND d.deptype IN ('a', 'e', 'i'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO crm_owner', p.oid::regprocedure)
          FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner AND r.rolsuper
         WHERE p.pronamespace = 'public'::regnamespace AND (everything OR p.proname ~ '^(crm_|contacts_)')
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                                       AND d.deptype = 'e')
    LOOP
        EXECUTE one.change;
    END LOOP;

    -- MAINTAIN: an import has statistics taken.
    FOR one IN
        SELECT format(CASE c.relkind WHEN 'S' THEN 'GRANT USAGE, SELECT, UPDATE ON SEQUENCE %s TO crm_services'
                           ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE, MAINTAIN ON %s TO crm_services' END,
                      c.oid::regclass) AS change
          FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = 'crm_owner'::regrole
           AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    LOOP
        EXECUTE one.change;
    END LOOP;
END $$;

-- What the migrations are going to make.
ALTER DEFAULT PRIVILEGES FOR ROLE crm_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE, MAINTAIN ON TABLES TO crm_services;
ALTER DEFAULT PRIVILEGES FOR ROLE crm_owner IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO crm_services;
