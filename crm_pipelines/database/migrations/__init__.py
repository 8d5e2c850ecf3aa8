"""Alembic migrations of the contacts database. Each is a Python step beside a file of SQL."""
