"""Delivers contacts queued in Postgres to a CRM, and writes every outcome back."""
