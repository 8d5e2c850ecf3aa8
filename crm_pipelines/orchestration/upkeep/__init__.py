"""Jobs beside the deliveries: those that people launch from Dagster's pages, and pruning."""
