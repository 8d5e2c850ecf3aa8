-- Functions count as unsafe unless it is said that they are not, and one of them keeps its whole query to one process.
ALTER FUNCTION crm_sync_status(text, smallint) PARALLEL SAFE;
ALTER FUNCTION crm_processing_status(text) PARALLEL SAFE;
ALTER FUNCTION crm_error_text(text) PARALLEL SAFE;
