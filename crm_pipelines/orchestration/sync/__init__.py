"""The job that delivers: its ops, when a run of it starts, and what its runs know of each other."""
