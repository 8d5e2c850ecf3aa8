"""Who may use the HTTP API and the status page, and the audit log of what they wrote."""
