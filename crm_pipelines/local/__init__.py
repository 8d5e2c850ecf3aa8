"""Everything on one machine: `make up` and `make demo`."""
