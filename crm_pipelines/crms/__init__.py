"""One module per CRM behind one small interface. HTTP only: no database, no Dagster."""
