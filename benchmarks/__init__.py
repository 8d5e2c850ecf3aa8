"""Benchmarks: `make bench`. Real Postgres, real HTTP against the sandbox, real Dagster runs."""
