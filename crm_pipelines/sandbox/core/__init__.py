"""What the stand-ins of all CRMs have in common: server, faults, journal, control, page, state file."""
