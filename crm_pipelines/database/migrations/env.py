"""Alembic's entry: runs the migrations on the connection that `upgrade` of `migrating.py` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="crm_pipelines_migration", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
