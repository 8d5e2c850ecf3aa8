-- Whoever writes rows of an import has locked the import in the same transaction (`note` in queue/bulk_imports.py), so it is
-- there. A foreign key looks for it once per row, which costs as much as to write the row. Its rows still go with it.
ALTER TABLE crm_bulk_rows DROP CONSTRAINT IF EXISTS crm_bulk_rows_import_id_fkey;
CREATE FUNCTION crm_bulk_imports_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM crm_bulk_rows WHERE import_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER crm_bulk_imports_deleted AFTER DELETE ON crm_bulk_imports
    FOR EACH ROW EXECUTE FUNCTION crm_bulk_imports_deleted();
