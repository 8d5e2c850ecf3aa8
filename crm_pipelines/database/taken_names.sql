-- Names in the schema in which tables are made: the first of the search_path that is there.

-- name: taken
-- A table and a type of one name keep each other out, too; a function only another function. Tables come first.
SELECT kind, name, current_schema() AS schema FROM (
    SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                        WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'
                        ELSE 'table' END AS kind, relname::text AS name
      FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))
       AND relname = ANY (CAST(:relations AS text[]))
    UNION ALL
    SELECT 'type', typname::text
      FROM pg_type WHERE typnamespace = to_regnamespace(quote_ident(current_schema())) AND typrelid = 0
       AND typname = ANY (CAST(:relations AS text[]))
    UNION ALL
    SELECT DISTINCT 'function', proname::text
      FROM pg_proc WHERE pronamespace = to_regnamespace(quote_ident(current_schema()))
       AND proname = ANY (CAST(:functions AS text[]))
) AS found ORDER BY kind <> 'table', kind <> 'view', kind, name
