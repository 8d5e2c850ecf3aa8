"""Ops, jobs, schedules, sensors, assets, checks, resources: the only place that imports Dagster."""
