"""A batch of claims in, outcomes out: loads payloads, waits at the gate, sends, records."""
