"""Deliveries as a component of other people's Dagster projects: what stands in their `defs.yaml`."""
